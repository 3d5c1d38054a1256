/**
 * The money side of a new commitment: how our balance moved, what of that was paid for which payment, and whether that
 * was allowed. Finds one explanation of the change that keeps every rule, or says which rule none of them keeps.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Side } from '../lightning/channel.ts';
import { balanceOf, channelLoss, entered, type Interval } from '../state/account.ts';
import type { ChannelState, Settled, SideState } from '../state/channel_state.ts';
import { addFlows, type Flow, flowsOf, noFlow } from '../state/flows.ts';
import { type NodeState, pour } from '../state/node_state.ts';
import { type Settlement, settlements } from '../state/settlement.ts';
import { channelKey } from '../state/state.ts';
import { allowPayment, approvalOf } from './payment.ts';
import type { Tag } from './rules.ts';
import type { Facts, Scope } from './scope.ts';
import { feeBudget } from './settings.ts';

/** A new commitment of one side. */
export interface Step {
  readonly owner: Side;
  /** What it shows of our balance, as if all were in the channel's first funding; msat. */
  readonly shown: Interval;
}

/** A way the step may have gone, with the state it leads to. */
interface Outcome {
  readonly channel: ChannelState;
  readonly node: NodeState;
}

interface Shortage {
  readonly tag: Tag;
  readonly facts: Facts;
  readonly hash: string;
  /** msat that nothing allows. */
  readonly missing: bigint;
  /** msat going out. */
  readonly out: bigint;
}

function addSettled(settled: SideState['settled'], { paid }: Settlement): ReadonlyMap<string, Settled> {
  const next = new Map(settled);
  for (const { paymentHash, side, amount } of paid) {
    const hash = toHex(paymentHash);
    const { out, in: received } = next.get(hash) ?? { out: 0n, in: 0n };
    next.set(hash, side === 'local' ? { out: out + amount, in: received } : { out, in: received + amount });
  }
  return next;
}

/** msat of a payment that go out beyond what comes in and what is allowed; zero or below where all is well. */
function missing({ now }: Scope, node: NodeState, hash: string, flow: Flow, underWay: boolean): bigint {
  const approval = approvalOf(node, hash);
  // An approval that expires while its HTLCs are in flight was used in time.
  const counts = approval !== undefined && approval.usesLeft > 0 && (approval.expires > now || underWay);
  return flow.out - flow.in - (counts ? approval.amountMsat + approval.feeBudgetMsat : 0n);
}

/** The first payment that the step makes worse than it may be. */
function shortageOf(scope: Scope, node: NodeState, before: ChannelState, after: ChannelState): Shortage | undefined {
  const key = channelKey(before.peer, before.dbid);
  const [earlier, later] = [flowsOf(before), flowsOf(after)];
  for (const hash of new Set([...earlier.keys(), ...later.keys()])) {
    const elsewhere = scope.state.flow(hash, key);
    const was = addFlows(elsewhere, earlier.get(hash) ?? noFlow);
    const flow = addFlows(elsewhere, later.get(hash) ?? noFlow);
    const lacks = missing(scope, node, hash, flow, was.out > 0n);
    if (lacks <= 0n || lacks <= missing(scope, node, hash, was, was.out > 0n)) continue;
    const approval = approvalOf(node, hash);
    // Something went out under it already, be it that its uses are gone or that this payment is not over yet.
    const paidBefore = approval !== undefined && (approval.usesLeft === 0 || was.out > 0n);
    const tag: Tag = paidBefore
      ? 'policy-payment-once'
      : flow.in > 0n || was.in > 0n
        ? 'policy-routing-balance'
        : 'policy-commitment-payment-approved';
    return { tag, hash, missing: lacks, out: flow.out, facts: { out: flow.out, in: flow.in, beyond: lacks } };
  }
  return undefined;
}

/** Payments that are over use their approvals up. One with HTLCs in flight, or settled on one side only, is not over. */
export function closeFinished(scope: Scope, channel: ChannelState, node: NodeState): Outcome {
  const { local, remote } = channel.sides;
  const key = channelKey(channel.peer, channel.dbid);
  const flows = flowsOf(channel);
  const finished = [...new Set([...local.settled.keys(), ...remote.settled.keys()])].filter((hash) => {
    const flow = flows.get(hash) ?? noFlow;
    const [a, b] = [local.settled.get(hash), remote.settled.get(hash)];
    const open = flow.inExpiry !== undefined || flow.outExpiry !== undefined;
    const elsewhere = scope.state.flow(hash, key);
    return (
      !open &&
      a?.out === b?.out &&
      a?.in === b?.in &&
      elsewhere.inExpiry === undefined &&
      elsewhere.outExpiry === undefined
    );
  });
  if (finished.length === 0) return { channel, node };
  const without = ({ settled }: SideState) => new Map([...settled].filter(([hash]) => !finished.includes(hash)));
  const sides = { local: { ...local, settled: without(local) }, remote: { ...remote, settled: without(remote) } };
  const used = finished.filter((hash) => (local.settled.get(hash)?.out ?? 0n) > 0n);
  let { approvals } = node;
  for (const hash of used) {
    const approval = approvalOf(node, hash);
    if (approval !== undefined)
      approvals = approvals.with({ ...approval, usesLeft: Math.max(0, approval.usesLeft - 1) });
  }
  return { channel: { ...channel, sides }, node: used.length === 0 ? node : { ...node, approvals } };
}

