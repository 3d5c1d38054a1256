/**
 * Gossip that is signed (2, 3, 4, 6). lightning_hsmd hashes whatever stands behind the signatures, with the node key and,
 * for channels, the funding key: bytes that are no announcement could be the text of a message, or a transaction that
 * spends the funding. A hash of the chain where BOLT 7 has it rules out both.
 */

import { equalBytes } from '../../proto/bytes.ts';
import type { Call } from '../../proto/hsmd/calls.ts';
import type { Checks, Scope } from './scope.ts';

/** Where fields begin, counted from the message's start; features of a length of their own stand between. */
const announcement = { features: 2 + 4 * 64 } as const;
const node = { features: 2 + 64, timestamp: 4 } as const;
const update = { chain: 2 + 64 } as const;
const keyLength = 33;
const hashLength = 32;
const shortChannelId = 8;

/** Where the features that begin at `at` end. */
function afterFeatures(message: Uint8Array, at: number): number {
  return at + 2 + ((message[at] ?? 0) << 8) + (message[at + 1] ?? 0);
}

/** Whether `bytes` stand at `at`. */
function standsAt(message: Uint8Array, at: number, bytes: Uint8Array): boolean {
  return equalBytes(message.subarray(at, at + bytes.length), bytes);
}

/** The two nodes stand in the order of their ids, and their funding keys likewise. */
function checkAnnouncement(scope: Scope, message: Uint8Array, peer: Uint8Array, dbid: bigint): void {
  const { keys } = scope.context;
  const chain = afterFeatures(message, announcement.features);
  const nodes = chain + hashLength + shortChannelId;
  const [first, second] = [nodes, nodes + keyLength];
  const isFirst = standsAt(message, first, keys.node.point);
  const ours = isFirst ? first : second;
  const matches =
    standsAt(message, chain, scope.network.chain) &&
    standsAt(message, ours, keys.node.point) &&
    standsAt(message, isFirst ? second : first, peer) &&
    standsAt(message, ours + 2 * keyLength, keys.channel(peer, dbid).funding.point);
  if (!matches) scope.broken('policy-gossip-format', { dbid: `${dbid}`, differs: 'chain, nodes or our funding key' });
}

export const gossipChecks: Checks<
  Extract<Call, 'cannouncementSig' | 'signAnyCannouncement' | 'nodeAnnouncementSig' | 'cupdateSig'>
> = {
  cannouncementSig(scope, { ca }) {
    const { nodeId, dbid } = scope.context.client;
    checkAnnouncement(scope, ca, nodeId, dbid);
    return {};
  },

  signAnyCannouncement(scope, { ca, peerId, dbid }) {
    checkAnnouncement(scope, ca, peerId, dbid);
    return {};
  },

  nodeAnnouncementSig(scope, { announcement: message }) {
    const id = afterFeatures(message, node.features) + node.timestamp;
    if (!standsAt(message, id, scope.context.keys.node.point))
      scope.broken('policy-gossip-format', { differs: 'node id' });
    return {};
  },

  cupdateSig(scope, { cu }) {
    if (!standsAt(cu, update.chain, scope.network.chain)) scope.broken('policy-gossip-format', { differs: 'chain' });
    return {};
  },
};
