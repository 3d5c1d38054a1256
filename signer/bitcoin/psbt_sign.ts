/**
 * Signs a PSBT's inputs as hsmd does with libwally: sign_our_inputs' step for one output of the wallet, and
 * wally_psbt_sign over all inputs, grinding for a low R. Where libwally fails hsmd ends its process; here BadRequest is
 * thrown and no signature leaves. One difference: libwally keeps its hashes of amounts and scripts while hsmd replaces
 * the output that a later input spends, and may then make taproot signatures that are not valid; these are.
 */

import { derSignature } from '../../proto/bitcoin/der.ts';
import type { Psbt, PsbtInput, PsbtPair } from '../../proto/bitcoin/psbt.ts';
import { inputFields, type PsbtField } from '../../proto/bitcoin/psbt_fields.ts';
import {
  fieldPairs,
  fieldValue,
  sighashType,
  spentOutput,
  withField,
  withInput,
  withPair,
  witnessScript,
} from '../../proto/bitcoin/psbt_input.ts';
import { maxInputs, maxOutputs } from '../../proto/bitcoin/psbt_v2.ts';
import { maxMoney, type TxOutput, totalOutput, txid } from '../../proto/bitcoin/tx.ts';
import { concat, equalBytes } from '../../proto/bytes.ts';
import type { Utxo } from '../../proto/hsmd/fields.ts';
import type { Secret } from '../../proto/secret.ts';
import { BadRequest } from '../context.ts';
import { hash160 } from '../crypto/hash.ts';
import type { Secp } from '../crypto/secp.ts';
import type { KeyPair } from '../keys/channel_keys.ts';
import { taprootSecret } from '../keys/taproot.ts';
import { isP2shOf, isP2tr, isP2wpkh, isP2wsh, p2pkh, p2wsh, toRemoteAnchoredScript } from './script.ts';
import { legacySighash, segwitSighash, sighash, taprootSighash } from './sighash.ts';

/**
 * Signs with the key of `utxo`, which is only asked for where an input spends it. As in hsmd, that key then signs every
 * input that lists it.
 */
export function signUtxo(secp: Secp, psbt: Psbt, utxo: Utxo, keyOf: () => KeyPair): Psbt {
  let signed = psbt;
  for (const [index, { txid: spent, vout }] of psbt.tx.inputs.entries()) {
    if (vout !== utxo.vout || !equalBytes(spent, utxo.txid)) continue;
    const key = keyOf();
    signed = signAllInputs(secp, withInput(signed, index, claimed(signed, index, utxo, key.point)), key);
  }
  return signed;
}

/** The input with our key among its origins, and for an anchored to_remote with the script and output it spends. */
function claimed(psbt: Psbt, index: number, utxo: Utxo, point: Uint8Array): PsbtInput {
  const origin = concat(hash160(point).subarray(0, 4), new Uint8Array(4));
  const input = inputAt(psbt, index);
  const known = isP2tr(utxo.scriptpubkey)
    ? withPair(input, inputFields.tapBip32Derivation, point.subarray(1), concat(Uint8Array.of(0), origin))
    : withPair(input, inputFields.bip32Derivation, point, origin);
  if (!utxo.closeInfo?.optionAnchors) return known;
  if (utxo.amount > maxMoney) throw new BadRequest(`expected at most ${maxMoney} satoshi, got ${utxo.amount}`);
  const script = toRemoteAnchoredScript(point, utxo.closeInfo.csv);
  const witnessUtxo = { amount: utxo.amount, script: p2wsh(script) };
  return { ...withField(known, inputFields.witnessScript, script), witnessUtxo };
}

/** Signs every input that lists `key` among its origins and has no signature of it yet (wally_psbt_sign). */
export function signAllInputs(secp: Secp, psbt: Psbt, key: KeyPair): Psbt {
  const { inputs, outputs } = psbt.tx;
  if (inputs.length > maxInputs || outputs.length > maxOutputs || totalOutput(psbt.tx) > maxMoney)
    throw new BadRequest('the transaction is too large for lightning_hsmd to sign');
  return { ...psbt, inputs: psbt.inputs.map((input, index) => signOne(secp, psbt, index, input, key)) };
}