function withSide(channel: ChannelState, side: Side, next: SideState): ChannelState {
  return { ...channel, sides: { ...channel.sides, [side]: next } };
}

/** Lets a forwarded HTLC through only where its two expiries leave time. */
function checkExpiries(scope: Scope, before: ChannelState, after: ChannelState): void {
  const key = channelKey(after.peer, after.dbid);
  const earlier = flowsOf(before);
  for (const [hash, here] of flowsOf(after)) {
    if (here.outExpiry === undefined || here.outExpiry === earlier.get(hash)?.outExpiry) continue;
    if (approvalOf(scope.state.node, hash) !== undefined) continue;
    const { inExpiry } = addFlows(scope.state.flow(hash, key), { ...here, outExpiry: undefined });
    if (inExpiry !== undefined && inExpiry - here.outExpiry < scope.settings.minCltvDelta)
      scope.broken('policy-routing-cltv-delta', {
        in: inExpiry,
        out: here.outExpiry,
        least: scope.settings.minCltvDelta,
      });
  }
}

/** What the channel loses beside its listed HTLCs, poured into its bucket; undefined where that runs over. */
function afford(
  { settings, now }: Scope,
  node: NodeState,
  before: ChannelState,
  after: ChannelState,
): NodeState | undefined {
  const loss = channelLoss(after.sides) - channelLoss(before.sides);
  if (loss <= 0n) return node;
  const unlisted = pour(node.buckets.unlisted, loss, settings.unlistedMsatPerDay, now);
  return unlisted && { ...node, buckets: { ...node.buckets, unlisted } };
}

/**
 * The channel and the node after the step. `accepted` is the channel with the new commitment in it, its payments not yet
 * settled. Asks the owner about payments that nothing else allows.
 */
export async function settle(scope: Scope, before: ChannelState, accepted: ChannelState, step: Step): Promise<Outcome> {
  const { owner, shown } = step;
  const side = accepted.sides[owner];
  const [was, is] = [before, accepted].map(({ sides }) => sides[owner].accepted.at(-1)?.htlcs ?? []);
  let worst: Shortage | undefined;
  let node = scope.state.node;
  const asked = new Set<string>();
  for (;;) {
    const ways = settlements(
      { balance: balanceOf(side.account), htlcs: was ?? [] },
      { balance: shown, htlcs: is ?? [] },
      scope.settings.unlistedMsatPerDay,
    );
    for (const way of ways) {
      const account = entered(side.account, way.moved, shown);
      const channel = withSide(accepted, owner, { ...side, account, settled: addSettled(side.settled, way) });
      const affordable = afford(scope, node, before, channel);
      if (affordable === undefined) continue;
      const shortage = shortageOf(scope, affordable, before, channel);
      if (shortage === undefined) {
        checkExpiries(scope, before, channel);
        return closeFinished(scope, channel, affordable);
      }
      worst ??= shortage;
    }
    if (worst === undefined) {
      scope.broken('policy-commitment-balance', {
        before: side.account.ours / 1000n,
        after: shown.most / 1000n,
      });
      return { channel: accepted, node };
    }
    const askable = !asked.has(worst.hash) && worst.tag !== 'policy-payment-once';
    const more = askable ? await ask(scope, node, worst) : undefined;
    asked.add(worst.hash);
    if (more === undefined) {
      scope.broken(worst.tag, worst.facts);
      return { channel: accepted, node };
    }
    node = more;
    worst = undefined;
  }
}

/** An HTLC without an invoice or beyond its amount: the owner is asked for all that goes out under its hash. */
function ask(scope: Scope, node: NodeState, { hash, missing: lacks }: Shortage): Promise<NodeState | undefined> {
  const known = approvalOf(node, hash);
  const amountMsat = (known?.amountMsat ?? 0n) + lacks;
  const purpose = {
    kind: 'pay',
    how: 'uninvoiced',
    hash,
    amountMsat,
    feeBudgetMsat: feeBudget(scope.settings, amountMsat),
    payee: undefined,
    invoice: undefined,
  } as const;
  return allowPayment(scope, node, purpose, scope.now + 24 * 60 * 60);
}
