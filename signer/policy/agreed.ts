/**
 * A channel's two sides see the same payments end, and each tells from its own balances which of them were paid: from the
 * same sums one may have read another way. As long as they differ, each payment counts as if the worse were true. Once
 * both add up to the same, one reading is taken for both: of the side that leaves nothing in doubt, if there is one.
 */

import { otherSide, type Side } from '../lightning/channel.ts';
import type { ChannelState, Settled, SideState } from '../state/channel_state.ts';
import { type Doubt, doubtsAbout } from '../state/doubt.ts';
import { nothingSettled } from '../state/flows.ts';

/** Payments on which two sides may differ: beyond that the worse counts for good. */
const mostDisputed = 100;
/** Msat that accounts may differ by: each is right to a satoshi. */
const sameWithin = 1998n;

function isSame(a: Settled = nothingSettled, b: Settled = nothingSettled): boolean {
  return a.out === b.out && a.in === b.in;
}

/** What would be ours on a side if the payments in flight had never been made: what differs is in those that are gone. */
function withoutOpen({ account, accepted, settled }: SideState, isOpen: (hash: string) => boolean): bigint {
  let { ours } = account;
  for (const [hash, { out, in: received }] of settled) if (isOpen(hash)) ours += out - received;
  for (const { side, amount } of accepted.at(-1)?.htlcs ?? []) if (side === 'local') ours += amount;
  return ours;
}

function inDoubt({ doubts = [] }: SideState): ReadonlySet<string> {
  return new Set(doubts.flatMap((doubt) => [...doubt.keys()]));
}

/** A channel of which each payment that is gone counts alike on both sides, but for those that are disputed. */
interface Agreed {
  readonly channel: ChannelState;
  readonly disputed: ReadonlySet<string>;
  /** What both sides leave open of it. */
  readonly doubts: readonly Doubt[];
}

/** Both sides with one reading of payments that are not open (hashes in hex), if they add up to the same. */
export function agreed(channel: ChannelState, isOpen: (hash: string) => boolean): Agreed {
  const { local, remote } = channel.sides;
  const gone = [...new Set([...local.settled.keys(), ...remote.settled.keys()])].filter((hash) => !isOpen(hash));
  const disputed = new Set(gone.filter((hash) => !isSame(local.settled.get(hash), remote.settled.get(hash))));
  const doubted = { local: inDoubt(local), remote: inDoubt(remote) };
  const isCertain = (side: Side) => ![...disputed].some((hash) => doubted[side].has(hash));
  const believed: Side = isCertain('local') && !isCertain('remote') ? 'local' : 'remote';
  const isShared = (hash: string) => !isOpen(hash) && doubted[otherSide(believed)].has(hash);
  const off = withoutOpen(local, isOpen) - withoutOpen(remote, isOpen);
  if (off > sameWithin || off < -sameWithin) {
    const undisputed = doubtsAbout(
      channel.sides[believed].doubts ?? [],
      (hash) => isShared(hash) && !disputed.has(hash),
    );
    return { channel, disputed: disputed.size > mostDisputed ? new Set() : disputed, doubts: undisputed };
  }
  const { settled, doubts = [] } = channel.sides[believed];
  const alike = new Map(channel.sides[otherSide(believed)].settled);
  for (const hash of disputed) alike.set(hash, settled.get(hash) ?? nothingSettled);
  const sides = { ...channel.sides, [otherSide(believed)]: { ...channel.sides[otherSide(believed)], settled: alike } };
  return { channel: { ...channel, sides }, disputed: new Set(), doubts: doubtsAbout(doubts, isShared) };
}
