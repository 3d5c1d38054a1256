/**
 * Signing PSBTs. The cases in psbt_signing.json are sign_withdrawal and sign_anchorspend requests with the keys that
 * hsmd derived for them, and the PSBT that the real lightning_hsmd answered (null: it died).
 */

import { readFileSync } from 'node:fs';
import { parsePsbt, serializePsbt } from '../../../proto/bitcoin/psbt.ts';
import { inputFields } from '../../../proto/bitcoin/psbt_fields.ts';
import { fieldValue, withField, withPair } from '../../../proto/bitcoin/psbt_input.ts';
import { parseTransaction } from '../../../proto/bitcoin/tx.ts';
import { concat, fromHex, toHex } from '../../../proto/bytes.ts';
import { WireError } from '../../../proto/hsmd/codec.ts';
import type { Utxo } from '../../../proto/hsmd/fields.ts';
import { Secret } from '../../../proto/secret.ts';
import { signAllInputs, signUtxo } from '../../../signer/bitcoin/psbt_sign.ts';
import { BadRequest } from '../../../signer/context.ts';
import type { Secp } from '../../../signer/crypto/secp.ts';
import type { KeyPair } from '../../../signer/keys/channel_keys.ts';
import { testEach } from '../implementations.ts';

interface SignedUtxo {
  readonly txid: string;
  readonly vout: number;
  readonly amount: string;
  readonly scriptpubkey: string;
  readonly anchors?: boolean;
  readonly csv?: number;
  readonly secret: string;
}

interface SigningCase {
  readonly psbt: string;
  readonly utxos: readonly SignedUtxo[];
  readonly then?: string;
  readonly signed: string | null;
  readonly why?: string;
}

const cases: readonly SigningCase[] = JSON.parse(readFileSync('test/vectors/bitcoin/psbt_signing.json', 'utf8'));

function keyPair(secp: Secp, secret: string): KeyPair {
  const key = new Secret(fromHex(secret));
  return { secret: key, point: secp.publicKey(key) };
}

function asUtxo({ txid, vout, amount, scriptpubkey, anchors, csv }: SignedUtxo): Utxo {
  const closeInfo = {
    channelDbid: 1n,
    peerId: new Uint8Array(33),
    commitmentPoint: undefined,
    optionAnchors: anchors === true,
    csv: csv ?? 0,
  };
  return {
    txid: fromHex(txid),
    vout,
    amount: BigInt(amount),
    keyindex: 0,
    scriptpubkey: fromHex(scriptpubkey),
    closeInfo: anchors === undefined ? undefined : closeInfo,
  };
}

function answer(secp: Secp, { psbt, utxos, then }: SigningCase): Uint8Array {
  const signed = utxos.reduce(
    (before, utxo) => signUtxo(secp, before, asUtxo(utxo), () => keyPair(secp, utxo.secret)),
    parsePsbt(fromHex(psbt), secp),
  );
  return serializePsbt(then === undefined ? signed : signAllInputs(secp, signed, keyPair(secp, then)));
}

testEach('each PSBT gets the signatures that lightning_hsmd gives it, or none where it dies', (t, secp) => {
  t.is(cases.length, 90);
  for (const [i, one] of cases.entries()) {
    if (one.signed !== null) t.is(toHex(answer(secp, one)), one.signed, `case ${i}`);
    else {
      const error = t.throws(() => answer(secp, one), { any: true }, `case ${i}`);
      t.true(error instanceof BadRequest || error instanceof WireError, `case ${i}`);
      t.true(error instanceof Error && error.message.replaceAll(/\d+/g, 'N').startsWith(one.why ?? '-'), `case ${i}`);
    }
  }
});

testEach('a key is only asked for where an input spends its output', (t, secp) => {
  const [one] = cases;
  const [utxo] = one?.utxos ?? [];
  if (one === undefined || utxo === undefined) return t.fail('no case');
  const psbt = parsePsbt(fromHex(one.psbt), secp);
  const other = { ...asUtxo(utxo), vout: utxo.vout + 1 };
  t.is(
    signUtxo(secp, psbt, other, () => t.fail('asked for the key') as never),
    psbt,
  );
});

interface KeyPathVector {
  readonly input: number;
  readonly secret: string;
  readonly merkleRoot: string | null;
  readonly type: number;
  readonly signature: string;
}

const bip341: {
  readonly tx: string;
  readonly spent: readonly { readonly script: string; readonly amount: string }[];
  readonly inputs: readonly KeyPathVector[];
} = JSON.parse(readFileSync('test/vectors/bitcoin/bip341.json', 'utf8'));

testEach('BIP 341: each input of its key path vector gets the signature in it', (t, secp) => {
  for (const { input: index, secret, merkleRoot, type, signature } of bip341.inputs) {
    const key = keyPair(secp, secret);
    const inputs = bip341.spent.map(({ script, amount }, i) => {
      const witnessUtxo = { script: fromHex(script), amount: BigInt(amount) };
      const input = { previousTx: undefined, witnessUtxo, pairs: [] };
      if (i !== index) return input;
      const origin = concat(new Uint8Array(1), new Uint8Array(8));
      const listed = withPair(input, inputFields.tapBip32Derivation, key.point.subarray(1), origin);
      const typed = type === 0 ? listed : withField(listed, inputFields.sighashType, Uint8Array.of(type, 0, 0, 0));
      return merkleRoot === null ? typed : withField(typed, inputFields.tapMerkleRoot, fromHex(merkleRoot));
    });
    const tx = parseTransaction(fromHex(bip341.tx));
    const signed = signAllInputs(secp, { tx, globals: [], inputs, outputs: tx.outputs.map(() => []) }, key);
    const found = fieldValue(signed.inputs[index]?.pairs ?? [], inputFields.tapKeySig);
    t.is(toHex(found ?? new Uint8Array()), signature, `input ${index}`);
  }
});
