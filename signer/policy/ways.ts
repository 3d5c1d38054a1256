/**
 * The ways a new commitment may have come about: which of the HTLCs that left were paid, as our balance tells it, the other
 * side's commitments, and what went out for a payment elsewhere. Whether that was allowed is not asked here.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { otherSide, type Side } from '../lightning/channel.ts';
import { balanceOf, channelLoss, entered, type Interval } from '../state/account.ts';
import type { ChannelState, Settled, SideState } from '../state/channel_state.ts';
import { doubtsOf, newest } from '../state/doubt.ts';
import { nothingSettled } from '../state/flows.ts';
import type { NodeState } from '../state/node_state.ts';
import { type Known, type Settlement, type Slack, settlements, without } from '../state/settlement.ts';
import { channelKey } from '../state/state.ts';
import type { Scope } from './scope.ts';
import { afford } from './unlisted.ts';

/** A new commitment of one side. */
export interface Step {
  readonly owner: Side;
  /** What it shows of our balance, as if all were in the channel's first funding; msat. */
  readonly shown: Interval;
  /** What can have moved unseen: an HTLC that is dust stands in at least one commitment, and is left out of it. */
  readonly slack: Slack;
}

/** The state that a step leads to. */
export interface Outcome {
  readonly channel: ChannelState;
  readonly node: NodeState;
}

/** One way the step may have gone. */
export interface Way extends Outcome {
  readonly settlement: Settlement;
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

export function withSide(channel: ChannelState, side: Side, next: SideState): ChannelState {
  return { ...channel, sides: { ...channel.sides, [side]: next } };
}

/** Whether an HTLC of these was paid, by the commitments of the other side; undefined while its newest has it. */
function outcomeOn({ accepted, settled }: SideState, htlcs: readonly Htlc[]): Known {
  const gone = new Set(without(htlcs, accepted.at(-1)?.htlcs ?? []));
  return (htlc) => {
    if (!gone.has(htlc)) return undefined;
    const { out, in: received } = settled.get(toHex(htlc.paymentHash)) ?? nothingSettled;
    return (htlc.side === 'local' ? out : received) > 0n;
  };
}

/**
 * Whether a payment went out that came in here: then somebody paid us for it. Undefined where that is in doubt, or nothing
 * is known of it.
 */
function isPassedOn(
  { state }: Scope,
  { settled, doubts }: NodeState,
  { peer, dbid }: ChannelState,
  hash: string,
): boolean | undefined {
  const isOut = state.flows(hash, channelKey(peer, dbid)).some((views) => views.some(({ out }) => out > 0n));
  if (isOut) return true;
  const ended = settled.get(hash);
  return ended === undefined || doubts.some((doubt) => doubt.has(hash)) ? undefined : ended.out > 0n;
}

/**
 * What is known of HTLCs that are `removed` from those that were there, most first: what the other side says and what was
 * passed on; what the other side says; what of that it leaves no doubt about; nothing.
 */
function knownOf(
  scope: Scope,
  node: NodeState,
  channel: ChannelState,
  owner: Side,
  was: readonly Htlc[],
  removed: readonly Htlc[],
): readonly Known[] {
  const other = channel.sides[otherSide(owner)];
  const there = outcomeOn(other, was);
  const isDoubted = (hash: string) => other.doubts?.some((doubt) => doubt.has(hash)) === true;
  const sure: Known = (htlc) => (isDoubted(toHex(htlc.paymentHash)) ? undefined : there(htlc));
  const passedOn: Known = ({ side, paymentHash }) =>
    side === 'remote' ? isPassedOn(scope, node, channel, toHex(paymentHash)) : undefined;
  const tells = (isPaid: Known) => removed.some((htlc) => isPaid(htlc) !== undefined);
  const all: readonly Known[] = tells(passedOn) ? [(htlc) => there(htlc) ?? passedOn(htlc)] : [];
  const hasDoubts = removed.some(({ paymentHash }) => isDoubted(toHex(paymentHash)));
  return [...all, ...(tells(there) ? [there] : []), ...(hasDoubts && tells(sure) ? [sure] : []), () => undefined];
}

/** The ways the step may have gone that the day's loss allows: first those that agree with most of what is known, the likeliest first. */
export function waysOf(
  scope: Scope,
  node: NodeState,
  before: ChannelState,
  accepted: ChannelState,
  { owner, shown, slack }: Step,
): readonly (readonly Way[])[] {
  const side = accepted.sides[owner];
  const was = before.sides[owner].accepted.at(-1)?.htlcs ?? [];
  const is = side.accepted.at(-1)?.htlcs ?? [];
  const [from, to] = [
    { balance: balanceOf(side.account), htlcs: was },
    { balance: shown, htlcs: is },
  ];
  return knownOf(scope, node, before, owner, was, without(was, is)).map((isPaid) =>
    [...settlements(from, to, slack, isPaid)].flatMap((settlement) => {
      const channel = withSide(accepted, owner, withPaid(side, settlement, shown));
      const affordable = afford(scope, node, channelLoss(channel.sides) - channelLoss(before.sides));
      return affordable === undefined ? [] : [{ settlement, channel, node: affordable }];
    }),
  );
}

/** The channel after the step went this way, which remembers what others leave open of the HTLCs that left. */
export function wentThisWay(
  { channel, settlement }: Way,
  ways: readonly Way[],
  owner: Side,
  removed: readonly Htlc[],
): ChannelState {
  // What came in is never in doubt: a way that tells it otherwise is none.
  const income = (way: Settlement) => new Set(way.paid.filter((htlc) => htlc.side === 'remote'));
  const counted = income(settlement);
  const others = ways
    .map((each) => each.settlement)
    .filter((each) => income(each).size === counted.size && [...income(each)].every((htlc) => counted.has(htlc)));
  const doubts = doubtsOf(removed, settlement, others);
  if (doubts.length === 0) return channel;
  const side = channel.sides[owner];
  return withSide(channel, owner, { ...side, doubts: newest([...(side.doubts ?? []), ...doubts]) });
}
