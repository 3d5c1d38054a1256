/**
 * Which fundings of a channel count. What the peer has our signature for must go on meaning what it meant then, so:
 *
 * - a splice that the peer has a commitment of is remembered, with its shares, until that commitment is revoked;
 * - a funding that may have been in the chain is never another splice's, until a later one is proven to be in the chain.
 */

import type { ChannelState, FundingState, SideState } from '../state/channel_state.ts';
import type { Scope } from './scope.ts';

/** What the chain does not prove to be spent is remembered for as many splices. */
const mostLeft = 100;

/** The channel with these fundings only, and what its commitments say of them. */
function keepFundings(channel: ChannelState, keep: (funding: FundingState) => boolean): ChannelState {
  const fundings = channel.fundings.filter(keep);
  const kept = new Set(fundings.map(({ outpoint }) => outpoint));
  const trim = (side: SideState): SideState => ({
    ...side,
    accepted: side.accepted.map((commitment) => ({
      ...commitment,
      contents: new Map([...commitment.contents].filter(([outpoint]) => kept.has(outpoint))),
    })),
  });
  return { ...channel, fundings, sides: { local: trim(channel.sides.local), remote: trim(channel.sides.remote) } };
}

function isSignedFor({ sides: { remote } }: ChannelState, { outpoint }: FundingState): boolean {
  return remote.accepted.some(({ contents }) => contents.has(outpoint));
}

/** Without the splices that were announced and came to nothing. */
export function withoutIdle(channel: ChannelState): ChannelState {
  return keepFundings(channel, (each) => each.live || isSignedFor(channel, each));
}

/** Whether a splice is said to have an outpoint that an earlier funding had. */
export function wasLeft({ left }: ChannelState, { outpoint }: Pick<FundingState, 'outpoint'>): boolean {
  return left.includes(outpoint);
}

/** The channel from when this funding is locked: only it counts, and what is spliced from it. `isBuried` as far as is known. */
export function lockedTo(
  { chain, settings, broken }: Scope,
  channel: ChannelState,
  locked: FundingState,
  isBuried: boolean,
): ChannelState {
  const isSplice = ({ splicedFrom }: FundingState) => splicedFrom === locked.outpoint;
  const isKept = (each: FundingState) => isSplice(each) || (!each.live && isSignedFor(channel, each));
  const dropped = channel.fundings.filter((each) => each !== locked && !isKept(each) && each.live);
  // It spends the one before it, and that the one before that.
  const isProven = isBuried && chain?.inForce === true && !settings.zeroConf && locked.locked !== true;
  const left = isProven ? [] : [...channel.left, ...dropped.map(({ outpoint }) => outpoint)];
  if (left.length > mostLeft)
    broken('policy-chain-outpoint-buried', {
      left: left.length,
      differs: 'so many fundings are not known to be spent',
    });
  const kept = keepFundings(channel, (each) => each === locked || isKept(each));
  const others = kept.fundings.filter((each) => each !== locked);
  return { ...kept, fundings: [{ ...locked, locked: true }, ...others], left };
}
