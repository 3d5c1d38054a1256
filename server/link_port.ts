import type { Answer } from '../proto/answer.ts';
import { toHex } from '../proto/bytes.ts';
import type { Clock } from '../proto/clock.ts';
import type { FromSigner, Hello, Report } from '../proto/gen/keyhold/v1/signer_link_pb.ts';
import { largestMessage, StatusError } from '../proto/grpc.ts';
import { Pulse } from '../proto/heartbeat.ts';
import { answerFromWire, brief, linkProtocol, type SendToSigner, type ToSignerInit } from '../proto/link.ts';
import type { Log } from '../proto/log.ts';
import { Outbox } from '../proto/outbox.ts';
import type { SignedRequest } from '../proto/signed_request.ts';
import { ChainLink } from './chain_link.ts';
import type { ChainSource } from './chain_source.ts';
import { CopyLink, heldState } from './copy_link.ts';
import type { OfferedRequest, SignerPort, SignerReport } from './signer_port.ts';
import type { StateCopy } from './state_copy.ts';

export interface LinkPortOptions {
  readonly hello: Hello;
  readonly node: string;
  /** 16 bytes, new whenever the host starts. */
  readonly boot: Uint8Array;
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** The copy of the node's state, where this host keeps one. */
  readonly copy?: StateCopy | undefined;
  /** Where news of the chain comes from, where there is such a source. */
  readonly chain?: ChainSource | undefined;
  /** Told when the signer says that it signs nothing. */
  readonly onProblem?: (port: LinkPort) => void;
}

interface Asked {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: unknown) => void;
}

/** Room that a request needs beside its message, in bytes. */
const framing = 1024;

/** A signer at the other end of a keyhold.v1.SignerLink stream. */
export class LinkPort implements SignerPort {
  readonly name: string;
  readonly software: string;
  readonly session: string;
  readonly approvesPayments: boolean;
  readonly keepsOrder = true;
  /** What goes to the signer; its end is the end of the stream. */
  readonly outbox = new Outbox<ToSignerInit>();
  readonly #options: LinkPortOptions;
  readonly #asked = new Map<bigint, Asked>();
  readonly #copy: CopyLink | undefined;
  readonly #chain: ChainLink | undefined;
  #pulse: Pulse | undefined;
  #report: SignerReport | undefined;

  constructor(options: LinkPortOptions) {
    this.#options = options;
    const { copy, chain, log } = options;
    const send: SendToSigner = (message) => this.#send(message);
    this.#copy = copy && new CopyLink(copy, send, log);
    this.#chain = chain && new ChainLink(chain, send, log);
    this.name = brief(options.hello.name);
    this.software = brief(options.hello.software);
    this.session = toHex(options.hello.session);
    this.approvesPayments = options.hello.approvesPayments;
  }

  get roundTripUs(): number {
    return this.#pulse?.roundTripUs ?? 0;
  }

  get report(): SignerReport | undefined {
    return this.#report;
  }

  welcome(active: boolean, lease: bigint): void {
    const { boot, node, heartbeatMs, clock } = this.#options;
    const about = { protocol: linkProtocol, boot, node, lease, active, heartbeatMs };
    this.#send({ case: 'welcome', value: { ...about, ...this.#held() } });
    this.#pulse = new Pulse({
      clock,
      everyMs: heartbeatMs,
      send: (value) => this.#send({ case: 'heartbeat', value }),
      lost: () => this.outbox.fail(new StatusError('DEADLINE_EXCEEDED', 'the signer has fallen silent')),
    });
  }

  promote(lease: bigint): void {
    this.#send({ case: 'promote', value: { lease, ...this.#held() } });
  }

  show(request: SignedRequest): void {
    const { length } = request.request;
    if (length <= largestMessage - framing) this.#send({ case: 'evidence', value: request });
    else this.#options.log('warn', 'a client’s request is too large to show', { bytes: length });
  }

  offer({ bytes, ...request }: OfferedRequest): Promise<Answer> {
    if (bytes.length > largestMessage - framing)
      return Promise.resolve({
        kind: 'unavailable',
        message: `a request of ${bytes.length} bytes is too large to send`,
      });
    return new Promise((resolve, reject) => {
      if (this.outbox.closed) {
        reject(new Error('the signer is gone'));
        return;
      }
      this.#asked.set(request.id, { resolve, reject });
      this.#send({ case: 'request', value: { ...request, message: bytes } });
    });
  }

  withdraw(id: bigint): void {
    this.#asked.delete(id);
  }

  dismiss(reason: string, unfit = false): void {
    this.#send({ case: 'goodbye', value: { reason, unfit } });
    this.outbox.close();
  }

  /** Takes a message of the signer; true where it was a goodbye. Throws `StatusError` for what it must not say now. */
  receive({ message }: FromSigner): boolean {
    this.#pulse?.heard();
    switch (message.case) {
      case 'answer': {
        const asked = this.#asked.get(message.value.id);
        this.#asked.delete(message.value.id);
        if (asked === undefined) this.#options.log('debug', 'answer to nothing asked', { request: message.value.id });
        asked?.resolve(answerFromWire(message.value));
        return false;
      }
      case 'heartbeat':
        this.#pulse?.receive(message.value);
        return false;
      case 'goodbye':
        return true;
      case 'stateUpdate':
        this.#copy?.receive(message.value);
        return false;
      case 'listState':
        this.#copy?.list();
        return false;
      case 'chainWanted':
        this.#chain?.want(message.value);
        return false;
      case 'report':
        this.#report = briefReport(message.value);
        if (this.#report.problem !== '') this.#options.onProblem?.(this);
        return false;
      case 'hello':
        throw new StatusError('INVALID_ARGUMENT', 'expected one hello, got a second');
      case undefined:
        return false;
    }
  }

  /** The stream is over: whatever was asked goes elsewhere. */
  [Symbol.dispose](): void {
    this.#pulse?.[Symbol.dispose]();
    this.#chain?.[Symbol.dispose]();
    this.outbox.close();
    for (const { reject } of this.#asked.values()) reject(new Error('the link to the signer was lost'));
    this.#asked.clear();
  }

  #held() {
    const { copy } = this.#options;
    return copy && { state: heldState(copy) };
  }

  #send(message: NonNullable<ToSignerInit['message']>): void {
    this.outbox.push({ message });
  }
}

/** Lines of each list that a host remembers. */
const mostLines = 200;

function briefReport({ policy, inactive, weakened, problem }: Report): SignerReport {
  const lines = (all: readonly string[]) => all.slice(0, mostLines).map(brief);
  return { policy: brief(policy), inactive: lines(inactive), weakened: lines(weakened), problem: brief(problem) };
}
