/** What is said of a policy to its owner and to whoever looks at the host: its name, what is not in force, what is weak. */

import type { ChainView } from '../chain/view.ts';
import type { Tag } from './rules.ts';

/** Rules that need the height of the chain, and those that need proofs of it. */
const needHeight: readonly Tag[] = ['policy-commitment-htlc-cltv-range'];
const needProofs: readonly Tag[] = ['policy-chain-outpoint-buried'];

/** The rules that are not in force with what is known of the chain; undefined where there is no feed at all. */
export function inactiveRules(chain: Pick<ChainView, 'inForce' | 'height'> | undefined): readonly Tag[] {
  return [...(chain?.height() === undefined ? needHeight : []), ...(chain?.inForce === true ? [] : needProofs)];
}
