/**
 * Another reading of what ended in doubt, when the one that was counted leaves a payment short: what may as well have been
 * paid for another payment is counted for that one, as far as that one allows it. All that was paid stays counted once, so
 * no more goes out in the end than came in and was approved.
 */

import type { ChannelState, Settled } from '../state/channel_state.ts';
import { certain, type Doubt, moved } from '../state/doubt.ts';
import type { Entries } from '../state/entries.ts';
import { nothingSettled } from '../state/flows.ts';
import type { NodeState } from '../state/node_state.ts';
import type { Scope } from './scope.ts';
import { roomFor, type Shortage } from './shortage.ts';
import { afford, affordable } from './unlisted.ts';

function smallest(...amounts: readonly bigint[]): bigint {
  return amounts.reduce((a, b) => (a < b ? a : b));
}

function withOut(settled: Entries<Settled>, hash: string, added: bigint): Entries<Settled> {
  const { out, in: received } = settled.get(hash) ?? nothingSettled;
  return settled.with(hash, { out: out + added, in: received });
}

/** The node with `msat` of one payment counted for another, or as lost without one, by the doubt at this index. */
function recounted(scope: Scope, node: NodeState, index: number, from: string, to: string | undefined, msat: bigint) {
  const doubts = node.doubts.map((doubt, i) => (i === index ? moved(doubt, from, to, msat) : doubt));
  const less = withOut(node.settled, from, -msat);
  if (to !== undefined) return { ...node, doubts, settled: withOut(less, to, msat) };
  return { ...(afford(scope, node, msat) ?? node), doubts, settled: less };
}

/** The node with what this payment lacks counted for others, none of them `short` (hashes in hex), as far as that goes. */
function reread(
  scope: Scope,
  node: NodeState,
  { hash, added }: Shortage,
  short: ReadonlySet<string>,
  channel: ChannelState,
): NodeState {
  let [after, left] = [node, added];
  const shift = (index: number, to: string | undefined) => {
    const doubt: Doubt = after.doubts[index] ?? new Map();
    const paid = (doubt.get(hash) ?? certain).paid;
    const room =
      to === undefined
        ? smallest(affordable(scope, after), scope.settings.maxTrimmedSat * 1000n)
        : smallest((doubt.get(to) ?? certain).failed, roomFor(scope, after, to, channel));
    const msat = smallest(left, paid, room);
    if (msat <= 0n) return;
    after = recounted(scope, after, index, hash, to, msat);
    left -= msat;
  };
  const about = [...node.doubts.keys()].filter((index) => node.doubts[index]?.has(hash));
  for (const index of about)
    for (const other of node.doubts[index]?.keys() ?? []) if (left > 0n && !short.has(other)) shift(index, other);
  // Readings differ by what may be dust.
  if (left < added) for (const index of about) shift(index, undefined);
  return left > 0n ? node : after;
}

/** The node with what these payments lack counted for others; undefined where none of it may have been paid for those. */
export function rereadFor(
  scope: Scope,
  node: NodeState,
  shortages: readonly Shortage[],
  channel: ChannelState,
): NodeState | undefined {
  const short = new Set(shortages.map(({ hash }) => hash));
  const after = shortages.reduce((counted, shortage) => reread(scope, counted, shortage, short, channel), node);
  return after === node ? undefined : after;
}

/**
 * The node after these payments (hashes in hex) changed in a channel: what cannot have been paid any more, since what it
 * would have been paid from is gone, never counts as paid again, whatever comes in for it later.
 */
export function withoutRoom(
  scope: Scope,
  node: NodeState,
  after: ChannelState,
  hashes: Iterable<string>,
  inTime: (hash: string) => boolean = () => true,
): NodeState {
  let { doubts } = node;
  for (const hash of hashes)
    doubts = doubts.map((doubt) => {
      const reading = doubt.get(hash);
      if (reading === undefined || reading.failed === 0n) return doubt;
      const room = roomFor(scope, node, hash, after, inTime(hash));
      if (room >= reading.failed) return doubt;
      return new Map(doubt).set(hash, { paid: reading.paid, failed: room > 0n ? room : 0n });
    });
  return doubts.every((doubt, i) => doubt === node.doubts[i]) ? node : { ...node, doubts };
}
