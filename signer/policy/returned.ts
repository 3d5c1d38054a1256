/**
 * HTLCs that came back from a closed channel: what was remembered by `reclaim.ts`, as far as the chain feed proves that it
 * is buried. Then the incoming HTLC may be failed, and an own payment be tried once more.
 */

import { toHex } from '../../proto/bytes.ts';
import type { ChannelState } from '../state/channel_state.ts';
import { mayReturn, withReturned } from '../state/ended.ts';
import { flowOf, hashesOf } from '../state/flows.ts';
import { channelKey } from '../state/state.ts';
import type { Scope, StateView } from './scope.ts';

/** onchaind's reasonable_depth: that deep, lightningd fails the incoming HTLC. */
const leastDepth = 3;

/** Whether no two fundings of the channel can confirm: of a splice and what it spends only one is left, of two openings both may be. */
function isOneFunding({ fundings, left }: ChannelState): boolean {
  return left.length === 0 && fundings.filter(({ splicedFrom }) => splicedFrom === undefined).length < 2;
}

/** The channel with what the chain proves to have come back of payments of these hashes (hex); else the same object. */
export async function withProven(
  { chain, settings }: Pick<Scope, 'chain' | 'settings'>,
  channel: ChannelState,
  isAbout: (hash: string) => boolean,
): Promise<ChannelState> {
  if (chain?.inForce !== true || !isOneFunding(channel)) return channel;
  const { reclaims = [] } = channel;
  const asked = reclaims.filter((each) => isAbout(toHex(each.htlc.paymentHash)) && mayReturn(channel, each));
  const depths = await Promise.all(
    asked.map(({ txid, vout, value, script }) => chain.confirmations({ txid, vout, value, script })),
  );
  // Whoever wants fundings deeper trusts no shallower block here.
  const least = Math.max(leastDepth, settings.buriedBlocks);
  const proven = asked.filter((_, i) => (depths[i] ?? 0) >= least);
  return proven.reduce((after, each) => (mayReturn(after, each) ? withReturned(after, each) : after), channel);
}

/** Channels but `except` (a `channelKey`) of which the chain proves that more of these payments (hashes in hex) came back. */
export async function returnedOf(
  scope: Scope,
  hashes: ReadonlySet<string>,
  except: string,
): Promise<readonly ChannelState[]> {
  const others = [...scope.state.channels].filter(([key]) => key !== except).map(([, channel]) => channel);
  const proven = await Promise.all(others.map((each) => withProven(scope, each, (hash) => hashes.has(hash))));
  return proven.filter((each, i) => each !== others[i]);
}

/** The state with these channels in place of what it has of them. */
export function withChannels(state: StateView, channels: readonly ChannelState[]): StateView {
  const all = new Map(state.channels);
  for (const each of channels) all.set(channelKey(each.peer, each.dbid), each);
  return {
    node: state.node,
    channels: all,
    channel: (peer, dbid) => all.get(channelKey(peer, dbid)),
    flows: (hash, except) =>
      [...all].flatMap(([key, each]) => (key !== except && hashesOf(each).has(hash) ? [flowOf(each, hash)] : [])),
  };
}
