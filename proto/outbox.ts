/**
 * Messages that wait to be sent on a stream: whoever has one pushes it, the stream takes them out in order with
 * `for await`. There is one taker; the queue is as long as what its users leave unanswered, which each of them bounds.
 */
export class Outbox<T> implements AsyncIterable<T> {
  #waiting: T[] = [];
  #closed = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** Whether nothing can be pushed any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Appends a message; after `close` it is dropped. */
  push(message: T): void {
    if (this.#closed) return;
    this.#waiting.push(message);
    this.#wake?.();
  }

  /** Ends the iteration once what waits has been taken. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** The same, but the iteration ends by throwing this error. */
  fail(error: unknown): void {
    if (!this.#closed) this.#failure = { error };
    this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const batch = this.#waiting;
      this.#waiting = [];
      yield* batch;
      if (this.#waiting.length > 0) continue;
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#closed) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
