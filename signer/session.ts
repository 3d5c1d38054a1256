/**
 * The signer's end of the link to a host, as a state machine over a stream of messages, whatever carries it: says
 * hello, has each request carried out once, in order within its lane, and answers it on whichever stream is there. It
 * outlives its streams: what was carried out while the link was down is answered when the host asks again.
 */

import type { Answer, AnswerAhead, ClientIdentity } from '../proto/answer.ts';
import { equalBytes, toHex } from '../proto/bytes.ts';
import type { Clock } from '../proto/clock.ts';
import type { Client, Promote, Request, ToSigner, Welcome } from '../proto/gen/keyhold/v1/signer_link_pb.ts';
import { Pulse } from '../proto/heartbeat.ts';
import { calls } from '../proto/hsmd/calls.ts';
import { messageType } from '../proto/hsmd/message.ts';
import { answerToWire, brief, type FromSignerInit, linkProtocol } from '../proto/link.ts';
import { errorText, type Log } from '../proto/log.ts';
import type { SignedRequest } from '../proto/signed_request.ts';
import { AnswerCache } from './answer_cache.ts';
import type { Companion } from './companion.ts';
import { Undecided } from './undecided.ts';

/** What carries requests out: one answer each, never a rejection for anything foreseen. */
export interface RequestHandler {
  /** `acknowledged`: the node has the reply already, or may have it any moment, so a no may come too late for it. */
  handle(client: ClientIdentity, bytes: Uint8Array, signal: AbortSignal, acknowledged: boolean): Promise<Answer>;
  /** Whether every preapproval is answered yes. */
  readonly approvesPayments?: boolean;
  /** Answers to what is expected after a request that was answered with `reply`. */
  ahead?(client: ClientIdentity, bytes: Uint8Array, reply: Uint8Array): Promise<readonly AnswerAhead[]>;
  /** Takes a client's request, the reason for what may be asked next; it has begun when this returns. Never rejects. */
  show?(request: SignedRequest): Promise<void>;
}

export interface SessionOptions {
  readonly signer: RequestHandler;
  /** 16 random bytes, chosen when the signer starts. */
  readonly id: Uint8Array;
  /** What this signer calls itself, for people. */
  readonly name: string;
  /** Its software and version, for people. */
  readonly software: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts what is being carried out: the signer stops for good. */
  readonly signal: AbortSignal;
  /** What else travels on the link; none if not given. */
  readonly companions?: readonly Companion[];
}

/** A stream to the host: what comes, ending or throwing when it is over, and how to send. */
export interface Link {
  readonly received: AsyncIterable<ToSigner>;
  send(message: FromSignerInit): void;
  /** Gives the stream up: the other side has fallen silent. */
  abandon(reason: string): void;
}

/** All that a signer standing by may be asked. */
const start: ReadonlySet<number | undefined> = new Set([calls.init.request.number, calls.devPreinit.request.number]);

/** How long a host may take until its welcome, the connection included, in milliseconds. */
const welcomeMs = 30_000;

/** Why the host ends a stream; whether it would do so again, as this signer cannot serve that node. */
export interface Farewell {
  readonly reason: string;
  readonly unfit: boolean;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #cache = new AnswerCache();
  /** The last request of each lane that is still busy. */
  readonly #lanes = new Map<bigint, { readonly id: bigint; readonly answer: Promise<unknown> }>();
  readonly #undecided = new Undecided();
  #boot: Uint8Array | undefined;
  #active = false;
  #lease = 0n;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Whether the host asks this signer, as far as it said last, and under which fencing number. */
  get standing(): { readonly active: boolean; readonly lease: bigint } {
    return { active: this.#active, lease: this.#lease };
  }

  /**
   * Serves a stream until it is over; returns the host's goodbye, undefined where it said none. Throws what the
   * stream throws, and where the host says something it must not.
   */
  async run(link: Link, onWelcome: () => void): Promise<Farewell | undefined> {
    const { id, name, software, signer, clock } = this.#options;
    const { approvesPayments = false } = signer;
    const hello = { protocol: linkProtocol, session: id, name, software, approvesPayments };
    link.send({ message: { case: 'hello', value: hello } });
    let pulse: Pulse | undefined;
    // Only from then on there is a pulse: a machine that went away before would be waited for for ever.
    const cancelWait = clock.after(welcomeMs, () => link.abandon('the host says no welcome'));
    try {
      for await (const { message } of link.received) {
        pulse?.heard();
        if (message.case === 'goodbye') return { reason: brief(message.value.reason), unfit: message.value.unfit };
        if (message.case === 'welcome') {
          this.#welcome(message.value);
          cancelWait();
          pulse = this.#pulse(link, message.value);
          onWelcome();
          const { value } = message;
          this.#tell((each) => each.attached(value, (said) => link.send({ message: said })));
        } else if (message.case === 'heartbeat') pulse?.receive(message.value);
        else if (message.case === 'promote') this.#promote(message.value);
        else if (message.case === 'evidence') void this.#options.signer.show?.(message.value);
        else if (message.case === 'request') {
          if (pulse === undefined) throw new Error('expected a welcome before the first request');
          this.#answer(link, message.value);
        } else this.#tell((each) => each.receive(message));
      }
      return undefined;
    } finally {
      cancelWait();
      pulse?.[Symbol.dispose]();
      this.#active = false;
      this.#tell((each) => each.detached());
    }
  }

  #pulse(link: Link, { heartbeatMs }: Welcome): Pulse {
    return new Pulse({
      clock: this.#options.clock,
      everyMs: Math.max(heartbeatMs, 100),
      send: (value) => link.send({ message: { case: 'heartbeat', value } }),
      lost: () => link.abandon('the host has fallen silent'),
    });
  }

