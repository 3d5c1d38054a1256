/**
 * Signing and revoking commitments, and spending the funding output in closes and splices (BOLT 2, 3). Whether it should
 * be signed is the policy's to say, before any of these runs.
 */

import type { Call } from '../../proto/hsmd/calls.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import { fundingScript } from '../bitcoin/script.ts';
import { signInput, type TxSignature } from '../bitcoin/sign_input.ts';
import { BadRequest, type Context, type Handlers } from '../context.ts';
import type { ChannelKeys } from '../keys/channel_keys.ts';
import { tweakedSecret } from '../keys/tweak.ts';
import { ownChannel, pointOf, secretOf } from './channel.ts';

/** Signs the spending of the channel's 2-of-2, SIGHASH_ALL. */
function signFunding(
  { secp }: Context,
  channel: ChannelKeys,
  tx: TxWithPsbt,
  remoteFundingKey: Uint8Array,
  input = 0,
): TxSignature {
  const script = fundingScript(channel.funding.point, remoteFundingKey);
  return signInput(secp, tx, input, script, channel.funding.secret, 'all');
}

/** hsmd's own checks of a commitment. */
function asCommitment(tx: TxWithPsbt): TxWithPsbt {
  if (tx.tx.inputs.length !== 1) throw new BadRequest(`expected a commitment with 1 input, got ${tx.tx.inputs.length}`);
  if (tx.tx.outputs.length === 0) throw new BadRequest('expected a commitment with outputs, got none');
  return tx;
}

type CommitmentCall = Extract<
  Call,
  | 'signCommitmentTx'
  | 'signRemoteCommitmentTx'
  | 'signRemoteHtlcTx'
  | 'validateCommitmentTx'
  | 'validateRevocation'
  | 'revokeCommitmentTx'
  | 'signMutualCloseTx'
  | 'signSpliceTx'
>;

export const commitmentHandlers: Handlers<CommitmentCall> = {
  signCommitmentTx: (context, { peerId, dbid, tx, remoteFundingKey }) => ({
    sig: signFunding(context, context.keys.channel(peerId, dbid), asCommitment(tx), remoteFundingKey),
  }),

  signRemoteCommitmentTx: (context, { tx, remoteFundingKey }) => ({
    sig: signFunding(context, ownChannel(context), asCommitment(tx), remoteFundingKey),
  }),

  signRemoteHtlcTx(context, { tx, wscript, remotePerCommitPoint, optionAnchorOutputs }) {
    const key = tweakedSecret(context.secp, ownChannel(context).htlc, remotePerCommitPoint);
    return { sig: signInput(context.secp, tx, 0, wscript, key, optionAnchorOutputs ? 'singleAnyoneCanPay' : 'all') };
  },

  validateCommitmentTx: (context, { commitNum }) => ({
    oldCommitmentSecret: undefined,
    nextPerCommitmentPoint: pointOf(ownChannel(context), commitNum + 1n),
  }),

  validateRevocation: () => ({}),

  revokeCommitmentTx(context, { commitNum }) {
    const channel = ownChannel(context);
    const nextPerCommitmentPoint = pointOf(channel, commitNum + 2n);
    return { oldCommitmentSecret: secretOf(channel, commitNum), nextPerCommitmentPoint };
  },

  signMutualCloseTx: (context, { tx, remoteFundingKey }) => ({
    sig: signFunding(context, ownChannel(context), tx, remoteFundingKey),
  }),

  signSpliceTx: (context, { tx, remoteFundingKey, inputIndex }) => ({
    sig: signFunding(context, ownChannel(context), tx, remoteFundingKey, inputIndex),
  }),
};
