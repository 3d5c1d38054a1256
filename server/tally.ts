import type { Call } from '../proto/hsmd/calls.ts';

/** Who answered a request: the signer while the node waited, the signer ahead, the host from what it knew or declared before, or the host before the signer decided. */
export type AnsweredBy = 'asked' | 'ahead' | 'known' | 'acknowledged';

export type CallCounts = { readonly [B in AnsweredBy]: number };

/** How often requests of each kind waited for a signer, and how often they did not have to. */
export class Tally {
  readonly #counts = new Map<Call, Record<AnsweredBy, number>>();

  count(call: Call, by: AnsweredBy): void {
    const counts = this.#counts.get(call) ?? { asked: 0, ahead: 0, known: 0, acknowledged: 0 };
    this.#counts.set(call, counts);
    counts[by] += 1;
  }

  byCall(): ReadonlyMap<Call, CallCounts> {
    return this.#counts;
  }

  /** Over all calls. */
  total(by: AnsweredBy): number {
    return [...this.#counts.values()].reduce((sum, counts) => sum + counts[by], 0);
  }
}
