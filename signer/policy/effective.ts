/** Settings as they hold at a moment: the chain's feerate may raise the upper feerate bound, within the owner's ceiling. */

import { defaultFeeLimits, type FeeEstimate, feeBounds } from '../chain/feerate.ts';
import type { Settings } from './settings.ts';

/** `now` in milliseconds since 1970. An estimate never lowers a bound, and never moves the lower one. */
export function effectiveSettings(settings: Settings, estimate: FeeEstimate | undefined, now: number): Settings {
  const { minFeeratePerkw: floor, maxFeeratePerkw: usualCeiling, ceilingFeeratePerkw: ceiling } = settings;
  const { max } = feeBounds({ ...defaultFeeLimits, floor, usualCeiling, ceiling }, estimate, now);
  return max > usualCeiling ? { ...settings, maxFeeratePerkw: max } : settings;
}