function signOne(secp: Secp, psbt: Psbt, index: number, input: PsbtInput, { point, secret }: KeyPair): PsbtInput {
  const { pairs } = input;
  const listed = listedKey(pairs, inputFields.bip32Derivation, point);
  const tapListed = listedKey(pairs, inputFields.tapBip32Derivation, point);
  if (listed !== undefined && listedKey(pairs, inputFields.partialSig, point) !== undefined) return input;
  const tapOpen = tapListed !== undefined && fieldValue(pairs, inputFields.tapKeySig) === undefined;
  if (listed === undefined && !tapOpen) return input;

  const spent = spentOutput(psbt, index);
  if (spent === undefined) throw new BadRequest(`the output that input ${index} spends is not known`);
  const type = sighashType(input);
  if (type > 0xff) throw new BadRequest(`expected a sighash type of one byte on input ${index}, got ${type}`);
  const script = scriptCode(psbt, index, spent);
  if (isP2tr(spent.script)) {
    if (tapListed === undefined) throw new BadRequest(`input ${index} is taproot, but lists the key as ECDSA's`);
    const outputs = psbt.inputs.map((_, i) => spentOutput(psbt, i));
    const signature = signKeyPath(secp, taprootSighash(psbt.tx, index, outputs, type), input, secret);
    const flagged = type === sighash.default ? signature : concat(signature, Uint8Array.of(type));
    return withField(input, inputFields.tapKeySig, flagged);
  }
  if (listed === undefined) throw new BadRequest(`input ${index} lists the key as taproot's, but is none`);
  const effective = type === sighash.default ? sighash.all : type;
  const hash =
    input.witnessUtxo === undefined
      ? legacySighash(psbt.tx, index, script, effective)
      : segwitSighash(psbt.tx, index, script, spent.amount, effective);
  const signature = concat(derSignature(signLowR(secp, hash, secret)), Uint8Array.of(effective));
  return withPair(input, inputFields.partialSig, listed, signature);
}

function inputAt(psbt: Psbt, index: number): PsbtInput {
  const input = psbt.inputs[index];
  if (input === undefined) throw new RangeError(`expected an input below ${psbt.inputs.length}, got ${index}`);
  return input;
}

/** The key of a field that is `point`: compressed, else x-only, else uncompressed; on the curve each, so y's parity says all. */
function listedKey(pairs: readonly PsbtPair[], field: PsbtField, point: Uint8Array): Uint8Array | undefined {
  const keys = fieldPairs(pairs, field).map(({ key }) => key);
  const x = point.subarray(1);
  const isUncompressed = (key: Uint8Array) =>
    key.length === 65 && key[0] === 4 && equalBytes(key.subarray(1, 33), x) && ((key[64] ?? 0) & 1) + 2 === point[0];
  return (
    keys.find((key) => equalBytes(key, point)) ?? keys.find((key) => equalBytes(key, x)) ?? keys.find(isUncompressed)
  );
}

/** The script that the input's signature covers (get_signing_script, get_scriptcode). */
function scriptCode(psbt: Psbt, index: number, spent: TxOutput): Uint8Array {
  const input = inputAt(psbt, index);
  const redeemScript = fieldValue(input.pairs, inputFields.redeemScript);
  if (redeemScript !== undefined && !isP2shOf(spent.script, redeemScript))
    throw new BadRequest(`the redeem script of input ${index} is not the one it spends`);
  const script = redeemScript ?? spent.script;
  if (input.witnessUtxo !== undefined) return segwitScriptCode(input, script, index);
  const id = psbt.tx.inputs[index]?.txid;
  if (id === undefined || input.previousTx === undefined || !equalBytes(txid(input.previousTx), id))
    throw new BadRequest(`the previous transaction of input ${index} is another one`);
  if (script.length === 0) throw new BadRequest(`the output that input ${index} spends has no script`);
  return script;
}

function segwitScriptCode(input: PsbtInput, script: Uint8Array, index: number): Uint8Array {
  if (isP2wpkh(script)) return p2pkh(script.subarray(2));
  if (isP2tr(script)) return script;
  if (!isP2wsh(script)) throw new BadRequest(`input ${index} has a witness UTXO, but spends no segwit output`);
  const witness = witnessScript(input);
  if (witness === undefined || !equalBytes(p2wsh(witness), script))
    throw new BadRequest(`the witness script of input ${index} is missing or another one`);
  return witness;
}

/**
 * Signs until R is below 2^255: the first time without extra entropy, then with a counter from 1 in its first four
 * bytes, little-endian. (hsmd's own signatures count from 0 instead.)
 */
function signLowR(secp: Secp, hash: Uint8Array, secret: Secret): Uint8Array {
  let signature = secp.sign(hash, secret);
  for (let counter = 1; (signature[0] ?? 0) >= 0x80; counter++) {
    const entropy = new Uint8Array(32);
    new DataView(entropy.buffer).setUint32(0, counter, true);
    signature = secp.sign(hash, secret, entropy);
  }
  return signature;
}

/** BIP 341: signs with the key whose point is the tweaked output key. */
function signKeyPath(secp: Secp, hash: Uint8Array, input: PsbtInput, secret: Secret): Uint8Array {
  const key = { secret, point: secp.publicKey(secret) };
  using tweaked = taprootSecret(secp, key, fieldValue(input.pairs, inputFields.tapMerkleRoot));
  if (tweaked === undefined) throw new BadRequest('no taproot key for this tweak');
  return secp.signSchnorr(hash, tweaked);
}
