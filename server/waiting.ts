import type { Answer } from '../proto/answer.ts';
import type { Call } from '../proto/hsmd/calls.ts';
import type { Pledge } from './early.ts';
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
  /** The answer that the node may have before the signer decides; then it is decided whatever becomes of the node. */
  readonly pledge?: Pledge | undefined;
  /** Whoever looks on, while somebody does. */
  readonly traced?: Tracing | undefined;
}

/** One request: the one answer that whoever asked gets, and until when a signer is to have it. */
export class Waiting {
  readonly request: WaitingRequest;
  /** The signer that has it now. */
  holder: SignerPort | undefined;
  /** Settles with the first answer, rejects if the request was abandoned first. */
  readonly answer: Promise<Answer>;
  #resolve: (answer: Answer) => void = () => {};
  #reject: (reason: unknown) => void = () => {};
  #settled = false;
  #open = true;
  #acknowledged = false;

  constructor(request: WaitingRequest) {
    this.request = request;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Whether no signer is to have it any more. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Whether somebody waits for its answer. */
  get open(): boolean {
    return this.#open;
  }

  /** Whether the node was answered before the signer decided. */
  get acknowledged(): boolean {
    return this.#acknowledged;
  }

  /** The holder's answer. */
  settle(answer: Answer): void {
    this.#settled = true;
    this.#open = false;
    this.#resolve(answer);
  }

  /** The pledge is good: the node need not wait for the holder, if it still does. */
  acknowledge({ answer }: Pledge): void {
    if (!this.#open) return;
    this.#open = false;
    this.#acknowledged = true;
    this.#resolve(answer);
  }

  /** The end of its patience. */
  expire(answer: Answer): void {
    this.#resolve(answer);
    this.#leave();
  }

  /** Whoever asked is gone. */
  abandon(reason: unknown): void {
    this.#reject(reason);
    this.#leave();
  }

  #leave(): void {
    this.#open = false;
    if (this.request.pledge !== undefined) return;
    this.#settled = true;
    this.holder?.withdraw(this.request.id);
  }
}
