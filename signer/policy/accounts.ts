/**
 * The money side of a new commitment: how our balance moved, what of that was paid for which payment, and whether that
 * was allowed. Finds one explanation of the change that keeps every rule, or says which rule none of them keeps.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { otherSide, type Side } from '../lightning/channel.ts';
import { balanceOf, channelLoss, entered, type Interval } from '../state/account.ts';
import type { ChannelState, Settled, SideState } from '../state/channel_state.ts';
import { nothingSettled } from '../state/flows.ts';
import { type NodeState, pour } from '../state/node_state.ts';
import { type Settlement, type Slack, settlements, without } from '../state/settlement.ts';
import { channelKey } from '../state/state.ts';
import { allowPayment } from './payment.ts';
import type { Scope } from './scope.ts';
import { feeBudget } from './settings.ts';
import { type Shortage, shortages } from './shortage.ts';

/** A new commitment of one side. */
export interface Step {
  readonly owner: Side;
  /** What it shows of our balance, as if all were in the channel's first funding; msat. */
  readonly shown: Interval;
  /** What can have moved unseen: an HTLC that is dust stands in at least one commitment, and is left out of it. */
  readonly slack: Slack;
}

/** A way the step may have gone, with the state it leads to. */
interface Outcome {
  readonly channel: ChannelState;
  readonly node: NodeState;
}

function paidBy({ paid }: Settlement): ReadonlyMap<string, Settled> {
  const sums = new Map<string, Settled>();
  for (const { paymentHash, side, amount } of paid) {
    const hash = toHex(paymentHash);
    const { out, in: received } = sums.get(hash) ?? nothingSettled;
    sums.set(hash, side === 'local' ? { out: out + amount, in: received } : { out, in: received + amount });
  }
  return sums;
}

/** The side after the step went this way: its newest commitment remembers what it settled. */
function withPaid(side: SideState, way: Settlement, shown: Interval): SideState {
  const paid = paidBy(way);
  const account = entered(side.account, way.moved, shown);
  if (paid.size === 0) return { ...side, account };
  const settled = new Map(side.settled);
  for (const [hash, { out, in: received }] of paid) {
    const earlier = settled.get(hash) ?? nothingSettled;
    settled.set(hash, { out: earlier.out + out, in: earlier.in + received });
  }
  const accepted = side.accepted.map((each, i) => (i === side.accepted.length - 1 ? { ...each, paid } : each));
  return { ...side, account, settled, accepted };
}

function withSide(channel: ChannelState, side: Side, next: SideState): ChannelState {
  return { ...channel, sides: { ...channel.sides, [side]: next } };
}

/** Msat that left beside listed HTLCs, poured into their bucket; undefined where that runs over. */
function afford({ settings, now }: Scope, node: NodeState, loss: bigint): NodeState | undefined {
  if (loss <= 0n) return node;
  const unlisted = pour(node.buckets.unlisted, loss, settings.unlistedMsatPerDay, now);
  return unlisted && { ...node, buckets: { ...node.buckets, unlisted } };
}

/**
 * The node after these payments, or the first of them that is short. What is dust in one commitment is an HTLC in
 * another, of a lower dust limit: it may come in unseen and go out listed. So it counts like what is listed nowhere.
 */
function covered(scope: Scope, node: NodeState, short: Iterable<Shortage>): NodeState | Shortage {
  let after = node;
  for (const shortage of short) {
    const isDust = shortage.tag !== 'policy-payment-once' && shortage.out <= scope.settings.maxDustSat * 1000n;
    const affordable = isDust ? afford(scope, after, shortage.added) : undefined;
    if (affordable === undefined) return shortage;
    after = affordable;
  }
  return after;
}

/** Whether an HTLC of these was paid, by the commitments of the other side; undefined while its newest has it. */
function outcomeOn({ accepted, settled }: SideState, htlcs: readonly Htlc[]): (htlc: Htlc) => boolean | undefined {
  const gone = new Set(without(htlcs, accepted.at(-1)?.htlcs ?? []));
  return (htlc) => {
    if (!gone.has(htlc)) return undefined;
    const { out, in: received } = settled.get(toHex(htlc.paymentHash)) ?? nothingSettled;
    return (htlc.side === 'local' ? out : received) > 0n;
  };
}

