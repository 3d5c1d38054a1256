/**
 * One node's requests on their way to its signer: each is offered to the active signer, again to the next one where a
 * connection is lost, and settled exactly once, by the signer's answer or by the end of its patience. What comes after
 * that, or for something never asked, is dropped. What need not wait for the signer does not (docs/latency.md).
 */

import type { Answer, ClientIdentity } from '../proto/answer.ts';
import { toHex } from '../proto/bytes.ts';
import type { Clock } from '../proto/clock.ts';
import { type Call, hsmdName, lightningdCapabilities } from '../proto/hsmd/calls.ts';
import { callOf, messageType } from '../proto/hsmd/message.ts';
import { errorText } from '../proto/log.ts';
import type { SignedRequest } from '../proto/signed_request.ts';
import { Early, type EarlyOptions, type KnownAnswer, type Pledge } from './early.ts';
import { misfit } from './fitting.ts';
import { Lane } from './lane.ts';
import { Queue } from './queue.ts';
import { RecentRequests } from './recent_requests.ts';
import type { SignerPort } from './signer_port.ts';
import { type Initialised, Signers } from './signers.ts';
import { type Broadcast, Splices } from './splice_broadcast.ts';
import { judge, nodeIdOf, type Start } from './start.ts';
import { type AnsweredBy, Tally } from './tally.ts';
import type { BeginTrace, Tracing } from './trace.ts';
import type { Waiting, WaitingRequest } from './waiting.ts';

/** lightningd itself, as a client. */
export const lightningd: ClientIdentity = {
  nodeId: new Uint8Array(33),
  dbid: 0n,
  capabilities: lightningdCapabilities,
};

export interface RelayOptions extends EarlyOptions {
  readonly clock: Clock;
  /** How long a request may wait, in milliseconds; undefined: for as long as it takes. */
  readonly patienceFor: (call: Call, client: ClientIdentity) => number | undefined;
  /** How long a lost active signer may take to come back before another takes over, in milliseconds. */
  readonly takeoverMs: number;
  /** How long until a signer is asked again what it could not answer, where a no would hurt; in milliseconds. */
  readonly retryMs: number;
  /** How often the log says that requests wait, in milliseconds. */
  readonly remindMs: number;
  /** Told of each request and its answer. */
  readonly trace?: BeginTrace;
  /** Where splices are sent that are complete with our signature; undefined: only the peer sends them. */
  readonly broadcast?: Broadcast;
}

/** What the node was told that the signer had not decided, and the signer does not do. */
export type Overruled = (client: ClientIdentity, request: Uint8Array, reason: string) => void;

export const relayDefaults = { takeoverMs: 3_000, retryMs: 5_000, remindMs: 10_000 } as const;

/** How many requests were settled how; `local` counts what the host answered itself. */
export interface Counts {
  replied: number;
  refused: number;
  malformed: number;
  unavailable: number;
  local: number;
}

