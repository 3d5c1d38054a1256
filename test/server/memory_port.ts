import type { Answer, AnswerAhead } from '../../proto/answer.ts';
import type { SignedRequest } from '../../proto/signed_request.ts';
import type { OfferedRequest, SignerPort } from '../../server/signer_port.ts';

interface Offer {
  readonly request: OfferedRequest;
  readonly answer: (answer: Answer) => void;
  readonly fail: (error: unknown) => void;
}

/** A signer that answers when the test says so. */
export class MemoryPort implements SignerPort {
  readonly name: string;
  readonly software = 'test';
  readonly session: string;
  readonly roundTripUs = 0;
  approvesPayments = false;
  keepsOrder = false;
  /** Everything offered, answered or not. */
  readonly offers: Offer[] = [];
  /** The ids of requests that nobody waited for any more. */
  readonly withdrawn: bigint[] = [];
  /** Everything shown, in order. */
  readonly shown: SignedRequest[] = [];
  active: boolean | undefined;
  lease = 0n;
  dismissed: string | undefined;

  constructor(name = 'phone', session = name) {
    this.name = name;
    this.session = session;
  }

  welcome(active: boolean, lease: bigint): void {
    this.active = active;
    this.lease = lease;
  }

  promote(lease: bigint): void {
    this.active = true;
    this.lease = lease;
  }

  show(request: SignedRequest): void {
    this.shown.push(request);
  }

  offer(request: OfferedRequest): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.offers.push({ request, answer: resolve, fail: reject });
    });
  }

  withdraw(id: bigint): void {
    this.withdrawn.push(id);
  }

  dismiss(reason: string): void {
    this.dismissed = reason;
  }

  /** The offer at a place in the order they came. Throws where there are fewer. */
  offered(index: number): Offer {
    const offer = this.offers.at(index);
    if (offer === undefined) throw new RangeError(`expected an offer ${index}, got ${this.offers.length} in all`);
    return offer;
  }

  reply(index: number, bytes: Uint8Array, ahead: readonly AnswerAhead[] = []): void {
    this.offered(index).answer({ kind: 'reply', bytes, ahead });
  }

  /** What was offered, by its bytes: true where it was acknowledged to the node. */
  get said(): readonly (readonly [Uint8Array, boolean])[] {
    return this.offers.map(({ request }) => [request.bytes, request.acknowledged]);
  }

  /** The connection breaks. */
  break(): void {
    for (const { fail } of this.offers) fail(new Error('lost'));
  }
}
