/**
 * Feerate bounds that follow the market without trusting who reports it: a host's estimate moves a bound, but only
 * between the owner's absolute floor and ceiling. All feerates are in satoshi per 1000 weight.
 */

/** The least a node relays by default (1 sat per vbyte), rounded as Core Lightning does. */
export const relayFloor = 253;

export interface FeeLimits {
  /** No bound goes below this. */
  readonly floor: number;
  /** No bound goes above this, whatever the estimate. */
  readonly ceiling: number;
  /** The upper bound while no estimate is known. */
  readonly usualCeiling: number;
  /** How many times the estimate the upper bound is, and how many parts of it the lower. */
  readonly leeway: number;
  /** For how long an estimate counts, in milliseconds. */
  readonly maxAge: number;
}

/** A host's word on what a transaction pays to confirm soon. */
export interface FeeEstimate {
  readonly feerate: number;
  /** When it came, in milliseconds since 1970. */
  readonly at: number;
}

export interface FeeBounds {
  readonly min: number;
  readonly max: number;
  /** Whether an estimate was used. */
  readonly estimated: boolean;
}

export const defaultFeeLimits: FeeLimits = {
  floor: relayFloor,
  ceiling: 250_000,
  usualCeiling: 75_000,
  leeway: 5,
  maxAge: 3 * 3_600_000,
};

/** Throws RangeError unless relayFloor ≤ floor ≤ usualCeiling ≤ ceiling and leeway ≥ 1. */
export function checkFeeLimits({ floor, ceiling, usualCeiling, leeway }: FeeLimits): void {
  if (!(relayFloor <= floor && floor <= usualCeiling && usualCeiling <= ceiling && ceiling < 2 ** 32))
    throw new RangeError(
      `expected ${relayFloor} ≤ floor ≤ usual ceiling ≤ ceiling, got ${floor}, ${usualCeiling}, ${ceiling}`,
    );
  if (!(leeway >= 1)) throw new RangeError(`expected a leeway of at least 1, got ${leeway}`);
}

/** The bounds at a moment (milliseconds since 1970); an estimate that is old, missing or no feerate changes nothing. */
export function feeBounds(limits: FeeLimits, estimate: FeeEstimate | undefined, now: number): FeeBounds {
  const { floor, ceiling, usualCeiling, leeway, maxAge } = limits;
  if (estimate === undefined || !isUsable(estimate, now, maxAge))
    return { min: floor, max: usualCeiling, estimated: false };
  const within = (feerate: number) => Math.min(Math.max(Math.floor(feerate), floor), ceiling);
  return { min: within(estimate.feerate / leeway), max: within(estimate.feerate * leeway), estimated: true };
}

function isUsable({ feerate, at }: FeeEstimate, now: number, maxAge: number): boolean {
  return Number.isFinite(feerate) && feerate > 0 && at <= now && now - at <= maxAge;
}
