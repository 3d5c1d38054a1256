import type { ClientIdentity } from '../proto/answer.ts';

/**
 * One connection's requests, strictly one after the other: the next begins when the one before is settled. The number
 * is unique among the lanes of one node as long as this host runs.
 */
export class Lane {
  readonly number: bigint;
  readonly client: ClientIdentity;
  #last: Promise<unknown> = Promise.resolve();

  constructor(number: bigint, client: ClientIdentity) {
    this.number = number;
    this.client = client;
  }

  /** Runs `task` when all earlier ones have ended, well or badly. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
