/**
 * What a balance leaves open: of payments that we offered and that left a commitment together it tells what was paid in
 * all, and not always for which of them. Two HTLCs of one amount, of which one was paid, look the same either way round. One
 * reading is counted, and this remembers how far another one would be as good.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import type { Settlement } from './settlement.ts';

/** Msat of one payment that count as paid and may not have been, and that count as failed and may have been paid. */
export interface Reading {
  readonly paid: bigint;
  readonly failed: bigint;
  /** Amounts and expiries of its HTLCs, while a channel remembers it: those of two sides are compared. */
  readonly htlcs?: readonly string[];
}

/** By payment hash (hex): what is counted for one may belong to another. */
export type Doubt = ReadonlyMap<string, Reading>;

/** Of a payment that no doubt is about. */
export const certain: Reading = { paid: 0n, failed: 0n };

/** Payments in doubt that are remembered: of what is older the reading stands. */
export const mostDoubted = 256;

/** The newest of these doubts, as many as are remembered. */
export function newest(doubts: readonly Doubt[]): readonly Doubt[] {
  let [kept, count] = [doubts.length, 0];
  for (const { size } of doubts.toReversed()) {
    count += size;
    if (count > mostDoubted) break;
    kept -= 1;
  }
  return doubts.slice(kept);
}

/**
 * HTLCs of which each may stand for others of its group, by ways to explain a step: equal ones, and those that a way tells
 * otherwise than `counted` does. What a way changes in two groups at once says nothing that the two do not.
 */
function groupsOf(offered: readonly Htlc[], counted: ReadonlySet<Htlc>, ways: readonly Settlement[]) {
  const byAmount = new Map<bigint, Htlc[]>();
  for (const htlc of offered) byAmount.set(htlc.amount, [...(byAmount.get(htlc.amount) ?? []), htlc]);
  let groups: readonly ReadonlySet<Htlc>[] = [...byAmount.values()].map((equal) => new Set(equal));
  const changes = ways.map(({ paid }) => {
    const other = new Set(paid);
    return offered.filter((htlc) => other.has(htlc) !== counted.has(htlc));
  });
  for (const change of changes.sort((a, b) => a.length - b.length)) {
    if (change.length < 2) continue;
    const touched = groups.filter((group) => change.some((htlc) => group.has(htlc)));
    const swaps = (group: ReadonlySet<Htlc>) => {
      const of = change.filter((htlc) => group.has(htlc));
      return of.some((htlc) => counted.has(htlc)) && of.some((htlc) => !counted.has(htlc));
    };
    if (touched.every(swaps)) continue;
    groups = [...groups.filter((group) => !touched.includes(group)), new Set(touched.flatMap((group) => [...group]))];
  }
  return groups;
}

/**
 * What `chosen` leaves open of the HTLCs that left (`removed`), where `ways` are as good. What came in is never in doubt:
 * that the owner was paid is not taken back.
 */
export function doubtsOf(removed: readonly Htlc[], chosen: Settlement, ways: readonly Settlement[]): readonly Doubt[] {
  const offered = removed.filter(({ side }) => side === 'local');
  if (offered.length < 2) return [];
  const counted = new Set(chosen.paid);
  const doubts = groupsOf(offered, counted, ways).map((group): Doubt => {
    const doubt = new Map<string, Reading>();
    for (const htlc of group) {
      const hash = toHex(htlc.paymentHash);
      const { paid, failed, htlcs = [] } = doubt.get(hash) ?? certain;
      const more = counted.has(htlc) ? { paid: paid + htlc.amount, failed } : { paid, failed: failed + htlc.amount };
      doubt.set(hash, { ...more, htlcs: [...htlcs, `${htlc.amount}/${htlc.cltvExpiry}`].sort() });
    }
    return doubt;
  });
  return doubts.filter(isOpen);
}

/** Whether what one counts as paid could be another's. */
function isOpen(doubt: Doubt): boolean {
  const readings = [...doubt.values()];
  return doubt.size > 1 && readings.some(({ paid }) => paid > 0n) && readings.some(({ failed }) => failed > 0n);
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** What both sides' doubts leave open of the same HTLCs. */
function both(a: Doubt, b: Doubt): Doubt {
  const shared = new Map<string, Reading>();
  for (const [hash, { paid, failed, htlcs }] of a) {
    const other = b.get(hash);
    // Of other amounts, they are other HTLCs of the payment.
    if (other === undefined || String(htlcs) !== String(other.htlcs)) continue;
    shared.set(hash, { paid: smaller(paid, other.paid), failed: smaller(failed, other.failed) });
  }
  return shared;
}

/** What two sides that read alike both leave open: what a side's doubt says of a payment counts once. */
export function sharedDoubts(local: readonly Doubt[], remote: readonly Doubt[]): readonly Doubt[] {
  const copies = (doubts: readonly Doubt[]) => doubts.map((doubt) => new Map(doubt));
  const [ours, theirs] = [copies(local), copies(remote)];
  const pairs = ours.flatMap((a) => theirs.map((b) => [a, b] as const));
  pairs.sort(([a, b], [c, d]) => both(c, d).size - both(a, b).size);
  return pairs.flatMap(([a, b]) => {
    const shared = both(a, b);
    if (!isOpen(shared)) return [];
    for (const hash of shared.keys()) for (const doubt of [a, b]) doubt.delete(hash);
    return [shared];
  });
}

/** The doubt after `msat` of what `from` counts as paid counts as paid for `to`, or for none. */
export function moved(doubt: Doubt, from: string, to: string | undefined, msat: bigint): Doubt {
  const next = new Map(doubt);
  const source = doubt.get(from) ?? certain;
  next.set(from, { ...source, paid: source.paid - msat, failed: source.failed + msat });
  const target = to === undefined ? undefined : doubt.get(to);
  if (to !== undefined && target !== undefined)
    next.set(to, { ...target, paid: target.paid + msat, failed: target.failed - msat });
  return next;
}
