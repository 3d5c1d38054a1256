/**
 * BOLT 3 §Fee Calculation and §Trimmed Outputs. Feerates are satoshi per 1000 weight, amounts satoshi unless the name
 * says msat.
 */

import type { Htlc } from '../../proto/hsmd/fields.ts';
import type { Side } from './channel.ts';

/** The value of an anchor; the opener pays for two of them whether or not both are there. */
export const anchorValue = 330n;

const commitmentWeight = { plain: 724n, anchors: 1124n, htlc: 172n } as const;
const htlcWeight = { timeout: 663n, success: 703n } as const;

/** How an HTLC's owner of the transaction gets it: by timeout where it offered it, with the preimage where not. */
export type HtlcKind = keyof typeof htlcWeight;

/** BOLT 3's expected weight of a commitment with this many untrimmed HTLCs. */
export function expectedWeight(anchors: boolean, htlcs: number): bigint {
  return (anchors ? commitmentWeight.anchors : commitmentWeight.plain) + commitmentWeight.htlc * BigInt(htlcs);
}

/** What the opener pays for a commitment, without anchors (commit_tx_base_fee). */
export function commitmentFee(feerate: number, anchors: boolean, htlcs: number): bigint {
  return (BigInt(feerate) * expectedWeight(anchors, htlcs)) / 1000n;
}

/**
 * The highest feerate at which a commitment costs `fee`. Commitment 0 needs it: its messages say feerate 0. With
 * anchors a thousandth of the weight is more than 1 sat, so there is at most one such feerate.
 */
export function feerateOf(fee: bigint, anchors: boolean, htlcs: number): number {
  return fee < 0n ? 0 : Number((fee * 1000n + 999n) / expectedWeight(anchors, htlcs));
}

/** What an HTLC transaction pays: nothing in a channel with anchors. */
export function htlcFee(kind: HtlcKind, feerate: number, anchors: boolean): bigint {
  return anchors ? 0n : (BigInt(feerate) * htlcWeight[kind]) / 1000n;
}

/** Timeout or success, on `owner`'s commitment. */
export function htlcKind(htlc: Htlc, owner: Side): HtlcKind {
  return htlc.side === owner ? 'timeout' : 'success';
}

/** Whether an HTLC is too small for an output of its own on `owner`'s commitment; `dustLimit` is the owner's. */
export function isTrimmed(htlc: Htlc, owner: Side, feerate: number, anchors: boolean, dustLimit: bigint): boolean {
  return htlc.amount / 1000n < dustLimit + htlcFee(htlcKind(htlc, owner), feerate, anchors);
}
