/** What the signer remembers of the node as a whole: approvals, velocity, forgotten channels, payments that ended in one channel and go on in another. */

import type { Approval } from './approvals.ts';
import type { Settled } from './channel_state.ts';
import type { Doubt } from './doubt.ts';
import { Entries } from './entries.ts';

/** Spending counted against a limit a day: leaks away evenly. */
export interface Bucket {
  readonly used: bigint;
  /** Unix seconds of the last change. */
  readonly at: number;
}

export const buckets = ['payments', 'onchain', 'onchainFees', 'unlisted'] as const;
export type BucketName = (typeof buckets)[number];

export interface NodeState {
  /** The highest dbid forgotten: none at or below it opens again. */
  readonly forgottenDbid: bigint;
  /** By payment hash (hex). */
  readonly approvals: Entries<Approval>;
  /** What was settled in channels where the payment is over, while it is not in others or is in doubt; by payment hash (hex). */
  readonly settled: Entries<Settled>;
  /** What of that could as well be read otherwise, the oldest first. */
  readonly doubts: readonly Doubt[];
  readonly buckets: { readonly [B in BucketName]: Bucket };
  /** At least the highest wallet key index that lightningd ever named. */
  readonly walletIndex: number;
  /** What was allowed last to wallet transactions, each a txid and a purpose: asked again, it counts no second time. */
  readonly recentSpends: readonly string[];
}

const empty: Bucket = { used: 0n, at: 0 };

export const freshNode: NodeState = {
  forgottenDbid: 0n,
  approvals: new Entries(new Map()),
  settled: new Entries(new Map()),
  doubts: [],
  buckets: { payments: empty, onchain: empty, onchainFees: empty, unlisted: empty },
  walletIndex: 0,
  recentSpends: [],
};

const day = 86_400n;

/** What a bucket holds now, when `perDay` leaks out of it in a day. */
export function level({ used, at }: Bucket, perDay: bigint, now: number): bigint {
  const leaked = (perDay * BigInt(Math.max(0, now - at))) / day;
  return used > leaked ? used - leaked : 0n;
}

/** The bucket with `amount` more in it; undefined where that is above `perDay`. */
export function pour(bucket: Bucket, amount: bigint, perDay: bigint, now: number): Bucket | undefined {
  const used = level(bucket, perDay, now) + amount;
  return used > perDay ? undefined : { used, at: now };
}
