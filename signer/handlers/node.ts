/** The node key at work for peers and gossip: handshakes and onions, announcements and updates (BOLT 4, 7, 8). */

import type { Call, ReplyOf } from '../../proto/hsmd/calls.ts';
import { Reader, trustPoints, WireError } from '../../proto/hsmd/codec.ts';
import { ecdsaSignature } from '../../proto/hsmd/fields.ts';
import { messageType } from '../../proto/hsmd/message.ts';
import { BadRequest, type Context, type Handlers } from '../context.ts';
import { sha256d } from '../crypto/hash.ts';
import { signLowR } from '../crypto/low_r.ts';
import type { ChannelKeys } from '../keys/channel_keys.ts';

/** Message types of BOLT 7, and where what their signature covers begins: behind the type and the signatures. */
const channelAnnouncement = { type: 256, signedFrom: 2 + 4 * 64 } as const;
const nodeAnnouncement = { type: 257, signedFrom: 2 + 64 } as const;
const channelUpdate = { type: 258, signedFrom: 2 + 64 } as const;
/** A channel_update's fields end here; hsmd signs what follows too, but does not return it. */
const channelUpdateLength = 138;

function signedPart(message: Uint8Array, { type, signedFrom }: { type: number; signedFrom: number }): Uint8Array {
  if (message.length < signedFrom)
    throw new BadRequest(`expected a message of ${signedFrom} bytes or more, got ${message.length}`);
  if (messageType(message) !== type)
    throw new BadRequest(`expected gossip message ${type}, got ${messageType(message) ?? 'none'}`);
  return message.subarray(signedFrom);
}

function announceChannel(
  { secp, keys }: Context,
  channel: ChannelKeys,
  message: Uint8Array,
): ReplyOf<'cannouncementSig'> {
  const digest = sha256d(signedPart(message, channelAnnouncement));
  return {
    nodeSignature: signLowR(secp, digest, keys.node.secret),
    bitcoinSignature: signLowR(secp, digest, channel.funding.secret),
  };
}

type NodeCall = Extract<
  Call,
  'ecdh' | 'cannouncementSig' | 'signAnyCannouncement' | 'nodeAnnouncementSig' | 'cupdateSig'
>;

export const nodeHandlers: Handlers<NodeCall> = {
  ecdh: ({ secp, keys }, { point }) => ({ ss: secp.ecdh(point, keys.node.secret) }),

  cannouncementSig: (context, { ca }) =>
    announceChannel(context, context.keys.channel(context.client.nodeId, context.client.dbid), ca),

  signAnyCannouncement: (context, { ca, peerId, dbid }) =>
    announceChannel(context, context.keys.channel(peerId, dbid), ca),

  nodeAnnouncementSig: ({ secp, keys }, { announcement }) => ({
    signature: signLowR(secp, sha256d(signedPart(announcement, nodeAnnouncement)), keys.node.secret),
  }),

  cupdateSig({ secp, keys }, { cu }) {
    const signature = signLowR(secp, sha256d(signedPart(parsedUpdate(cu), channelUpdate)), keys.node.secret);
    const signed = cu.slice(0, channelUpdateLength);
    signed.set(signature, 2);
    return { cu: signed };
  },
};

/** hsmd parses the update, so its fields must be whole and the signature it comes with must be parsable. */
function parsedUpdate(cu: Uint8Array): Uint8Array {
  if (cu.length < channelUpdateLength)
    throw new BadRequest(`expected a channel_update of ${channelUpdateLength} bytes, got ${cu.length}`);
  try {
    ecdsaSignature.read(new Reader(cu.subarray(2, 66), trustPoints));
  } catch (error: unknown) {
    throw error instanceof WireError ? new BadRequest(`channel_update: ${error.problem}`, { cause: error }) : error;
  }
  return cu;
}
