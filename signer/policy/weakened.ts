/** Where settings protect less than the profile that fits the network: to be said at every start. */

import type { Network } from '../chain/networks.ts';
import { type PolicyFile, profileFor } from './policy_file.ts';
import { rules, type Severity } from './rules.ts';
import { fields, keyOf, schema } from './schema.ts';
import { profiles, type Settings, severityOf } from './settings.ts';

/** One sentence for each rule that only warns, and for each setting that is looser than its profile's. */
export function weakened(file: PolicyFile, settings: Settings, network: Network): readonly string[] {
  const profile = profileFor({ ...file, profile: undefined }, network);
  const strict = profiles[profile];
  const wrong =
    file.profile !== undefined && file.profile !== profile
      ? [`profile ${file.profile} on ${network.name}, which has real money: expected ${profile}`]
      : [];
  const looser = fields.flatMap((field) => {
    const [ours, theirs] = [settings[field], strict[field]];
    const isLooser = schema[field].looser === 'lower' ? ours < theirs : ours > theirs;
    return isLooser ? [`${keyOf(field)} is ${ours}, looser than the ${theirs} of profile ${profile}`] : [];
  });
  const warning = Object.entries<{ readonly severity: Severity }>(rules).flatMap(([tag, { severity }]) =>
    severityOf(settings, tag, severity) === 'warn' && severity === 'refuse' ? [`${tag} only warns`] : [],
  );
  return [...(network.name === 'bitcoin' ? wrong : []), ...warning, ...looser];
}
