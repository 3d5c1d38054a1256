/**
 * BOLT 3's per-commitment secrets: 2^48 of them from one seed, each from the seed by hashing once for every bit set in
 * its index. Commitment n uses index 2^48 - 1 - n, so neighbours share all but their last few hashes: the walk to the
 * last index is kept, and the next one starts where the two part.
 */

import { Secret } from '../../proto/secret.ts';
import { sha256 } from '../crypto/hash.ts';

const bits = 48;
/** Commitment numbers reach from 0 to this, less one. */
export const commitmentNumbers = 1n << BigInt(bits);

export class Shachain {
  /** `#walk[k]` is the value after the k highest bits have been handled; `#walk[0]` is the seed. */
  readonly #walk: Uint8Array[];
  #index = 0n;
  /** How many steps of `#walk` belong to `#index`. */
  #steps = 0;

  constructor(seed: Secret) {
    this.#walk = seed.use((bytes) =>
      Array.from({ length: bits + 1 }, (_, k) => (k === 0 ? Uint8Array.from(bytes) : new Uint8Array(32))),
    );
  }

  /** The secret of commitment `n`; undefined from 2^48 on (per_commit_secret). */
  secret(n: bigint): Secret | undefined {
    if (n >= commitmentNumbers) return undefined;
    const index = commitmentNumbers - 1n - n;
    let step = Math.min(this.#steps, sharedBits(index, this.#index));
    for (; step < bits; step++) {
      const bit = bits - 1 - step;
      const from = this.#walk[step] as Uint8Array; // the array has bits + 1 entries
      const to = this.#walk[step + 1] as Uint8Array;
      to.set(from);
      if ((index >> BigInt(bit)) & 1n) {
        to[bit >> 3] = (to[bit >> 3] as number) ^ (1 << (bit & 7));
        to.set(sha256(to));
      }
    }
    this.#index = index;
    this.#steps = bits;
    return Secret.copyOf(this.#walk[bits] as Uint8Array);
  }

  [Symbol.dispose](): void {
    for (const value of this.#walk) value.fill(0);
  }
}

/** How many of the highest bits two indexes share. */
function sharedBits(a: bigint, b: bigint): number {
  const different = a ^ b;
  return different === 0n ? bits : bits - different.toString(2).length;
}
