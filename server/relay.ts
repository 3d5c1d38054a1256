/**
 * One node's requests on their way to its signer: each is offered to the active signer, again to the next one where a
 * connection is lost, and settled exactly once, by the signer's answer or by the end of its patience. What comes after
 * that, or for something never asked, is dropped.
 */

import type { Answer, ClientIdentity } from '../proto/answer.ts';
import type { Clock } from '../proto/clock.ts';
import { type Call, hsmdName, lightningdCapabilities } from '../proto/hsmd/calls.ts';
import { callOf, messageType } from '../proto/hsmd/message.ts';
import { errorText, type Log } from '../proto/log.ts';
import { misfit } from './fitting.ts';
import { Lane } from './lane.ts';
import type { SignerPort } from './signer_port.ts';
import { type Initialised, Signers } from './signers.ts';
import { judge, nodeIdOf, type Start } from './start.ts';
import { Waiting } from './waiting.ts';

/** lightningd itself, as a client. */
export const lightningd: ClientIdentity = {
  nodeId: new Uint8Array(33),
  dbid: 0n,
  capabilities: lightningdCapabilities,
};

export interface RelayOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** How long a request may wait, in milliseconds; undefined: for as long as it takes. */
  readonly patienceFor: (call: Call, client: ClientIdentity) => number | undefined;
  /** How long a lost active signer may take to come back before another takes over, in milliseconds. */
  readonly takeoverMs: number;
  /** How long until a signer is asked again what it could not answer, where a no would hurt; in milliseconds. */
  readonly retryMs: number;
  /** How often the log says that requests wait, in milliseconds. */
  readonly remindMs: number;
}

export const relayDefaults = { takeoverMs: 3_000, retryMs: 5_000, remindMs: 10_000 } as const;

/** How many requests were settled how; `local` counts what the host answered itself. */
export interface Counts {
  replied: number;
  refused: number;
  malformed: number;
  unavailable: number;
  local: number;
}

/** Where a node's ids begin; those below are special on some links. */
const FIRST_ID = 1000n;

