/** Where settings protect less than the profile that fits the network: to be said at every start. */

import type { Network } from '../chain/networks.ts';
import { type PolicyFile, profileFor } from './policy_file.ts';
import { rules, type Severity } from './rules.ts';
import { fields, keyOf, schema } from './schema.ts';
import { profiles, type Settings, severityOf } from './settings.ts';

/** What leaves without the owner's word. Where whoever calls lightningd is the owner, these are limits: without them all may. */
const withoutWord: ReadonlySet<keyof Settings> = new Set(['autoPayMsat', 'paymentsMsatPerDay', 'onchainSatPerDay']);

/**
 * One sentence for each rule that only warns, and for each setting that is looser than its profile's. `owner` is local
 * where whoever calls lightningd may say yes.
 */
export function weakened(
  file: PolicyFile,
  settings: Settings,
  network: Network,
  owner: 'local' | 'remote' = 'remote',
): readonly string[] {
  const profile = profileFor({ ...file, profile: undefined }, network);
  const strict = profiles[profile];
  const wrong =
    file.profile !== undefined && file.profile !== profile
      ? [`profile ${file.profile} on ${network.name}, which has real money: expected ${profile}`]
      : [];
  const looser = fields.flatMap((field) => {
    if (owner === 'local' && withoutWord.has(field)) return [];
    const [ours, theirs] = [settings[field], strict[field]];
    const isLooser = schema[field].looser === 'lower' ? ours < theirs : ours > theirs;
    return isLooser ? [`${keyOf(field)} is ${ours}, looser than the ${theirs} of profile ${profile}`] : [];
  });
  const warning = Object.entries<{ readonly severity: Severity }>(rules).flatMap(([tag, { severity }]) =>
    severityOf(settings, tag, severity) === 'warn' && severity === 'refuse' ? [`${tag} only warns`] : [],
  );
  return [...(network.name === 'bitcoin' ? wrong : []), ...warning, ...looser];
}
