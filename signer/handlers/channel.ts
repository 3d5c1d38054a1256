/** A channel's life outside its commitments: opening, points, burial, forgetting. Without a policy most is only noted. */

import type { Call } from '../../proto/hsmd/calls.ts';
import { p2wpkh } from '../bitcoin/script.ts';
import { BadRequest, type Context, type Handlers } from '../context.ts';
import type { ChannelKeys } from '../keys/channel_keys.ts';
import { commitmentNumbers } from '../keys/shachain.ts';
import { tweakedSecret } from '../keys/tweak.ts';

/** The keys of the channel that the asking client serves. */
export function ownChannel({ keys, client }: Context): ChannelKeys {
  return keys.channel(client.nodeId, client.dbid);
}

/** Our point of commitment `n` (per_commit_point). */
export function pointOf(channel: ChannelKeys, n: bigint): Uint8Array {
  const point = channel.perCommitmentPoint(n);
  if (point === undefined) throw new BadRequest(`commitment numbers end below ${commitmentNumbers}, got ${n}`);
  return point;
}

/** Our secret of commitment `n` (per_commit_secret). */
export function secretOf(channel: ChannelKeys, n: bigint) {
  const secret = channel.perCommitmentSecret(n);
  if (secret === undefined) throw new BadRequest(`commitment numbers end below ${commitmentNumbers}, got ${n}`);
  return secret;
}

type ChannelCall = Extract<
  Call,
  | 'newChannel'
  | 'setupChannel'
  | 'forgetChannel'
  | 'getChannelBasepoints'
  | 'getPerCommitmentPoint'
  | 'checkFutureSecret'
  | 'checkOutpoint'
  | 'lockOutpoint'
  | 'getOutputScriptpubkey'
>;

export const channelHandlers: Handlers<ChannelCall> = {
  newChannel: () => ({}),
  setupChannel: () => ({}),
  forgetChannel: () => ({}),
  checkOutpoint: () => ({ isBuried: true }),
  lockOutpoint: () => ({}),

  getChannelBasepoints({ keys }, { peerId, dbid }) {
    const { basepoints, funding } = keys.channel(peerId, dbid);
    return { basepoints, fundingPubkey: funding.point };
  },

  /** Before version 6 the point came with the secret two back, which revoked it. */
  getPerCommitmentPoint(context, { n }) {
    const channel = ownChannel(context);
    const perCommitmentPoint = pointOf(channel, n);
    const revokes = context.version < 6 && n >= 2n;
    return { perCommitmentPoint, oldCommitmentSecret: revokes ? secretOf(channel, n - 2n) : undefined };
  },

  checkFutureSecret: (context, { n, commitmentSecret }) => ({
    correct: secretOf(ownChannel(context), n).equals(commitmentSecret),
  }),

  getOutputScriptpubkey({ secp, keys }, { dbid, peerId, commitmentPoint }) {
    const { payment } = keys.channel(peerId, dbid);
    const key = commitmentPoint === undefined ? payment.secret : tweakedSecret(secp, payment, commitmentPoint);
    return { script: p2wpkh(secp.publicKey(key)) };
  },
};
