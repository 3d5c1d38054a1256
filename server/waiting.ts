import type { Answer } from '../proto/answer.ts';
import type { Call } from '../proto/hsmd/calls.ts';
import type { Lane } from './lane.ts';
import type { SignerPort } from './signer_port.ts';
import type { Tracing } from './trace.ts';

export interface WaitingRequest {
  readonly id: bigint;
  readonly lane: Lane;
  readonly call: Call;
  /** The hsmd message, type included. */
  readonly bytes: Uint8Array;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** The node has its answer: nobody waits for it but what rests on it. */
  readonly acknowledged: boolean;
  /** Whoever looks on, while somebody does. */
  readonly traced?: Tracing | undefined;
}

/** One request that waits for its answer, which it takes exactly once. */
export class Waiting {
  readonly request: WaitingRequest;
  /** The signer that has it now. */
  holder: SignerPort | undefined;
  /** Settles with the first answer, rejects if the request was abandoned first. */
  readonly answer: Promise<Answer>;
  readonly #nobodyWaits = new AbortController();
  #resolve: (answer: Answer) => void = () => {};
  #reject: (reason: unknown) => void = () => {};
  #settled = false;

  constructor(request: WaitingRequest) {
    this.request = request;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Aborts when the request ends without the answer of its holder. */
  get nobodyWaits(): AbortSignal {
    return this.#nobodyWaits.signal;
  }

  /** The holder's answer. */
  settle(answer: Answer): void {
    this.#settled = true;
    this.#resolve(answer);
  }

  /** The end of its patience. */
  expire(answer: Answer): void {
    this.settle(answer);
    this.#nobodyWaits.abort();
  }

  /** Whoever asked is gone. */
  abandon(reason: unknown): void {
    this.#settled = true;
    this.#reject(reason);
    this.#nobodyWaits.abort();
  }
}
