/**
 * Which of several amounts add up to about a target. All subsets of half of them are met with all of the other half, so
 * up to 28 amounts are tried in every combination, in milliseconds; of more, the largest are decided on one by one, and
 * of equal ones all but one, for of those it matters only how many are taken.
 */

import type { Interval } from './account.ts';

/** Amounts in each half. */
const inHalf = 14;
/** Subsets that are found, at most, as near as that: a hostile host shall not keep the signer busy. */
const mostFound = 100;
/** Windows around the target, by what part of the slack they take in: what is nearest is found first. */
const windows = [0, 1 / 64, 1 / 8, 1] as const;

interface Half {
  /** What each subset adds up to; bits of the index are the amounts in it. */
  readonly sums: Float64Array;
  /** Subsets in order of their sums. */
  readonly order: Uint16Array;
}

function halfOf(amounts: readonly number[]): Half {
  const sums = new Float64Array(1 << amounts.length);
  for (let subset = 1; subset < sums.length; subset++) {
    const last = 31 - Math.clz32(subset);
    sums[subset] = (sums[subset ^ (1 << last)] ?? 0) + (amounts[last] ?? 0);
  }
  return { sums, order: Uint16Array.from(sums.keys()).sort((a, b) => (sums[a] ?? 0) - (sums[b] ?? 0)) };
}

/** Pairs of subsets whose sums together are between `least` and `most`, but not between `from` and `to`. */
function* meeting(
  [left, right]: readonly [Half, Half],
  [least, most]: readonly [number, number],
  [from, to]: readonly [number, number],
): Generator<readonly [left: number, right: number]> {
  let top = right.order.length;
  for (const a of left.order) {
    const sum = left.sums[a] ?? 0;
    const sumAt = (i: number) => sum + (right.sums[right.order[i] ?? 0] ?? 0);
    while (top > 0 && sumAt(top - 1) > most) top -= 1;
    for (let i = top - 1; i >= 0 && sumAt(i) >= least; i--)
      if (sumAt(i) < from || sumAt(i) > to) yield [a, right.order[i] ?? 0];
  }
}

/** Of amounts that are not tried in every way, the largest first, those that are taken: what is left over stays in reach. */
function decided(amounts: readonly number[], order: readonly number[], target: number): readonly number[] {
  const taken: number[] = [];
  let [wanted, left] = [target, amounts.reduce((sum, amount) => sum + amount, 0)];
  for (const index of order) {
    const amount = amounts[index] ?? 0;
    if (2 * wanted > left) {
      taken.push(index);
      wanted -= amount;
    }
    left -= amount;
  }
  return taken;
}

/**
 * Subsets of `amounts` (msat, up to 2^53 together), as sets of indexes, that add up to `target` or are off by no more than
 * `below` and `above`, about in order of how near they are.
 */
export function* subsetsNear(
  amounts: readonly bigint[],
  target: Interval,
  { below, above }: { readonly below: bigint; readonly above: bigint },
): Generator<ReadonlySet<number>> {
  const all = amounts.map(Number);
  const largestFirst = [...all.keys()].sort((a, b) => (all[b] ?? 0) - (all[a] ?? 0));
  const alike = largestFirst.filter((index, i) => i > 0 && all[index] === all[largestFirst[i - 1] ?? 0]);
  const known = new Set(alike);
  const tried = [...alike, ...largestFirst.filter((index) => !known.has(index))].slice(-2 * inHalf);
  const rest = largestFirst.filter((index) => !tried.includes(index));
  const taken = decided(all, rest, Number(target.least + target.most) / 2);
  const given = taken.reduce((sum, index) => sum + (all[index] ?? 0), 0);
  const [evens, odds] = [0, 1].map((rest) => tried.filter((_, i) => i % 2 === rest));
  if (evens === undefined || odds === undefined) return;
  const halves = [evens, odds].map((half) => halfOf(half.map((index) => all[index] ?? 0)));
  const [left, right] = halves;
  if (left === undefined || right === undefined) return;
  let [found, inner] = [0, [1, 0] as readonly [number, number]];
  for (const part of windows) {
    const window = [
      Number(target.least) - Number(below) * part - given,
      Number(target.most) + Number(above) * part - given,
    ] as const;
    for (const [a, b] of meeting([left, right], window, inner)) {
      const isIn = (subset: number) => (_: number, bit: number) => (subset & (1 << bit)) !== 0;
      yield new Set([...taken, ...evens.filter(isIn(a)), ...odds.filter(isIn(b))]);
      if (++found >= mostFound) return;
    }
    inner = window;
  }
}
