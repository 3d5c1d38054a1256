/**
 * Every key of policy.toml that has a value of its own, one a row: what it may be, in which unit, which way is looser,
 * and a sentence. The parser, `keyhold policy`, the example file and the table in docs/policy.md all come from here.
 */

import type { Settings } from './settings.ts';

/** What stands in a table of its own. */
type ListField = 'allowedScripts' | 'allowedNodes' | 'revokedRunes' | 'severities';
export type Field = Exclude<keyof Settings, ListField>;

export interface Row<T> {
  /** For people: `satoshi`. */
  readonly unit: string;
  /** What may stand there, for people: `a whole number from 1 to 966`. */
  readonly expects: string;
  /** Which way it protects less. */
  readonly looser: 'higher' | 'lower' | 'true';
  readonly means: string;
  /** The value as TOML has it; undefined where it is none of these. */
  read(value: unknown): T | undefined;
}

type Looser = 'higher' | 'lower';

function amount(unit: string, least: bigint, most: bigint, looser: Looser, means: string): Row<bigint> {
  const read = (value: unknown) => (typeof value === 'bigint' && value >= least && value <= most ? value : undefined);
  return { unit, expects: `a whole number from ${least} to ${most}`, looser, means, read };
}

function count(unit: string, least: number, most: number, looser: Looser, means: string): Row<number> {
  const { expects, read } = amount(unit, BigInt(least), BigInt(most), looser, means);
  return { unit, expects, looser, means, read: (value) => (read(value) === undefined ? undefined : Number(value)) };
}

function percent(means: string): Row<number> {
  const read = (value: unknown) => {
    const number = typeof value === 'bigint' ? Number(value) : value;
    return typeof number === 'number' && number >= 0 && number <= 100 ? number : undefined;
  };
  return { unit: 'percent', expects: 'a number from 0 to 100', looser: 'higher', means, read };
}

function flag(means: string): Row<boolean> {
  const read = (value: unknown) => (typeof value === 'boolean' ? value : undefined);
  return { unit: 'true or false', expects: 'true or false, without quotes', looser: 'true', means, read };
}

const allSat = 2_100_000_000_000_000n;
const allMsat = allSat * 1000n;
const perkw = 'satoshi per 1000 weight';

// biome-ignore format: one setting a row
export const schema = {
  maxChannels:         count('channels', 0, 1_000_000, 'higher', 'channels at once'),
  maxChannelSat:       amount('satoshi', 0n, allSat, 'higher', 'what one channel is worth at most'),
  minDelayBlocks:      count('blocks', 1, 65_535, 'lower', 'the shortest to_self_delay, for either side'),
  maxDelayBlocks:      count('blocks', 1, 65_535, 'higher', 'the longest to_self_delay, for either side'),
  maxHtlcs:            count('HTLCs', 0, 966, 'higher', 'HTLCs in one commitment'),
  maxInFlightSat:      amount('satoshi', 0n, allSat, 'higher', 'what the HTLCs of one commitment are worth together'),
  maxDustSat:          amount('satoshi', 294n, 100_000n, 'higher', 'the highest dust limit of either side'),
  maxTrimmedSat:       amount('satoshi', 0n, allSat, 'higher', 'what all that is left out of one commitment adds up to'),
  minFeeratePerkw:     count(perkw, 0, 10_000_000, 'lower', 'the lowest feerate of any transaction'),
  maxFeeratePerkw:     count(perkw, 253, 10_000_000, 'higher', 'the highest feerate of any transaction'),
  ceilingFeeratePerkw: count(perkw, 253, 10_000_000, 'higher', 'how far an estimate of the chain’s feerate may raise max_feerate_perkw'),
  feeBudgetMsat:       amount('millisatoshi', 0n, allMsat, 'higher', 'the routing fee that every payment may cost'),
  feeBudgetPercent:    percent('the routing fee a payment may cost instead, where that is more, of its amount'),
  autoPayMsat:         amount('millisatoshi', 0n, allMsat, 'higher', 'a payment up to this much needs no approval'),
  paymentsMsatPerDay:  amount('millisatoshi', 0n, allMsat, 'higher', 'what payments without approval add up to in a day, with their fee budgets'),
  onchainSatPerDay:    amount('satoshi', 0n, allSat, 'higher', 'what leaves on-chain in a day without approval'),
  onchainFeesSatPerDay: amount('satoshi', 0n, allSat, 'higher', 'what the fees of wallet transactions and splices add up to in a day'),
  unlistedMsatPerDay:  amount('millisatoshi', 0n, allMsat, 'higher', 'what payments too small for an output add up to in a day'),
  minCltvDelta:        count('blocks', 0, 2016, 'lower', 'the time between the two expiries of a forwarded payment'),
  maxCltvBlocks:       count('blocks', 144, 100_000, 'higher', 'how far from the known height an HTLC that we offer may expire'),
  maxLeaseFeeSat:      amount('satoshi', 0n, allSat, 'higher', 'what the lease of a channel may cost'),
  stockRequests:       flag('whether signed requests count whose method is not signed too, where they can mean only one thing'),
  zeroConf:            flag('whether a channel may be used before its funding is buried'),
  buriedBlocks:        count('blocks', 1, 2016, 'lower', 'confirmations that count as buried'),
} as const satisfies { readonly [F in Field]: Row<Settings[F]> };

// The table has a row for each field and no others (checked above); Object.keys only forgets it.
export const fields = Object.keys(schema) as readonly Field[];

/** What a field is called in the file: max_channel_sat for maxChannelSat. */
export function keyOf(field: Field): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Settings of which the first may not be above the second. */
export const ordered: readonly (readonly [low: Field, high: Field])[] = [
  ['minDelayBlocks', 'maxDelayBlocks'],
  ['minFeeratePerkw', 'maxFeeratePerkw'],
  ['maxFeeratePerkw', 'ceilingFeeratePerkw'],
  ['autoPayMsat', 'paymentsMsatPerDay'],
];