  #welcome({ protocol, boot, node, lease, active }: Welcome): void {
    if (protocol !== linkProtocol)
      throw new Error(`expected protocol ${linkProtocol} of the host, got ${protocol}: update the older side`);
    if (this.#boot === undefined || !equalBytes(boot, this.#boot)) {
      this.#boot = boot;
      this.#cache.clear();
      this.#lanes.clear();
      this.#undecided.hostRestarted();
    }
    this.#options.log('info', 'attached', { node: brief(node), boot: toHex(boot.subarray(0, 4)), active, lease });
    this.#active = active;
    this.#lease = lease;
  }

  #tell(what: (companion: Companion) => void): void {
    for (const companion of this.#options.companions ?? []) {
      try {
        what(companion);
      } catch (error: unknown) {
        this.#options.log('error', 'what the host said could not be taken in', { error: errorText(error) });
      }
    }
  }

  #promote(promote: Promote): void {
    const { lease } = promote;
    if (lease <= this.#lease) {
      this.#options.log('error', 'promotion with a fencing number that is not higher', { lease, known: this.#lease });
      return;
    }
    this.#options.log('info', 'promoted to active signer', { lease });
    this.#active = true;
    this.#lease = lease;
    this.#tell((each) => each.promoted(promote));
  }

  #answer(link: Link, request: Request): void {
    this.#cache.forgetBelow(request.settledBelow);
    this.#undecided.forgetBelow(request.settledBelow);
    const answer = this.#cache.get(request.id, request.message) ?? this.#carryOut(request);
    void answer.then((value) => link.send({ message: { case: 'answer', value: answerToWire(request.id, value) } }));
  }

  /** Has a request carried out behind the earlier ones of its lane, and keeps the answer in case it is asked again. */
  #carryOut({ id, lane, client, message, acknowledged }: Request): Promise<Answer> {
    const { signer, signal, log } = this.#options;
    if (!this.#active && !start.has(messageType(message)))
      return Promise.resolve({ kind: 'unavailable', message: 'this signer stands by' });
    const who = identity(client);
    const run = () =>
      signer.handle(who, message, signal, acknowledged).then((given) => this.#withAhead(who, message, given));
    const decide = () => this.#undecided.behind(id, who, message, run);
    const last = this.#lanes.get(lane);
    // What is asked again where there was no answer does not wait for what came in behind it.
    const earlier = last !== undefined && last.id < id ? last : undefined;
    const answer = (earlier === undefined ? decide() : earlier.answer.then(decide)).catch((error: unknown): Answer => {
      log('error', 'request failed in the signer', {
        request: id,
        type: messageType(message),
        error: errorText(error),
      });
      return { kind: 'unavailable', message: 'the signer failed' };
    });
    if (earlier === last) this.#lanes.set(lane, { id, answer });
    if (acknowledged) this.#undecided.add(id, who, answer);
    this.#cache.put(id, message, answer);
    void answer.then(() => {
      if (this.#lanes.get(lane)?.answer === answer) this.#lanes.delete(lane);
    });
    return answer;
  }

  /** The answer with those that may be wanted next. What goes wrong in guessing leaves the answer alone. */
  async #withAhead(client: ClientIdentity, bytes: Uint8Array, answer: Answer): Promise<Answer> {
    const { signer, log } = this.#options;
    if (answer.kind !== 'reply' || signer.ahead === undefined) return answer;
    try {
      return { ...answer, ahead: await signer.ahead(client, bytes, answer.bytes) };
    } catch (error: unknown) {
      log('error', 'could not answer ahead', { type: messageType(bytes), error: errorText(error) });
      return answer;
    }
  }
}

function identity(client: Client | undefined): ClientIdentity {
  // Without an identity there is nothing it may ask.
  return client ?? { nodeId: new Uint8Array(33), dbid: 0n, capabilities: 0n };
}
