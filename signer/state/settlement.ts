/**
 * What happened to the HTLCs that left a commitment: no message says whether one was fulfilled or failed, but our balance
 * does. Amounts are msat; a commitment shows whole satoshi, so a balance is an interval of at most 999 msat, or from 0 to
 * the dust limit where there is no output for us.
 */

import type { Htlc } from '../../proto/hsmd/fields.ts';
import type { Interval } from './account.ts';

/** One way to explain how one commitment became the next. */
export interface Settlement {
  /** HTLCs we offered that were paid, and ones offered to us that we were paid for. */
  readonly paid: readonly Htlc[];
  /** Msat that came to us by it: HTLCs we offered that failed, ones we were paid for, less ones we newly offered. */
  readonly moved: bigint;
}

function key({ side, paymentHash, amount, cltvExpiry }: Htlc): string {
  return `${side}/${amount}/${cltvExpiry}/${paymentHash.join()}`;
}

/** The items of `a` that are not in `b`, each as often as it is missing there. */
export function without(a: readonly Htlc[], b: readonly Htlc[]): readonly Htlc[] {
  const left = new Map<string, number>();
  for (const htlc of b) left.set(key(htlc), (left.get(key(htlc)) ?? 0) + 1);
  return a.filter((htlc) => {
    const count = left.get(key(htlc)) ?? 0;
    left.set(key(htlc), count - 1);
    return count <= 0;
  });
}

function total(htlcs: readonly Htlc[]): bigint {
  return htlcs.reduce((sum, { amount }) => sum + amount, 0n);
}

/**
 * Every way to explain the change from `before` to `after`, likeliest first: those that add up to the msat, then those
 * that leave least over, a gain or a loss of at most `unlistedLimit`. At most `attempts` are looked at.
 */
export function* settlements(
  before: { readonly balance: Interval; readonly htlcs: readonly Htlc[] },
  after: { readonly balance: Interval; readonly htlcs: readonly Htlc[] },
  unlistedLimit: bigint,
  attempts = 20_000,
): Generator<Settlement> {
  const removed = without(before.htlcs, after.htlcs);
  const offered = total(without(after.htlcs, before.htlcs).filter(({ side }) => side === 'local'));
  // What must have come back to us: HTLCs we offered that failed, HTLCs offered to us that were paid.
  const returned: Interval = {
    least: after.balance.least - before.balance.most + offered,
    most: after.balance.most - before.balance.least + offered,
  };
  const near: (Settlement & { readonly off: bigint })[] = [];
  for (const { ours, sum } of subsets(removed, returned, unlistedLimit, attempts)) {
    const paid = removed.filter((htlc) => ours.has(htlc) === (htlc.side === 'remote'));
    const moved = sum - offered;
    if (sum > returned.most) near.push({ paid, moved, off: sum - returned.most });
    else if (sum < returned.least) near.push({ paid, moved, off: returned.least - sum });
    else yield { paid, moved };
  }
  yield* near.sort((a, b) => compare(a.off, b.off));
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

interface Subset {
  readonly ours: ReadonlySet<Htlc>;
  readonly sum: bigint;
}

/** Subsets of `htlcs` whose sum is at most `target.most + slack`, the uniform ones first. */
function* subsets(htlcs: readonly Htlc[], target: Interval, slack: bigint, attempts: number): Generator<Subset> {
  const received = htlcs.filter(({ side }) => side === 'remote');
  const sent = htlcs.filter(({ side }) => side === 'local');
  const uniform = [received, [], htlcs, sent].map((list) => ({ ours: new Set(list), sum: total(list) }));
  const fits = ({ sum }: Subset) => sum <= target.most + slack;
  yield* uniform.filter(fits);
  if (uniform.some(({ sum }) => sum >= target.least && sum <= target.most)) return;
  const largestFirst = [...htlcs].sort((a, b) => compare(b.amount, a.amount));
  const rest = largestFirst.map((_, i) => total(largestFirst.slice(i)));
  let left = attempts;
  function* search(i: number, ours: readonly Htlc[], sum: bigint): Generator<Subset> {
    if (left-- <= 0 || sum > target.most + slack) return;
    const htlc = largestFirst[i];
    if (htlc === undefined) {
      if (sum >= target.least) yield { ours: new Set(ours), sum };
      return;
    }
    if (sum + (rest[i] ?? 0n) < target.least) return;
    yield* search(i + 1, [...ours, htlc], sum + htlc.amount);
    yield* search(i + 1, ours, sum);
  }
  yield* search(0, [], 0n);
}
