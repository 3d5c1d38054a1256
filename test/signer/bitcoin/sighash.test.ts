/** BIP 143's and BIP 341's own vectors, and the corner that only exists before segwit. */

import { readFileSync } from 'node:fs';
import test from 'ava';
import { LeReader } from '../../../proto/bitcoin/stream.ts';
import { parseTransaction, readTransaction, txid } from '../../../proto/bitcoin/tx.ts';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import { p2tr, tapTweak } from '../../../signer/bitcoin/script.ts';
import { legacySighash, segwitSighash, taprootSighash } from '../../../signer/bitcoin/sighash.ts';
import { BadRequest } from '../../../signer/context.ts';

interface Bip143Vector {
  readonly tx: string;
  readonly input: number;
  readonly scriptCode: string;
  readonly amount: string;
  readonly type: number;
  readonly sighash: string;
}

const bip143: readonly Bip143Vector[] = JSON.parse(readFileSync('test/vectors/bitcoin/bip143.json', 'utf8'));
const bip341: {
  readonly tx: string;
  readonly spent: readonly { readonly script: string; readonly amount: string }[];
  readonly inputs: readonly { readonly input: number; readonly type: number; readonly sighash: string }[];
  readonly scripts: readonly {
    readonly internalPubkey: string;
    readonly merkleRoot: string | null;
    readonly tweak: string;
    readonly scriptPubKey: string;
  }[];
} = JSON.parse(readFileSync('test/vectors/bitcoin/bip341.json', 'utf8'));

for (const [i, { tx, input, scriptCode, amount, type, sighash }] of bip143.entries())
  test(`BIP 143 example ${i + 1}: type ${type} over input ${input}`, (t) => {
    const digest = segwitSighash(parseTransaction(fromHex(tx)), input, fromHex(scriptCode), BigInt(amount), type);
    t.is(toHex(digest), sighash);
  });

const spent = bip341.spent.map(({ script, amount }) => ({ script: fromHex(script), amount: BigInt(amount) }));
const keyPath = parseTransaction(fromHex(bip341.tx));

for (const { input, type, sighash } of bip341.inputs)
  test(`BIP 341 key path: type ${type} over input ${input}`, (t) => {
    t.is(toHex(taprootSighash(keyPath, input, spent, type)), sighash);
  });

for (const [i, { internalPubkey, merkleRoot, tweak, scriptPubKey }] of bip341.scripts.entries())
  test(`BIP 341 scriptPubKey ${i}: the tweak of its internal key`, (t) => {
    const root = merkleRoot === null ? undefined : fromHex(merkleRoot);
    t.is(toHex(tapTweak(fromHex(internalPubkey), root)), tweak);
    t.is(toHex(p2tr(fromHex(scriptPubKey.slice(4)))), scriptPubKey);
  });

/** The first transaction from Satoshi to Hal Finney; its input's signature has the sighash type ALL. */
const toHal =
  '0100000001c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd37040000000000ffffffff0200ca9a3b00000000434104ae1a62fe09c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1baded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3ac00000000';
const satoshisScript =
  '410411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3ac';

test('before segwit: the hash that the signature in block 170 signs', (t) => {
  const digest = legacySighash(parseTransaction(fromHex(toHal)), 0, fromHex(satoshisScript), 1);
  t.is(toHex(digest), '7a05c6145f10101e9d6325494245adf1297d80f8f38d4d576d57cdba220bcb19');
});

test('before segwit SINGLE without an output signs the number 1; later versions zeros, or nothing', (t) => {
  const [first] = bip143;
  if (first === undefined) return t.fail('no vector');
  const two = parseTransaction(fromHex(first.tx));
  const tx = { ...two, outputs: two.outputs.slice(0, 1) };
  t.is(toHex(legacySighash(tx, 1, new Uint8Array(), 3)), `01${'00'.repeat(31)}`);
  t.notDeepEqual(segwitSighash(tx, 1, new Uint8Array(), 0n, 3), segwitSighash(two, 1, new Uint8Array(), 0n, 3));
  t.throws(() => taprootSighash({ ...keyPath, outputs: [] }, 0, spent, 3), { instanceOf: BadRequest });
  t.throws(() => taprootSighash(keyPath, keyPath.outputs.length, spent, 3), { instanceOf: BadRequest });
});

test('what libwally hashes nothing for is a bad request', (t) => {
  const script = Uint8Array.of(0x51);
  const zeroInputs = readTransaction(new LeReader(fromHex('02000000000100000000000000000000000000')), false).tx;
  for (const type of [0x04, 0x1f, 0x41, 0x80, 0xc1, 0x101])
    t.throws(() => segwitSighash(keyPath, 0, script, 0n, type), { instanceOf: BadRequest });
  t.throws(() => segwitSighash(zeroInputs, 0, script, 0n, 1), { instanceOf: BadRequest });
  t.throws(() => segwitSighash({ ...keyPath, outputs: [] }, 0, script, 0n, 1), { instanceOf: BadRequest });
  t.throws(() => segwitSighash(keyPath, keyPath.inputs.length, script, 0n, 1), { instanceOf: BadRequest });
  t.throws(() => segwitSighash(keyPath, 0, script, 2_100_000_000_000_001n, 1), { instanceOf: BadRequest });
  t.throws(() => taprootSighash(keyPath, 0, [spent[0]], 0), { instanceOf: BadRequest });
  t.throws(() => taprootSighash(keyPath, 2, spent, 0), { instanceOf: BadRequest });
  t.is(txid(keyPath).length, 32);
});
