import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Answer } from '../proto/answer.ts';
import type { Clock } from '../proto/clock.ts';
import type { HsmRequestSchema, HsmResponse } from '../proto/gen/greenlight/greenlight_pb.ts';
import { brief } from '../proto/link.ts';
import { Outbox } from '../proto/outbox.ts';
import type { SignedRequest } from '../proto/signed_request.ts';
import { type GreenlightEntry, type GreenlightState, pieces } from './greenlight_state.ts';
import { RecentRequests } from './recent_requests.ts';
import { isLightningd } from './refusal.ts';
import type { OfferedRequest, SignerPort } from './signer_port.ts';

/** A request that asks for nothing but a sign of life: type 2008 without fields. */
const signOfLife = Uint8Array.of(0x07, 0xd8);

/** Greenlight counts in 32 bits. */
const requestIdOf = (id: bigint): number => Number(BigInt.asUintN(32, id));

interface Asked {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * A signer that speaks Greenlight's protocol: requests on a stream, each response a call of its own. It says neither who
 * it is nor goodbye, so every stream is a new session.
 */
export class GreenlightPort implements SignerPort {
  readonly name: string;
  readonly software = 'greenlight';
  readonly session: string;
  readonly roundTripUs = 0;
  readonly outbox = new Outbox<MessageInitShape<typeof HsmRequestSchema>>();
  readonly #asked = new Map<number, Asked>();
  readonly #state: GreenlightState | undefined;
  readonly #clock: Clock;
  /** Its requests carry those of clients along, each for as long as it counts. */
  readonly #shown = new RecentRequests();
  /** How many of the state's changes the signer knows; undefined before it was told any. */
  #known: number | undefined;

  constructor(name: string, session: string, state: GreenlightState | undefined, clock: Clock) {
    this.name = name;
    this.session = session;
    this.#state = state;
    this.#clock = clock;
    this.outbox.push({ requestId: 0, raw: signOfLife, signerState: this.#news() });
  }

  welcome(): void {}

  promote(): void {}

  show(request: SignedRequest): void {
    this.#shown.add(request, this.#clock.now());
  }

  offer({ id, client, bytes }: OfferedRequest): Promise<Answer> {
    const requestId = requestIdOf(id);
    const context = isLightningd(client) ? {} : { context: client };
    return new Promise((resolve, reject) => {
      if (this.outbox.closed) {
        reject(new Error('the signer is gone'));
        return;
      }
      this.#asked.set(requestId, { resolve, reject });
      const requests = [...this.#shown.list(this.#clock.now())];
      this.outbox.push({ requestId, raw: bytes, ...context, signerState: this.#news(), requests });
    });
  }

  withdraw(id: bigint): void {
    this.#asked.delete(requestIdOf(id));
  }

  dismiss(): void {
    this.outbox.close();
  }

  hasAsked(requestId: number): boolean {
    return this.#asked.has(requestId);
  }

  /** The signer made the state's changes from one number of them to another, and need not be told. */
  knows({ before, after }: { readonly before: number; readonly after: number }): void {
    if (this.#known === before) this.#known = after;
  }

  /** Takes a response to something asked here. */
  receive({ requestId, raw, error }: HsmResponse): void {
    const asked = this.#asked.get(requestId);
    this.#asked.delete(requestId);
    asked?.resolve(
      error === ''
        ? { kind: 'reply', bytes: raw }
        : { kind: 'refused', tag: 'greenlight-signer', message: brief(error) },
    );
  }

  /** What the signer does not know of the state; what is too much for one message goes ahead of it. */
  #news(): GreenlightEntry[] {
    if (this.#state === undefined || this.#known === this.#state.changes) return [];
    const news = pieces(this.#state.since(this.#known));
    this.#known = this.#state.changes;
    const last = news.pop() ?? [];
    for (const signerState of news) this.outbox.push({ requestId: 0, raw: signOfLife, signerState });
    return last;
  }

  /** The stream is over. */
  [Symbol.dispose](): void {
    this.outbox.close();
    for (const { reject } of this.#asked.values()) reject(new Error('the stream to the signer was lost'));
    this.#asked.clear();
  }
}
