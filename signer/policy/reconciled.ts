/**
 * A channel's two sides see the same payments end, and each tells from its own balances which of them were paid: from the
 * same sums one may have read another way. Where they differ each payment counts as if the worse were true, so each side
 * first reads what it leaves open as the other does. What a side counts as paid in all stays what its own balances say.
 */

import { otherSide, type Side } from '../lightning/channel.ts';
import type { ChannelState, Settled, SideState } from '../state/channel_state.ts';
import { certain, moved } from '../state/doubt.ts';
import { nothingSettled } from '../state/flows.ts';

/** How much more out of a payment one side counts than the other, at most `limit`. */
function excess(a: ReadonlyMap<string, Settled>, b: ReadonlyMap<string, Settled>, hash: string, limit: bigint): bigint {
  const more = (a.get(hash) ?? nothingSettled).out - (b.get(hash) ?? nothingSettled).out;
  return more < limit ? more : limit;
}

/** A side that reads its doubts about these payments as the other one does. */
function readAs(other: SideState, side: SideState, isAbout: (hash: string) => boolean): SideState {
  const settled = new Map(side.settled);
  const doubts = [...(side.doubts ?? [])];
  const count = (hash: string, msat: bigint) => {
    const { out, in: received } = settled.get(hash) ?? nothingSettled;
    settled.set(hash, { out: out + msat, in: received });
  };
  for (const [index, doubt] of doubts.entries()) {
    const hashes = [...doubt.keys()];
    if (!hashes.some(isAbout)) continue;
    let now = doubt;
    for (const from of hashes)
      for (const to of hashes) {
        const more = excess(settled, other.settled, from, (now.get(from) ?? certain).paid);
        const less = excess(other.settled, settled, to, (now.get(to) ?? certain).failed);
        const msat = more < less ? more : less;
        if (msat <= 0n) continue;
        now = moved(now, from, to, msat);
        count(from, -msat);
        count(to, msat);
      }
    doubts[index] = now;
  }
  return { ...side, settled, doubts };
}

/** The channel with both sides of one mind about these payments (hashes in hex) that are over in it, where their balances allow it. */
export function reconciled(channel: ChannelState, isAbout: (hash: string) => boolean): ChannelState {
  const { local, remote } = channel.sides;
  const differs = (hash: string) => local.settled.get(hash)?.out !== remote.settled.get(hash)?.out && isAbout(hash);
  if (![...local.settled.keys(), ...remote.settled.keys()].some(differs)) return channel;
  const turn = (sides: ChannelState['sides'], side: Side): ChannelState['sides'] => ({
    ...sides,
    [side]: readAs(sides[otherSide(side)], sides[side], differs),
  });
  return { ...channel, sides: turn(turn(channel.sides, 'remote'), 'local') };
}
