/** policy-chain-outpoint-buried: is a funding in the chain as deep as the owner wants it, as far as a feed proves it? */

import { fromHex } from '../../proto/bytes.ts';
import { fundingScript, p2wsh } from '../bitcoin/script.ts';
import type { FundingState } from '../state/channel_state.ts';
import type { Scope } from './scope.ts';

/** Why a funding does not count as buried; undefined where it does, or the rule is not in force. */
export async function unburied(
  { chain, settings, context }: Scope,
  funding: FundingState,
): Promise<{ readonly confirmations: number; readonly expected: number } | undefined> {
  // What was locked before stays so: the chain is not kept for ever, and a proof of an old block cannot be checked.
  if (chain?.inForce !== true || settings.zeroConf || funding.locked === true) return undefined;
  const [txid = '', vout = ''] = funding.outpoint.split(':');
  const { point } = context.keys.channel(context.client.nodeId, context.client.dbid).funding;
  const confirmations = await chain.confirmations({
    txid: fromHex(txid),
    vout: Number(vout),
    value: funding.value,
    script: p2wsh(fundingScript(point, funding.remotePubkey)),
  });
  const expected = settings.buriedBlocks;
  return confirmations >= expected ? undefined : { confirmations, expected };
}