export class Relay {
  readonly signers: Signers;
  readonly counts: Counts = { replied: 0, refused: 0, malformed: 0, unavailable: 0, local: 0 };
  readonly tally = new Tally();
  /** Told of what was acknowledged and then refused: an operator's case, and lightningd's log's. */
  onOverruled: Overruled = () => {};
  readonly #options: RelayOptions;
  readonly #queue = new Queue();
  readonly #early: Early;
  readonly #garbling = new WeakSet<SignerPort>();
  readonly #timers = new Map<'retry' | 'remind', () => void>();
  #nextLane = 0n;
  #preinit: Uint8Array | undefined;
  #start: Start | undefined;
  readonly #shown = new RecentRequests();
  readonly #splices = new Splices();

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#early = new Early(options);
    this.signers = new Signers({
      ...options,
      initialise: (port) => this.#initialise(port),
      onActive: (port) => this.#early.turnTo(port),
      onReady: (port) => {
        this.#showAll(port);
        this.#offerAll();
      },
    });
    const lanes = new Map<string, Lane>();
    for (const { client, request: bytes, pledge } of this.#early.left) {
      const name = `${toHex(client.nodeId)}/${client.dbid}/${client.capabilities}`;
      const lane = lanes.get(name) ?? this.openLane(client);
      lanes.set(name, lane);
      const call = callOf(bytes);
      if (call !== undefined) this.#wait({ lane, call, bytes, pledge }).acknowledge(pledge);
    }
  }

  /** For requests that do not come this way. */
  get trace(): BeginTrace | undefined {
    return this.#options.trace;
  }

  /** What lightningd said at its start, once a signer has answered it. */
  get start(): Start | undefined {
    return this.#start;
  }

  /** Everything that the node waits for, oldest first. */
  waiting(): readonly Waiting[] {
    return this.#queue.unanswered();
  }

  /** How much the node has the answer of and the signer has not decided. */
  get undecided(): number {
    return this.#queue.pledged().filter(({ acknowledged }) => acknowledged).length;
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

  /** Shows the signer a client's request, at once and to whichever signer comes while it may count. */
  show(request: SignedRequest): void {
    if (this.#shown.add(request, this.#options.clock.now()) && this.#start !== undefined)
      this.signers.current?.show(request);
  }

  /** The one answer to a request, after every earlier one of its lane. Rejects only when the signal aborts. */
  ask(lane: Lane, bytes: Uint8Array, signal: AbortSignal): Promise<Answer> {
    const traced = this.#options.trace?.(lane, bytes);
    return lane.run(async () => {
      signal.throwIfAborted();
      const call = callOf(bytes);
      if (call === undefined) {
        const message = `unknown request type ${messageType(bytes) ?? 'of no bytes'}`;
        return this.#given({ kind: 'malformed', message }, 'asked', traced);
      }
      const known = this.#known(lane, call, bytes);
      const { answer, by } = known ?? (await this.#ask(lane, call, bytes, { signal, traced }));
      const { broadcast, log } = this.#options;
      if (call === 'signSpliceTx' && by === 'asked' && answer.kind === 'reply' && broadcast !== undefined)
        await this.#splices.broadcast(bytes, answer.bytes, { broadcast, log });
      this.tally.count(call, by);
      return this.#given(answer, by, traced);
    });
  }

  [Symbol.dispose](): void {
    this.signers[Symbol.dispose]();
    for (const cancel of this.#timers.values()) cancel();
  }

  /** Counts and shows an answer. */
  #given(answer: Answer, by: AnsweredBy, traced: Tracing | undefined): Answer {
    const isReply = answer.kind === 'reply' || answer.kind === 'silent';
    const isSigners = by === 'asked' || by === 'ahead';
    this.counts[!isReply ? answer.kind : isSigners ? 'replied' : 'local'] += 1;
    traced?.answered(isReply ? by : answer.kind);
    return answer;
  }

  #known(lane: Lane, call: Call, bytes: Uint8Array): KnownAnswer | undefined {
    return this.#start === undefined ? undefined : this.#early.known(lane.client, call, bytes);
  }

  /** The signer has decided on what the node may have been told already. */
  #decided(waiting: Waiting, pledge: Pledge, answer: Answer): void {
    this.#queue.delete(waiting);
    pledge.decided();
    if (waiting.acknowledged && answer.kind !== 'reply') this.#overruled(waiting.request, answer);
    this.#offerAll();
  }

  #overruled({ lane, call, bytes }: WaitingRequest, answer: Answer): void {
    const reason = 'message' in answer ? answer.message : 'it gave no reply';
    const tag = answer.kind === 'refused' ? answer.tag : answer.kind;
    const { dbid } = lane.client;
    this.#options.log('error', 'the signer refused what the node takes for done', {
      call: hsmdName(call),
      dbid,
      tag,
      reason,
    });
    this.onOverruled(lane.client, bytes, `${reason} (${tag})`);
  }

  #wait(request: Omit<WaitingRequest, 'id' | 'since'>): Waiting {
    this.#early.moveOn(request.lane.client);
    return this.#queue.add({ since: this.#options.clock.now(), ...request });
  }

  /**
   * Has a signer decide. Where the answer is known already the node gets it as soon as that is good, if no verdict came
   * before; the signer has the request meanwhile, and decides it whatever becomes of the node.
   */
  async #ask(
    lane: Lane,
    call: Call,
    bytes: Uint8Array,
    { signal, traced }: { readonly signal: AbortSignal; readonly traced: Tracing | undefined },
  ): Promise<{ readonly answer: Answer; readonly by: AnsweredBy }> {
    const { clock, patienceFor } = this.#options;
    const pledge = this.#pledge(lane, call, bytes);
    const waiting = this.#wait({ lane, call, bytes, pledge, traced });
    const patience = patienceFor(call, lane.client);
    const message = `no signer answered within ${(patience ?? 0) / 1000} s`;
    const cancel =
      patience !== undefined && clock.after(patience, () => waiting.expire({ kind: 'unavailable', message }));
    const abandon = () => waiting.abandon(signal.reason);
    signal.addEventListener('abort', abandon);
    void pledge?.isGood.then((isGood) => isGood && waiting.acknowledge(pledge));
    try {
      this.#offerOrRemind(waiting);
      const answer = await waiting.answer;
      return { answer, by: waiting.acknowledged ? 'acknowledged' : 'asked' };
    } finally {
      if (pledge === undefined) this.#queue.delete(waiting);
      signal.removeEventListener('abort', abandon);
      if (cancel !== false) cancel();
    }
  }

  #pledge({ client }: Lane, call: Call, bytes: Uint8Array): Pledge | undefined {
    const [start, port, pledged] = [this.#start, this.signers.current, this.#queue.pledged().length];
    return start && this.#early.pledge(client, call, bytes, { start, port, pledged });
  }

  #offerOrRemind(waiting: Waiting): void {
    const port = this.signers.current;
    if (port !== undefined && this.#mayBeOffered(waiting, port)) this.#offer(waiting, port);
    else this.#remindLater();
  }

  /** What an earlier run of this host left has to wait until a signer was told how lightningd started. */
  #mayBeOffered(waiting: Waiting, port: SignerPort): boolean {
    if (waiting.request.pledge !== undefined && this.#start === undefined) return false;
    return this.#queue.mayBeOffered(waiting, port);
  }

  #offerAll(): void {
    const port = this.signers.current;
    if (port === undefined) return;
    for (const waiting of this.#queue)
      if (waiting.holder === undefined && !waiting.settled && this.#mayBeOffered(waiting, port))
        this.#offer(waiting, port);
  }

  #offer(waiting: Waiting, port: SignerPort): void {
    waiting.holder = port;
    const { id, lane, call, bytes, pledge, traced } = waiting.request;
    const acknowledged = pledge !== undefined;
    traced?.offered();
    if (call === 'init' && this.#preinit !== undefined)
      this.#tell(port, this.#preinit, { lane }).catch(() => undefined); // lost together with what follows
    this.#tell(port, bytes, { id, lane, acknowledged }).then(
      (answer) => this.#answered(waiting, port, answer),
      (error: unknown) => this.#failed(waiting, port, error),
    );
  }

  /** Offers bytes to a port: a request under its own id, or lightningd's start under a new one. */
  #tell(
    port: SignerPort,
    bytes: Uint8Array,
    request: { readonly id?: bigint; readonly lane?: Lane; readonly acknowledged?: boolean },
  ): Promise<Answer> {
    const { id = this.#queue.newId(), lane, acknowledged = false } = request;
    const { number, client } = lane ?? { number: 0n, client: lightningd };
    const settledBelow = this.#queue.oldestId < id ? this.#queue.oldestId : id;
    return port.offer({ id, lane: number, client, bytes, settledBelow, acknowledged });
  }

  #answered(waiting: Waiting, port: SignerPort, given: Answer): void {
    if (waiting.settled || waiting.holder !== port) return;
    const { call, lane, bytes, id, pledge } = waiting.request;
    const { log, patienceFor } = this.#options;
    const problem = misfit(call, given);
    if (problem !== undefined && !this.#garbling.has(port)) {
      this.#garbling.add(port);
      log('error', 'signer gave an unfit answer', { signer: port.name, request: id, call: hsmdName(call), problem });
    }
    const answer: Answer =
      problem === undefined ? given : { kind: 'unavailable', message: 'the signer gave an answer of another kind' };
    const isAskedAgain =
      pledge !== undefined ||
      patienceFor(call, lane.client) === undefined ||
      !this.#queue.stands(waiting) ||
      this.signers.current !== port;
    if (answer.kind === 'unavailable' && isAskedAgain) {
      log('warn', 'request asked again later', { request: id, call: hsmdName(call), reason: answer.message });
      waiting.holder = undefined;
      this.#later('retry', this.#options.retryMs, () => this.#offerAll());
      return;
    }
    if (call === 'init' && answer.kind === 'reply') this.#started(bytes, answer.bytes, port);
    this.#early.learn(lane.client, call, bytes, answer);
    waiting.settle(answer.kind === 'reply' ? { kind: 'reply', bytes: answer.bytes } : answer);
    if (pledge !== undefined) this.#decided(waiting, pledge, answer);
    if (answer.kind === 'reply' && (answer.ahead ?? []).length > 0) this.#settleForeseen();
  }

  /** What came ahead may be what somebody waits for by now: it was asked while the signer foresaw it. */
  #settleForeseen(): void {
    for (const waiting of this.#queue.unanswered()) {
      const { call, lane, bytes, pledge } = waiting.request;
      const known = pledge === undefined ? this.#early.known(lane.client, call, bytes) : undefined;
      if (known !== undefined) waiting.settle(known.answer);
    }
  }

  #failed(waiting: Waiting, port: SignerPort, error: unknown): void {
    if (waiting.settled || waiting.holder !== port) return;
    if (this.signers.has(port)) {
      this.#answered(waiting, port, { kind: 'unavailable', message: errorText(error) });
      return;
    }
    waiting.holder = undefined;
    if (this.signers.current === undefined) this.#remindLater();
    else this.#offerAll();
  }

  #started(init: Uint8Array, reply: Uint8Array, by: SignerPort): void {
    const nodeId = nodeIdOf(reply);
    if (nodeId === undefined) return;
    this.#start = { preinit: this.#preinit, init, nodeId };
    this.#showAll(by);
    this.signers.initialiseAll(by);
    this.#offerAll();
  }

  /** Before init a signer has no keys to check it with. */
  #showAll(port: SignerPort): void {
    if (this.#start === undefined) return;
    for (const request of this.#shown.list(this.#options.clock.now())) port.show(request);
  }

  async #initialise(port: SignerPort): Promise<Initialised> {
    const start = this.#start;
    if (start === undefined) return 'ready';
    try {
      const told = start.preinit === undefined ? undefined : this.#tell(port, start.preinit, {});
      const [answer] = await Promise.all([this.#tell(port, start.init, {}), told]);
      const outcome = judge(start, answer);
      if (outcome === 'ready' && this.signers.isActive(port)) this.#early.learn(lightningd, 'init', start.init, answer);
      return outcome;
    } catch {
      return 'again';
    }
  }

  #remindLater(): void {
    this.#later('remind', this.#options.remindMs, () => {
      const [oldest] = this.#queue;
      if (oldest === undefined || this.signers.current !== undefined) return;
      const { call, since } = oldest.request;
      this.#options.log('warn', 'requests wait for a signer', {
        waiting: [...this.#queue].length,
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
