/** What leaves a channel without an HTLC to show for it: dust, parts of a satoshi. So much of it a day is nobody's fault. */

import { level, type NodeState, pour } from '../state/node_state.ts';
import type { Scope } from './scope.ts';

/** The node with this loss in msat counted for the day; undefined where that is too much. */
export function afford({ settings, now }: Scope, node: NodeState, loss: bigint): NodeState | undefined {
  if (loss <= 0n) return node;
  const unlisted = pour(node.buckets.unlisted, loss, settings.unlistedMsatPerDay, now);
  return unlisted && { ...node, buckets: { ...node.buckets, unlisted } };
}

/** Msat that may still be lost so today. */
export function affordable({ settings, now }: Scope, { buckets: { unlisted } }: NodeState): bigint {
  return settings.unlistedMsatPerDay - level(unlisted, settings.unlistedMsatPerDay, now);
}
