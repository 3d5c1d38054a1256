/**
 * Outputs of a closed channel on their way to the wallet (BOLT 5). onchaind asks for its own channel; lightningd asks
 * for any, with the channel and the input in the request. Both come down to the same four signatures.
 */

import type { Call } from '../../proto/hsmd/calls.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import type { Secret } from '../../proto/secret.ts';
import { type SighashName, signInput, type TxSignature } from '../bitcoin/sign_input.ts';
import { BadRequest, type Context, type Handlers } from '../context.ts';
import type { ChannelKeys } from '../keys/channel_keys.ts';
import { revocationSecret, tweakedSecret } from '../keys/tweak.ts';
import { ownChannel, pointOf } from './channel.ts';

/** Signs input 0 of a transaction that has no other; `input` is what the request says, which hsmd checks and ignores. */
function signSweep(
  { secp }: Context,
  { tx, wscript }: { readonly tx: TxWithPsbt; readonly wscript: Uint8Array },
  key: Secret,
  sighash: SighashName,
  input = 0,
): { readonly sig: TxSignature } {
  const inputs = tx.tx.inputs.length;
  if (input >= inputs) throw new BadRequest(`expected an input below ${inputs}, got ${input}`);
  if (inputs !== 1) throw new BadRequest(`expected a transaction with 1 input, got ${inputs}`);
  return { sig: signInput(secp, tx, 0, wscript, key, sighash) };
}

function htlcSighash(anchors: boolean): SighashName {
  return anchors ? 'singleAnyoneCanPay' : 'all';
}

/** What our own commitment `commitNum` pays us after its delay. */
function delayedKey({ secp }: Context, channel: ChannelKeys, commitNum: bigint): Secret {
  return tweakedSecret(secp, channel.delayed, pointOf(channel, commitNum));
}

function penaltyKey({ secp }: Context, channel: ChannelKeys, perCommitmentSecret: Secret): Secret {
  if (!perCommitmentSecret.use((bytes) => secp.isScalar(bytes)))
    throw new BadRequest('the revocation secret is no scalar');
  const key = revocationSecret(secp, channel.revocation, perCommitmentSecret);
  if (key === undefined) throw new BadRequest('the revocation secret makes no key');
  return key;
}

type SweepCall = Extract<
  Call,
  | 'signDelayedPaymentToUs'
  | 'signRemoteHtlcToUs'
  | 'signPenaltyToUs'
  | 'signAnyDelayedPaymentToUs'
  | 'signAnyRemoteHtlcToUs'
  | 'signAnyPenaltyToUs'
  | 'signAnyLocalHtlcTx'
>;

export const sweepHandlers: Handlers<SweepCall> = {
  signDelayedPaymentToUs: (context, request) =>
    signSweep(context, request, delayedKey(context, ownChannel(context), request.commitNum), 'all'),

  signAnyDelayedPaymentToUs(context, request) {
    const channel = context.keys.channel(request.peerId, request.dbid);
    return signSweep(context, request, delayedKey(context, channel, request.commitNum), 'all', request.input);
  },

  signRemoteHtlcToUs(context, request) {
    const key = tweakedSecret(context.secp, ownChannel(context).htlc, request.remotePerCommitmentPoint);
    return signSweep(context, request, key, htlcSighash(request.optionAnchorOutputs));
  },

  signAnyRemoteHtlcToUs(context, request) {
    const { htlc } = context.keys.channel(request.peerId, request.dbid);
    const key = tweakedSecret(context.secp, htlc, request.remotePerCommitmentPoint);
    return signSweep(context, request, key, htlcSighash(request.optionAnchorOutputs), request.input);
  },

  signPenaltyToUs: (context, request) =>
    signSweep(context, request, penaltyKey(context, ownChannel(context), request.revocationSecret), 'all'),

  signAnyPenaltyToUs(context, request) {
    const channel = context.keys.channel(request.peerId, request.dbid);
    return signSweep(context, request, penaltyKey(context, channel, request.revocationSecret), 'all', request.input);
  },

  signAnyLocalHtlcTx(context, request) {
    const channel = context.keys.channel(request.peerId, request.dbid);
    const key = tweakedSecret(context.secp, channel.htlc, pointOf(channel, request.commitNum));
    return signSweep(context, request, key, htlcSighash(request.optionAnchorOutputs), request.input);
  },
};