/** What is known of HTLCs that are gone: the other side's commitments tell, and what went out for one means that it came in. */
function knownOf(scope: Scope, { peer, dbid, sides }: ChannelState, owner: Side, htlcs: readonly Htlc[]) {
  const there = outcomeOn(sides[otherSide(owner)], htlcs);
  const { state } = scope;
  const isPassedOn = (hash: string) =>
    (state.node.settled.get(hash)?.out ?? 0n) > 0n ||
    state.flows(hash, channelKey(peer, dbid)).some((views) => views.some(({ out }) => out > 0n));
  return (htlc: Htlc): boolean | undefined =>
    there(htlc) ?? (htlc.side === 'remote' && isPassedOn(toHex(htlc.paymentHash)) ? true : undefined);
}

/** The likeliest way that is allowed, or why the likeliest is not; undefined where there is none. */
function explain(
  scope: Scope,
  node: NodeState,
  before: ChannelState,
  accepted: ChannelState,
  { owner, shown, slack }: Step,
): Outcome | (Outcome & { readonly short: Shortage }) | undefined {
  const side = accepted.sides[owner];
  const was = before.sides[owner].accepted.at(-1)?.htlcs ?? [];
  const is = side.accepted.at(-1)?.htlcs ?? [];
  const changed = [...without(was, is), ...without(is, was)].map(({ paymentHash }) => toHex(paymentHash));
  const ways = settlements(
    { balance: balanceOf(side.account), htlcs: was },
    { balance: shown, htlcs: is },
    slack,
    knownOf(scope, before, owner, was),
  );
  // What is newly offered goes out whichever way it was: the owner is asked about that before anything is in doubt.
  const offered = new Set(without(is, was).map(({ paymentHash }) => toHex(paymentHash)));
  let likeliest: (Outcome & { readonly short: Shortage }) | undefined;
  for (const way of ways) {
    const channel = withSide(accepted, owner, withPaid(side, way, shown));
    const affordable = afford(scope, node, channelLoss(channel.sides) - channelLoss(before.sides));
    if (affordable === undefined) continue;
    const after = covered(scope, affordable, shortages(scope, node, before, channel, new Set(changed)));
    if (!('hash' in after)) return { channel, node: after };
    if (likeliest === undefined || (offered.has(after.hash) && !offered.has(likeliest.short.hash)))
      likeliest = { channel, node: affordable, short: after };
  }
  return likeliest;
}

/**
 * The channel and the node after the step. `accepted` is the channel with the new commitment in it, its payments not yet
 * settled. Asks the owner about payments that nothing else allows.
 */
export async function settle(scope: Scope, before: ChannelState, accepted: ChannelState, step: Step): Promise<Outcome> {
  const asked = new Set<string>();
  let { node } = scope.state;
  for (;;) {
    const outcome = explain(scope, node, before, accepted, step);
    if (outcome === undefined) {
      const side = accepted.sides[step.owner];
      scope.broken('policy-commitment-balance', { before: side.account.ours / 1000n, after: step.shown.most / 1000n });
      // Only a warning: what comes next is compared with what was let pass.
      const account = entered(side.account, 0n, step.shown);
      return { channel: withSide(accepted, step.owner, { ...side, account }), node };
    }
    if (!('short' in outcome)) return outcome;
    const { short } = outcome;
    const more = isAskable(short, node) && !asked.has(short.hash) ? await ask(scope, node, short) : undefined;
    asked.add(short.hash);
    if (more === undefined) {
      scope.broken(short.tag, short.facts);
      return { channel: outcome.channel, node: outcome.node };
    }
    node = more;
  }
}

/**
 * No word of the owner's makes time, or a payment that was made a new one. But parts of a payment without an invoice are
 * asked about as they come.
 */
function isAskable({ tag, hash }: Shortage, { approvals }: NodeState): boolean {
  if (tag === 'policy-routing-cltv-delta') return false;
  const approval = approvals.get(hash);
  return tag !== 'policy-payment-once' || (approval?.soFar === true && approval.usesLeft > 0);
}

/** An HTLC without an invoice or beyond its amount: the owner is asked for all that goes out under its hash. */
function ask(scope: Scope, node: NodeState, { hash, wanted }: Shortage): Promise<NodeState | undefined> {
  const purpose = {
    kind: 'pay',
    how: 'uninvoiced',
    hash,
    amountMsat: wanted,
    feeBudgetMsat: feeBudget(scope.settings, wanted),
    payee: undefined,
    invoice: undefined,
  } as const;
  return allowPayment(scope, node, purpose);
}