export class Relay {
  readonly signers: Signers;
  readonly counts: Counts = { replied: 0, refused: 0, malformed: 0, unavailable: 0, local: 0 };
  readonly #options: RelayOptions;
  /** In order of their ids. */
  readonly #waiting = new Map<bigint, Waiting>();
  readonly #garbling = new WeakSet<SignerPort>();
  readonly #timers = new Map<'retry' | 'remind', () => void>();
  #nextId = FIRST_ID;
  #nextLane = 0n;
  #preinit: Uint8Array | undefined;
  #start: Start | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.signers = new Signers({
      ...options,
      initialise: (port) => this.#initialise(port),
      onReady: () => this.#offerAll(),
    });
  }

  /** What lightningd said at its start, once a signer has answered it. */
  get start(): Start | undefined {
    return this.#start;
  }

  /** Everything that waits, oldest first. */
  waiting(): readonly Waiting[] {
    return [...this.#waiting.values()];
  }

  /** Opens a connection's lane. */
  openLane(client: ClientIdentity): Lane {
    this.#nextLane += 1n;
    return new Lane(this.#nextLane, client);
  }

  /** A run of lightningd begins, or with `start` goes on after this host was restarted. */
  restart(start: Start | undefined): void {
    this.#preinit = start?.preinit;
    this.#start = start;
    this.signers.initialiseAll();
  }

  /** Keeps `hsmd_dev_preinit` for the init that follows. */
  set preinit(bytes: Uint8Array) {
    this.#preinit = bytes;
  }

  /** The one answer to a request, after every earlier one of its lane. Rejects only when the signal aborts. */
  ask(lane: Lane, bytes: Uint8Array, signal: AbortSignal): Promise<Answer> {
    return lane.run(async () => {
      const call = callOf(bytes);
      const answer: Answer =
        call === undefined
          ? { kind: 'malformed', message: `unknown request type ${messageType(bytes) ?? 'of no bytes'}` }
          : await this.#ask(lane, call, bytes, signal);
      this.counts[answer.kind === 'reply' || answer.kind === 'silent' ? 'replied' : answer.kind] += 1;
      return answer;
    });
  }

  [Symbol.dispose](): void {
    this.signers[Symbol.dispose]();
    for (const cancel of this.#timers.values()) cancel();
  }

  async #ask(lane: Lane, call: Call, bytes: Uint8Array, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    const { clock, patienceFor } = this.#options;
    const id = this.#nextId;
    this.#nextId += 1n;
    const waiting = new Waiting({ id, lane, call, bytes, since: clock.now() });
    this.#waiting.set(id, waiting);
    const patience = patienceFor(call, lane.client);
    const message = `no signer answered within ${(patience ?? 0) / 1000} s`;
    const cancel =
      patience !== undefined && clock.after(patience, () => waiting.expire({ kind: 'unavailable', message }));
    const abandon = () => waiting.abandon(signal.reason);
    signal.addEventListener('abort', abandon);
    try {
      const port = this.signers.current;
      if (port === undefined) this.#remindLater();
      else this.#offer(waiting, port);
      return await waiting.answer;
    } finally {
      this.#waiting.delete(id);
      signal.removeEventListener('abort', abandon);
      if (cancel !== false) cancel();
    }
  }

  #offerAll(): void {
    const port = this.signers.current;
    if (port === undefined) return;
    for (const waiting of this.#waiting.values())
      if (waiting.holder === undefined && !waiting.settled) this.#offer(waiting, port);
  }

  #offer(waiting: Waiting, port: SignerPort): void {
    waiting.holder = port;
    const { id, lane, call, bytes } = waiting.request;
    const asked =
      call === 'init' && this.#preinit !== undefined
        ? this.#tell(port, this.#preinit).then(() => this.#tell(port, bytes, id, lane, waiting.nobodyWaits))
        : this.#tell(port, bytes, id, lane, waiting.nobodyWaits);
    asked.then(
      (answer) => this.#answered(waiting, port, answer),
      (error: unknown) => this.#failed(waiting, port, error),
    );
  }

  /** Offers bytes to a port: a request under its own id, or lightningd's start under a new one. */
  #tell(port: SignerPort, bytes: Uint8Array, id?: bigint, lane?: Lane, signal?: AbortSignal): Promise<Answer> {
    const [oldest = this.#nextId] = this.#waiting.keys();
    const request = {
      id: id ?? this.#nextId++,
      lane: lane?.number ?? 0n,
      client: lane?.client ?? lightningd,
      bytes,
      settledBelow: oldest,
    };
    return port.offer(request, signal ?? new AbortController().signal);
  }

  #answered(waiting: Waiting, port: SignerPort, given: Answer): void {
    if (waiting.settled || waiting.holder !== port) return;
    const { call, lane, bytes, id } = waiting.request;
    const { log, patienceFor } = this.#options;
    const problem = misfit(call, given);
    if (problem !== undefined && !this.#garbling.has(port)) {
      this.#garbling.add(port);
      log('error', 'signer gave an unfit answer', { signer: port.name, request: id, call: hsmdName(call), problem });
    }
    const answer: Answer =
      problem === undefined ? given : { kind: 'unavailable', message: 'the signer gave an answer of another kind' };
    if (answer.kind === 'unavailable' && patienceFor(call, lane.client) === undefined) {
      log('warn', 'request asked again later', { request: id, call: hsmdName(call), reason: answer.message });
      waiting.holder = undefined;
      this.#later('retry', this.#options.retryMs, () => this.#offerAll());
      return;
    }
    if (call === 'init' && answer.kind === 'reply') this.#started(bytes, answer.bytes, port);
    waiting.settle(answer);
  }

  #failed(waiting: Waiting, port: SignerPort, error: unknown): void {
    if (waiting.settled || waiting.holder !== port) return;
    if (this.signers.has(port)) {
      this.#answered(waiting, port, { kind: 'unavailable', message: errorText(error) });
      return;
    }
    waiting.holder = undefined;
    const next = this.signers.current;
    if (next === undefined) this.#remindLater();
    else this.#offer(waiting, next);
  }

  #started(init: Uint8Array, reply: Uint8Array, by: SignerPort): void {
    const nodeId = nodeIdOf(reply);
    if (nodeId === undefined) return;
    this.#start = { preinit: this.#preinit, init, nodeId };
    this.signers.initialiseAll(by);
  }

  async #initialise(port: SignerPort): Promise<Initialised> {
    const start = this.#start;
    if (start === undefined) return 'ready';
    try {
      if (start.preinit !== undefined) await this.#tell(port, start.preinit);
      return judge(start, await this.#tell(port, start.init));
    } catch {
      return 'again';
    }
  }

  #remindLater(): void {
    this.#later('remind', this.#options.remindMs, () => {
      const [oldest] = this.#waiting.values();
      if (oldest === undefined || this.signers.current !== undefined) return;
      const { call, since } = oldest.request;
      this.#options.log('warn', 'requests wait for a signer', {
        waiting: this.#waiting.size,
        oldest: hsmdName(call),
        oldest_ms: this.#options.clock.now() - since,
      });
      this.#remindLater();
    });
  }

  /** Runs something once after a while, however often it is asked for until then. */
  #later(what: 'retry' | 'remind', ms: number, run: () => void): void {
    if (this.#timers.has(what)) return;
    const cancel = this.#options.clock.after(ms, () => {
      this.#timers.delete(what);
      run();
    });
    this.#timers.set(what, cancel);
  }
}
