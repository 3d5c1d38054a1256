/**
 * What happened to the HTLCs that left a commitment: no message says whether one was fulfilled or failed, but our balance
 * does. Amounts are msat; a commitment shows whole satoshi, so a balance is an interval of at most 999 msat, or from 0 to
 * the dust limit where there is no output for us.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { type Interval, shifted } from './account.ts';
import { subsetsNear } from './subset_sums.ts';

/** One way to explain how one commitment became the next. */
export interface Settlement {
  /** HTLCs we offered that were paid, and ones offered to us that we were paid for. */
  readonly paid: readonly Htlc[];
  /** Msat that came to us by it: HTLCs we offered that failed, ones we were paid for, less ones we newly offered. */
  readonly moved: bigint;
}

/** Msat beside listed HTLCs: what may have come to us, and have left us. */
export interface Slack {
  readonly gain: bigint;
  readonly loss: bigint;
}

function key({ side, paymentHash, amount, cltvExpiry }: Htlc): string {
  return `${side}/${amount}/${cltvExpiry}/${toHex(paymentHash)}`;
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

/** What a commitment says of our balance and HTLCs. */
interface Standing {
  readonly balance: Interval;
  readonly htlcs: readonly Htlc[];
}

/** What is known of an HTLC from elsewhere: whether it was paid. */
export type Known = (htlc: Htlc) => boolean | undefined;

/**
 * Ways to explain the change from `before` to `after` that agree with what is known, likeliest first: those that add up to
 * the msat, then those that leave least over, a gain or a loss within `slack`.
 */
export function* settlements(
  before: Standing,
  after: Standing,
  slack: Slack,
  isPaid: Known = () => undefined,
): Generator<Settlement> {
  const removed = without(before.htlcs, after.htlcs);
  const offered = total(without(after.htlcs, before.htlcs).filter(({ side }) => side === 'local'));
  const known = removed.filter((htlc) => isPaid(htlc) !== undefined);
  const paid = known.filter(isPaid);
  const returned = total(known.filter((htlc) => isOurs(htlc, paid.includes(htlc))));
  const open = removed.filter((htlc) => !known.includes(htlc));
  const change = {
    least: after.balance.least - before.balance.most,
    most: after.balance.most - before.balance.least,
  };
  yield* waysOf(open, change, slack, { paid, moved: returned - offered });
}

/** Whether it came to us: offered by us and failed, or offered to us and paid. */
function isOurs({ side }: Htlc, isPaid: boolean): boolean {
  return isPaid === (side === 'remote');
}

/** Ways that settle `htlcs` so or so, in addition to what is settled for certain. */
function* waysOf(
  htlcs: readonly Htlc[],
  change: Interval,
  slack: Slack,
  { paid, moved }: Settlement,
): Generator<Settlement> {
  // What must have come back to us.
  const returned = shifted(change, -moved);
  const near: (Settlement & { readonly off: bigint })[] = [];
  for (const { ours, sum } of subsets(htlcs, returned, slack)) {
    const way = {
      paid: [...paid, ...htlcs.filter((htlc) => ours.has(htlc) === (htlc.side === 'remote'))],
      moved: moved + sum,
    };
    if (sum > returned.most) near.push({ ...way, off: sum - returned.most });
    else if (sum < returned.least) near.push({ ...way, off: returned.least - sum });
    else yield way;
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

/** Subsets of `htlcs` whose sum is near the target, the uniform ones first. */
function* subsets(htlcs: readonly Htlc[], target: Interval, slack: Slack): Generator<Subset> {
  const [least, most] = [target.least - slack.gain, target.most + slack.loss];
  const received = htlcs.filter(({ side }) => side === 'remote');
  const sent = htlcs.filter(({ side }) => side === 'local');
  // After most steps nothing is open: then all of these are the same.
  const lists = htlcs.length === 0 ? [htlcs] : [received, [], htlcs, sent];
  const uniform = lists.map((list) => ({ ours: new Set(list), sum: total(list) }));
  yield* uniform.filter(({ sum }) => sum >= least && sum <= most);
  if (htlcs.length === 0) return;
  const amounts = htlcs.map(({ amount }) => amount);
  for (const found of subsetsNear(amounts, target, { below: slack.gain, above: slack.loss })) {
    const ours = htlcs.filter((_, index) => found.has(index));
    yield { ours: new Set(ours), sum: total(ours) };
  }
}
