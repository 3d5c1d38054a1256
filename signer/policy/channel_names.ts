/** What clients call a channel when they ask for its end. A short channel id is not among it: the signer cannot tell it. */

import { concat, toHex } from '../../proto/bytes.ts';
import { sha256Of } from '../crypto/hash.ts';
import type { ChannelKeys } from '../keys/channel_keys.ts';
import type { Setup } from '../state/channel_state.ts';

/** The peer's node id (`peer`), and both forms of channel id (BOLT 2 §Definition of `channel_id`), in hex. */
export function channelNames(peer: string, setup: Setup, { basepoints }: ChannelKeys): readonly string[] {
  const { fundingTxid, fundingTxout, remoteBasepoints } = setup;
  const tail = Uint8Array.of(
    (fundingTxid[30] ?? 0) ^ (fundingTxout >> 8),
    (fundingTxid[31] ?? 0) ^ (fundingTxout & 0xff),
  );
  const byFunding = concat(fundingTxid.subarray(0, 30), tail);
  const [ours, theirs] = [basepoints.revocation, remoteBasepoints.revocation];
  const byKeys = isLess(ours, theirs) ? sha256Of(ours, theirs) : sha256Of(theirs, ours);
  return [peer, toHex(byFunding), toHex(byKeys)];
}

function isLess(a: Uint8Array, b: Uint8Array): boolean {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return (a[at] ?? 0) < (b[at] ?? 0);
}
