/**
 * Payments that are over, so that the state grows with open ones only. A payment is over in a channel when no commitment
 * that may confirm has an HTLC of it: what was settled is the node's to remember then, for as long as the payment is open
 * in another channel or in doubt. Over everywhere, it has used its approval up, and what came in for it covers nothing any
 * more.
 */

import type { Side } from '../lightning/channel.ts';
import { type ChannelState, freshChannel, type Settled, type SideState } from '../state/channel_state.ts';
import { type Doubt, newest, sharedDoubts } from '../state/doubt.ts';
import { comesIn, flowOf, goesOut, hashesOf, inFlightOf, nothingSettled } from '../state/flows.ts';
import type { NodeState } from '../state/node_state.ts';
import { channelKey } from '../state/state.ts';
import { reconciled } from './reconciled.ts';
import { withoutRoom } from './reread.ts';
import type { Changes, Scope } from './scope.ts';
import { isUsed } from './shortage.ts';

/** The node without a payment that is over everywhere, of which `out` msat were paid. */
function withoutPayment(node: NodeState, hash: string, out: bigint): NodeState {
  const approval = node.approvals.get(hash);
  const settled = node.settled.without(hash);
  if (out === 0n || approval === undefined) return settled === node.settled ? node : { ...node, settled };
  const used = { ...approval, usesLeft: Math.max(0, approval.usesLeft - 1) };
  return { ...node, settled, approvals: node.approvals.with(hash, used) };
}

/** The node with more in doubt. Of what was in doubt longest the reading stands, and ends what was open for it only. */
function withDoubts({ state }: Scope, before: NodeState, doubts: readonly Doubt[]): NodeState {
  if (doubts.length === 0) return before;
  const all = [...before.doubts, ...doubts];
  const kept = newest(all);
  let node: NodeState = { ...before, doubts: kept };
  for (const hash of all.slice(0, all.length - kept.length).flatMap((doubt) => [...doubt.keys()]))
    if (!isDoubted(node, hash) && state.flows(hash, undefined).length === 0)
      node = withoutPayment(node, hash, node.settled.get(hash)?.out ?? 0n);
  return node;
}

function isDoubted({ doubts }: NodeState, hash: string): boolean {
  return doubts.some((doubt) => doubt.has(hash));
}

/** The node after payments ended in a channel that was `last` like this. */
function withEnded({ state }: Scope, before: NodeState, last: ChannelState, hashes: Iterable<string>): NodeState {
  let node = before;
  for (const hash of hashes) {
    const flow = [flowOf(last, hash)];
    const earlier = node.settled.get(hash) ?? nothingSettled;
    // An HTLC that is left to the chain may go out still, and is nothing that came in.
    const all = { out: earlier.out + goesOut(flow), in: earlier.in + comesIn(flow, Infinity) };
    const isOpen = isDoubted(node, hash) || state.flows(hash, channelKey(last.peer, last.dbid)).length > 0;
    node = isOpen ? { ...node, settled: node.settled.with(hash, all) } : withoutPayment(node, hash, all.out);
  }
  return node;
}

/** Msat by payment (hash in hex) that count as paid by these doubts, but for payments that are over. */
function paidBeside(doubts: readonly Doubt[], isOver: (hash: string) => boolean): ReadonlyMap<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const [hash, { paid }] of doubts.flatMap((doubt) => [...doubt]))
    if (!isOver(hash) && paid > 0n) sums.set(hash, (sums.get(hash) ?? 0n) + paid);
  return sums;
}

/** The node with more paid out for these payments. */
function withPaid(node: NodeState, paid: ReadonlyMap<string, bigint>): NodeState {
  let { settled } = node;
  for (const [hash, msat] of paid) {
    const { out, in: received } = settled.get(hash) ?? nothingSettled;
    settled = settled.with(hash, { out: out + msat, in: received });
  }
  return { ...node, settled };
}

/** The side without payments that are over, and without what was paid beside them. */
function remaining(
  { settled, doubts = [], ...side }: SideState,
  isOver: (hash: string) => boolean,
  beside: ReadonlyMap<string, bigint>,
): SideState {
  const left = [...settled].flatMap(([hash, { out, in: received }]): (readonly [string, Settled])[] =>
    isOver(hash) ? [] : [[hash, { out: out - (beside.get(hash) ?? 0n), in: received }]],
  );
  return { ...side, settled: new Map(left), doubts: doubts.filter((doubt) => ![...doubt.keys()].some(isOver)) };
}

/**
 * What changes with a channel of which a commitment was revoked: only that ends a payment. What is in doubt between it and
 * one of which other parts are in flight still ended with it, and is the node's to remember, too.
 */
export function withoutFinished(scope: Scope, before: ChannelState, after: ChannelState): Changes {
  const inFlight = inFlightOf(after);
  const ended = new Set([...hashesOf(before)].filter((hash) => !inFlight.has(hash)));
  if (ended.size === 0) return { channel: after };
  const isOver = (hash: string) => ended.has(hash);
  const about = ({ doubts = [] }: SideState) => doubts.filter((doubt) => [...doubt.keys()].some(isOver));
  const last = reconciled(after, isOver);
  const doubts = sharedDoubts(about(last.sides.local), about(last.sides.remote));
  const beside = paidBeside(doubts, isOver);
  const left = (side: Side) => remaining(last.sides[side], isOver, beside);
  const channel = { ...last, sides: { local: left('local'), remote: left('remote') } };
  const counted = withEnded(scope, withPaid(withDoubts(scope, scope.state.node, doubts), beside), last, ended);
  const inDoubt = [...ended, ...doubts.flatMap((doubt) => [...doubt.keys()])];
  const node = withoutRoom(scope, counted, channel, inDoubt, (hash) => isUsed(scope, hash, before));
  return { channel, ...(node !== scope.state.node && { node }) };
}

/** The node without a channel: whatever could go out of it counts as gone. */
export function nodeWithout(scope: Scope, channel: ChannelState): NodeState {
  const hashes = hashesOf(channel);
  const node = withEnded(scope, scope.state.node, channel, hashes);
  return withoutRoom(scope, node, freshChannel(channel.peer, channel.dbid), hashes);
}
