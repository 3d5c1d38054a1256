/**
 * What the owner allows, in units that stand in the names. The policy file (policy.toml) says what differs from a
 * profile; `docs/policy.md` explains each. Amounts are satoshi or msat, feerates satoshi per 1000 weight, delays blocks.
 */

import type { Severity } from './rules.ts';

export interface Settings {
  readonly maxChannels: number;
  readonly maxChannelSat: bigint;
  /** Bounds for both sides' to_self_delay. */
  readonly minDelayBlocks: number;
  readonly maxDelayBlocks: number;
  readonly maxHtlcs: number;
  readonly maxInFlightSat: bigint;
  /** The highest dust limit a peer may have: what is trimmed is below it. */
  readonly maxDustSat: bigint;
  /** What all that is trimmed from one commitment may add up to. */
  readonly maxTrimmedSat: bigint;
  /** Feerates of commitments, closes, sweeps and wallet transactions. An estimate may raise the upper one to `ceiling`. */
  readonly minFeeratePerkw: number;
  readonly maxFeeratePerkw: number;
  readonly ceilingFeeratePerkw: number;
  /** A payment's routing fee may reach the larger of the two. */
  readonly feeBudgetMsat: bigint;
  readonly feeBudgetPercent: number;
  /** Payments without a request of the owner's: this much each and a day; 0 for none. */
  readonly autoPayMsat: bigint;
  readonly paymentsMsatPerDay: bigint;
  readonly onchainSatPerDay: bigint;
  /** Fees of wallet transactions and of splices, a day. */
  readonly onchainFeesSatPerDay: bigint;
  /** What may leave by payments too small for an output, a day. */
  readonly unlistedMsatPerDay: bigint;
  readonly minCltvDelta: number;
  /** Blocks around the known height in which an HTLC may expire. */
  readonly maxCltvBlocks: number;
  /** The most a lease may cost us as its buyer: parts per million of the channel, and satoshi. */
  readonly maxLeaseFeeSat: bigint;
  /** scriptPubKeys in hex, node ids in hex: value may go there without asking. */
  readonly allowedScripts: ReadonlySet<string>;
  readonly allowedNodes: ReadonlySet<string>;
  /** Requests of clients that do not sign the URI count too, where they can mean only one thing. */
  readonly stockRequests: boolean;
  /** Ids of runes that count no more. */
  readonly revokedRunes: ReadonlySet<string>;
  /** Zero-conf channels count as buried. */
  readonly zeroConf: boolean;
  readonly buriedBlocks: number;
  /** By tag or by its beginning; the longest match counts. */
  readonly severities: ReadonlyMap<string, Severity>;
}

const mainnet: Settings = {
  maxChannels: 1000,
  maxChannelSat: 1_000_000_000n,
  minDelayBlocks: 144,
  maxDelayBlocks: 2016,
  maxHtlcs: 966,
  maxInFlightSat: 1_000_000_000n,
  maxDustSat: 1000n,
  maxTrimmedSat: 100_000n,
  minFeeratePerkw: 253,
  maxFeeratePerkw: 75_000,
  ceilingFeeratePerkw: 250_000,
  feeBudgetMsat: 10_000n,
  feeBudgetPercent: 1,
  autoPayMsat: 0n,
  paymentsMsatPerDay: 0n,
  onchainSatPerDay: 0n,
  onchainFeesSatPerDay: 1_000_000n,
  unlistedMsatPerDay: 20_000_000n,
  minCltvDelta: 5,
  maxCltvBlocks: 2016,
  maxLeaseFeeSat: 0n,
  allowedScripts: new Set(),
  allowedNodes: new Set(),
  stockRequests: true,
  revokedRunes: new Set(),
  zeroConf: false,
  buriedBlocks: 1,
  severities: new Map(),
};

/** Where a policy file starts from. */
export const profiles = {
  mainnet,
  test: { ...mainnet, minDelayBlocks: 4, zeroConf: true, maxLeaseFeeSat: 100_000n },
} as const satisfies { readonly [name: string]: Settings };

/** A rule's severity under these settings; `otherwise` is the table's own. */
export function severityOf(settings: Settings, tag: string, otherwise: Severity): Severity {
  let best: readonly [length: number, Severity] = [-1, otherwise];
  for (const [prefix, severity] of settings.severities)
    if (tag.startsWith(prefix) && prefix.length > best[0]) best = [prefix.length, severity];
  return best[1];
}

/** The routing fee a payment of `msat` may cost. */
export function feeBudget(settings: Settings, msat: bigint): bigint {
  const share = (msat * BigInt(Math.round(settings.feeBudgetPercent * 1000))) / 100_000n;
  return share > settings.feeBudgetMsat ? share : settings.feeBudgetMsat;
}
