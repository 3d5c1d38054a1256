/**
 * What is ours on one side of a channel, kept by double entry: what was ours at the opening, what HTLCs moved since, and
 * what was lost beside them. A commitment shows whole satoshi, and nothing of what is dust: compared with the one before
 * it, a little may be missing each time. Compared with the account, all that ever went missing is counted.
 *
 * Invariant: what is ours by the newest commitment is at most a satoshi less than `ours`, and `ours` is what was put in and
 * moved to us by HTLCs, at least, less `lost`.
 */

import type { Side } from '../lightning/channel.ts';
import type { ContentState } from './channel_state.ts';

/** Msat. */
export interface Interval {
  readonly least: bigint;
  readonly most: bigint;
}

export interface Account {
  /** Msat, before the fees that we pay as the opener, and as if all were still in the channel's first funding. */
  readonly ours: bigint;
  /** Msat that left it without an HTLC to show for it, over the channel's life. */
  readonly lost: bigint;
}

/**
 * Satoshi of a commitment that are in no output and not the opener's fee: HTLCs that are dust, and of a side without an
 * output all it has. An opener without one may own less than the fee, so there the fee is in it too.
 */
export function leftOut({ openerPays, trimmed, toLocal, toRemote }: ContentState, opener: Side): bigint {
  return (opener === 'local' ? toLocal : toRemote) === undefined ? openerPays + trimmed : trimmed;
}

/**
 * What we own in a commitment besides HTLCs, before the fees we pay as its opener. Without an output for us it is at most
 * the dust limit (satoshi) with those fees, and what the commitment leaves out: the peer's output has none of it.
 */
export function ourBalance(content: ContentState, opener: Side, dustLimit: bigint): Interval {
  const { toLocal, openerPays } = content;
  const fees = opener === 'local' ? openerPays : 0n;
  if (toLocal !== undefined) return { least: (toLocal + fees) * 1000n, most: (toLocal + fees) * 1000n + 999n };
  const [limit, left] = [dustLimit + fees, leftOut(content, opener)];
  const most = left < limit ? left : limit;
  return { least: 0n, most: most > 0n ? most * 1000n : 0n };
}

/** The account after HTLCs moved `moved` msat to us (or from us: negative) and a commitment shows this balance. */
export function entered({ ours, lost }: Account, moved: bigint, { least, most }: Interval): Account {
  const due = ours + moved;
  if (due > most) return { ours: most, lost: lost + due - most };
  return { ours: due < least ? least : due, lost };
}

/** What the account leaves open about the balance: a satoshi, where a gain or a loss was read off a commitment. */
export function balanceOf({ ours }: Account): Interval {
  return { least: ours, most: ours + 999n };
}

export function shifted({ least, most }: Interval, msat: bigint): Interval {
  return { least: least + msat, most: most + msat };
}

/** What a channel lost: only one of its commitments confirms, so the two sides do not add up. */
export function channelLoss(sides: { readonly [S in Side]: { readonly account: Account } }): bigint {
  const { local, remote } = { local: sides.local.account.lost, remote: sides.remote.account.lost };
  return local > remote ? local : remote;
}
