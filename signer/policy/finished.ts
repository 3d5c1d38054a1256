/**
 * Payments that are over, so that the state grows with open ones only. A payment is over in a channel when no commitment
 * that may confirm has an HTLC of it: what was settled is the node's to remember then, for as long as the payment is open
 * in another channel. Over everywhere, it has used its approval up, and what came in for it covers nothing any more.
 */

import type { ChannelState, SideState } from '../state/channel_state.ts';
import { comesIn, flowOf, goesOut, hashesOf, nothingSettled } from '../state/flows.ts';
import type { NodeState } from '../state/node_state.ts';
import { channelKey } from '../state/state.ts';
import type { Changes, Scope } from './scope.ts';

/** The node after payments ended in a channel that was `last` like this. */
function withEnded({ state }: Scope, last: ChannelState, hashes: Iterable<string>): NodeState {
  const { node } = state;
  let { settled, approvals } = node;
  for (const hash of hashes) {
    const flow = [flowOf(last, hash)];
    const earlier = settled.get(hash) ?? nothingSettled;
    // An HTLC that is left to the chain may go out still, and is nothing that came in.
    const all = { out: earlier.out + goesOut(flow), in: earlier.in + comesIn(flow, Infinity) };
    const isOver = state.flows(hash, channelKey(last.peer, last.dbid)).length === 0;
    settled = isOver ? settled.without(hash) : settled.with(hash, all);
    const approval = approvals.get(hash);
    if (isOver && all.out > 0n && approval !== undefined)
      approvals = approvals.with(hash, { ...approval, usesLeft: Math.max(0, approval.usesLeft - 1) });
  }
  return settled === node.settled && approvals === node.approvals ? node : { ...node, settled, approvals };
}

/** What changes with a channel of which a commitment was revoked: only that ends a payment. */
export function withoutFinished(scope: Scope, before: ChannelState, after: ChannelState): Changes {
  const { local, remote } = after.sides;
  const inFlight = hashesOf({
    ...after,
    sides: { local: { ...local, settled: new Map() }, remote: { ...remote, settled: new Map() } },
  });
  const ended = [...hashesOf(before)].filter((hash) => !inFlight.has(hash));
  if (ended.length === 0) return { channel: after };
  const node = withEnded(scope, after, ended);
  const open = (side: SideState): SideState => ({
    ...side,
    settled: new Map([...side.settled].filter(([hash]) => inFlight.has(hash))),
  });
  const channel = { ...after, sides: { local: open(local), remote: open(remote) } };
  return { channel, ...(node !== scope.state.node && { node }) };
}

/** The node without a channel: whatever could go out of it counts as gone. */
export function nodeWithout(scope: Scope, channel: ChannelState): NodeState {
  return withEnded(scope, channel, hashesOf(channel));
}
