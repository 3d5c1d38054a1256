import type { Answer } from '../proto/answer.ts';
import { equalBytes } from '../proto/bytes.ts';

/** More than a host has in flight; what a hostile one asks beyond is forgotten from its oldest. */
const MOST_KEPT = 4096;

interface Kept {
  readonly request: Uint8Array;
  readonly answer: Promise<Answer>;
}

/**
 * The answers to requests that the host has not called settled, by id: a request that it sends again, because the link
 * broke, is not carried out again and its answer is not lost. That there was none is not kept: asked again later, the
 * request is carried out.
 */
export class AnswerCache {
  /** In order of arrival, which is that of the ids but for what was offered again. */
  readonly #kept = new Map<bigint, Kept>();

  /** The answer to a request asked before, which may still be on its way. An id used again for other bytes has none. */
  get(id: bigint, request: Uint8Array): Promise<Answer> | undefined {
    const kept = this.#kept.get(id);
    if (kept === undefined) return undefined;
    if (equalBytes(kept.request, request)) return kept.answer;
    return Promise.resolve({ kind: 'unavailable', message: `request id ${id} was used before for other bytes` });
  }

  put(id: bigint, request: Uint8Array, answer: Promise<Answer>): void {
    this.#kept.set(id, { request, answer });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    void answer.then(({ kind }) => {
      if (kind === 'unavailable' && this.#kept.get(id)?.answer === answer) this.#kept.delete(id);
    });
  }

  /** Forgets what is settled for good. */
  forgetBelow(id: bigint): void {
    for (const known of this.#kept.keys()) {
      if (known >= id) return;
      this.#kept.delete(known);
    }
  }

  clear(): void {
    this.#kept.clear();
  }
}
