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
}

/** By payment hash (hex): what is counted for one may belong to another. */
export type Doubt = ReadonlyMap<string, Reading>;

/** Channels and the node remember the newest: of what is older the reading stands. */
export const mostDoubts = 32;

/** Of a payment that no doubt is about. */
export const certain: Reading = { paid: 0n, failed: 0n };

/**
 * What `chosen` leaves open of the HTLCs that left (`removed`), where `ways` are as good; undefined where nothing. What came in
 * is never in doubt: that the owner was paid is not taken back.
 */
export function doubtOf(removed: readonly Htlc[], chosen: Settlement, ways: readonly Settlement[]): Doubt | undefined {
  const readings = [chosen, ...ways].map(({ paid }) => new Set(paid));
  const [counted = new Set<Htlc>()] = readings;
  const offered = removed.filter(({ side }) => side === 'local');
  const differing = offered.filter((htlc) => readings.some((paid) => paid.has(htlc) !== counted.has(htlc)));
  // Not every way is tried where many are equal: those are as good as one another.
  const amounts = new Set(differing.map(({ amount }) => amount));
  const doubt = new Map<string, Reading>();
  for (const htlc of offered.filter(({ amount }) => amounts.has(amount))) {
    const hash = toHex(htlc.paymentHash);
    const { paid, failed } = doubt.get(hash) ?? certain;
    doubt.set(hash, counted.has(htlc) ? { paid: paid + htlc.amount, failed } : { paid, failed: failed + htlc.amount });
  }
  return isOpen(doubt) ? doubt : undefined;
}

/** Whether what one counts as paid could be another's. */
function isOpen(doubt: Doubt): boolean {
  const readings = [...doubt.values()];
  return doubt.size > 1 && readings.some(({ paid }) => paid > 0n) && readings.some(({ failed }) => failed > 0n);
}

/** What is left of doubts when only these payments are in question. */
export function doubtsAbout(doubts: readonly Doubt[], isIn: (hash: string) => boolean): readonly Doubt[] {
  return doubts.map((doubt): Doubt => new Map([...doubt].filter(([hash]) => isIn(hash)))).filter(isOpen);
}

/** The doubt after `msat` of what `from` counts as paid counts as paid for `to`, or for none. */
export function moved(doubt: Doubt, from: string, to: string | undefined, msat: bigint): Doubt {
  const next = new Map(doubt);
  const [source, target] = [doubt.get(from) ?? certain, to === undefined ? undefined : doubt.get(to)];
  next.set(from, { paid: source.paid - msat, failed: source.failed + msat });
  if (to !== undefined && target !== undefined)
    next.set(to, { paid: target.paid + msat, failed: target.failed - msat });
  return next;
}
