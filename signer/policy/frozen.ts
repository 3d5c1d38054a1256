/**
 * A channel whose node holds a commitment that was refused. The host may tell the node of our next commitment's signatures
 * before they are judged here (docs/latency.md); where they are good and the commitment is not, the node will neither
 * ask again nor go back. So nothing more is signed for the channel but what ends it. Nor for one that is known to have ended:
 * its payments are not looked at any more.
 */

import type { Call } from '../../proto/hsmd/calls.ts';
import { type AcceptedCommitment, type ChannelState, highest, type Outpoint } from '../state/channel_state.ts';
import { without } from '../state/settlement.ts';
import type { Tag } from './rules.ts';
import type { Scope } from './scope.ts';

/** What moves a channel on. What closes it, and what sweeps it then, is asked by other calls. */
const moves: ReadonlySet<Call> = new Set<Call>([
  'setupChannel',
  'signRemoteCommitmentTx',
  'signRemoteHtlcTx',
  'validateCommitmentTx',
  'revokeCommitmentTx',
  'signMutualCloseTx',
  'signSpliceTx',
]);

/** Refuses what would move on a channel that is frozen, or has ended. */
export function checkNotFrozen(scope: Scope, call: Call): void {
  if (!moves.has(call)) return;
  const { nodeId, dbid } = scope.context.client;
  const { frozen, ended } = scope.state.channel(nodeId, dbid) ?? {};
  if (ended !== undefined) scope.broken('policy-channel-frozen', { differs: 'a commitment of it is in the chain' });
  if (frozen !== undefined)
    scope.broken('policy-channel-frozen', { commitment: `${frozen.number}`, refused: frozen.tag });
}

/** Whether we get no less from publishing `after` than from `before`, whatever becomes of the HTLCs we offered. */
function noWorse(before: AcceptedCommitment, after: AcceptedCommitment, outpoint: Outpoint): boolean {
  const received = before.htlcs.filter(({ side }) => side === 'remote');
  const [was, is] = [before, after].map(({ contents }) => contents.get(outpoint));
  if (was === undefined || is === undefined) return false;
  return (is.toLocal ?? 0n) >= (was.toLocal ?? 0n) && without(received, after.htlcs).length === 0;
}

/**
 * The channel after our commitment `number` was refused although the peer signed it. `accepted` is the channel as if it
 * had not been: the node has no other commitment to publish, so where this one is no worse than the one before, it counts
 * for closing.
 */
export function freeze(
  state: ChannelState,
  accepted: ChannelState,
  { number, outpoint, tag }: { readonly number: bigint; readonly outpoint: Outpoint; readonly tag: Tag | string },
): ChannelState {
  const { local } = state.sides;
  const before = local.accepted.at(-1);
  const after = accepted.sides.local.accepted.find((each) => each.number === number);
  const publishable =
    number === highest(local) + 1n &&
    state.closing === undefined &&
    before !== undefined &&
    after !== undefined &&
    noWorse(before, after, outpoint);
  return { ...(publishable ? accepted : state), frozen: { number, tag } };
}
