/**
 * A channel of which one commitment is known to be in the chain, because a transaction is that spends an HTLC of it and
 * pays us. Nothing that a host still does with the channel changes its payments, and nothing moves it on (`frozen.ts`).
 *
 * An HTLC that came back is as if it had never been offered. That is less than money that came in for its hash would be:
 * such money covers what goes out late, too.
 */

import { toHex } from '../../proto/bytes.ts';
import type { ChannelState, Ended, Flow, Reclaim } from './channel_state.ts';
import { flowOf, hashesOf } from './flows.ts';
import { without } from './settlement.ts';

/** The commitment that a reclaim spends from: its txid in hex. */
function commitmentOf({ spends }: Reclaim): string {
  return spends.split(':')[0] ?? '';
}

/** A splice that was not signed for spends nothing of ours: somebody else's money under that name ends no channel. */
function isLive({ fundings, sides: { local, remote } }: ChannelState, commitment: string): boolean {
  const live = new Set(fundings.flatMap((each) => (each.live ? [each.outpoint] : [])));
  const contents = [...local.accepted, ...remote.accepted].flatMap((each) => [...each.contents]);
  return contents.some(([funding, { txid }]) => live.has(funding) && toHex(txid) === commitment);
}

/**
 * Whether an HTLC may come back so: each output does once, and only those of one commitment. Of one that was revoked since
 * it is not known any more what it said.
 */
export function mayReturn(channel: ChannelState, reclaim: Reclaim): boolean {
  const { ended } = channel;
  const commitment = commitmentOf(reclaim);
  if (ended === undefined) return isLive(channel, commitment);
  return ended.commitment === commitment && !ended.returned.includes(reclaim.spends);
}

/** The channel after a reclaim confirmed that may. */
export function withReturned(channel: ChannelState, reclaim: Reclaim): ChannelState {
  const { spends, htlc } = reclaim;
  const before: Ended = channel.ended ?? {
    commitment: commitmentOf(reclaim),
    flows: new Map([...hashesOf(channel)].map((hash): [string, Flow] => [hash, flowOf(channel, hash)])),
    returned: [],
  };
  const hash = toHex(htlc.paymentHash);
  const views = before.flows.get(hash) ?? [];
  // What another commitment says that cannot confirm any more does no harm: the most of all counts.
  const flow = views.map((view) => ({ ...view, htlcs: without(view.htlcs, [htlc]) }));
  const ended = { ...before, flows: new Map(before.flows).set(hash, flow), returned: [...before.returned, spends] };
  return { ...channel, ended };
}
