/** The on-chain wallet: PSBTs to sign, keys to compare with lightningd's own derivation, secrets derived for its use. */

import type { Psbt } from '../../proto/bitcoin/psbt.ts';
import { equalBytes } from '../../proto/bytes.ts';
import type { Call } from '../../proto/hsmd/calls.ts';
import type { Utxo } from '../../proto/hsmd/fields.ts';
import { signAllInputs, signUtxo } from '../bitcoin/psbt_sign.ts';
import { BadRequest, type Context, type Handlers } from '../context.ts';
import type { KeyPair } from '../keys/channel_keys.ts';
import { tweakedSecret } from '../keys/tweak.ts';

/** The key that spends an output of the wallet: its own, or the channel's for what a peer's close left us (hsm_key_for_utxo). */
function keyOf({ secp, keys }: Context, { closeInfo, keyindex }: Utxo): KeyPair {
  if (closeInfo === undefined) {
    if (keyindex >= 0x80000000) throw new BadRequest(`expected a key index below 2^31, got ${keyindex}`);
    return keys.walletKey(keyindex);
  }
  const { payment } = keys.channel(closeInfo.peerId, closeInfo.channelDbid);
  if (closeInfo.commitmentPoint === undefined) return payment;
  const secret = tweakedSecret(secp, payment, closeInfo.commitmentPoint);
  return { secret, point: secp.publicKey(secret) };
}

/** Signs each input that spends one of `inputs` (sign_our_inputs). */
function signOurInputs(context: Context, inputs: readonly Utxo[], psbt: Psbt): Psbt {
  return inputs.reduce((signed, utxo) => signUtxo(context.secp, signed, utxo, () => keyOf(context, utxo)), psbt);
}

function compare(ours: KeyPair | undefined, index: number, theirs: Uint8Array): { readonly ok: boolean } {
  if (ours === undefined) throw new BadRequest('bip86 keys need an hsm_secret made of a mnemonic');
  if (!equalBytes(ours.point, theirs)) throw new BadRequest(`lightningd derived another key for index ${index}`);
  return { ok: true };
}

function walletIndex(index: number): number {
  if (index >= 0x80000000) throw new BadRequest(`expected a key index below 2^31, got ${index}`);
  return index;
}

type WalletCall = Extract<
  Call,
  'signWithdrawal' | 'signAnchorspend' | 'signHtlcTxMingle' | 'checkPubkey' | 'checkBip86Pubkey' | 'deriveSecret'
>;

export const walletHandlers: Handlers<WalletCall> = {
  signWithdrawal: (context, { inputs, psbt }) => ({ psbt: signOurInputs(context, inputs, psbt) }),
  signHtlcTxMingle: (context, { inputs, psbt }) => ({ psbt: signOurInputs(context, inputs, psbt) }),

  /** The channel's funding key is tried on every input, as hsmd does: the anchor is found by its script. */
  signAnchorspend(context, { peerId, dbid, inputs, psbt }) {
    const { funding } = context.keys.channel(peerId, dbid);
    return { psbt: signAllInputs(context.secp, signOurInputs(context, inputs, psbt), funding) };
  },

  checkPubkey: ({ keys }, { index, pubkey }) => compare(keys.bip32Key(walletIndex(index)), index, pubkey),
  checkBip86Pubkey: ({ keys }, { index, pubkey }) => compare(keys.bip86Key(walletIndex(index)), index, pubkey),
  deriveSecret: ({ keys }, { info }) => ({ secret: keys.derivedSecret(info) }),
};
