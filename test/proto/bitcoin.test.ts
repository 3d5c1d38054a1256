/**
 * Transactions and PSBTs. The vectors in psbt.json are those of BIP 174, 370 and 371, each with what the real
 * lightning_hsmd made of it: nothing (null), the same bytes, or others.
 */

import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { isPointCompressed, pointCompress, pointFromScalar } from 'tiny-secp256k1';
import { loadRecordings } from '../../cli/recordings.ts';
import { parsePsbt, serializePsbt } from '../../proto/bitcoin/psbt.ts';
import { inputFields } from '../../proto/bitcoin/psbt_fields.ts';
import { fieldValue, inputAmount, sighashType, spentOutput, witnessScript } from '../../proto/bitcoin/psbt_input.ts';
import { maxMoney, parseTransaction, serializeTransaction, type Transaction, txid } from '../../proto/bitcoin/tx.ts';
import { concat, fromHex, toHex } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import { callOf, decodeRequest } from '../../proto/hsmd/message.ts';

interface PsbtVector {
  readonly bip: number;
  readonly case: string;
  readonly psbt: string;
  readonly hsmd: string | null;
}

const curve = { isPoint: isPointCompressed };
const psbtVectors: readonly PsbtVector[] = JSON.parse(readFileSync('test/vectors/bitcoin/psbt.json', 'utf8'));

/** A PSBT of version 2 has no transaction in front. */
function isVersion2(hex: string): boolean {
  return !hex.startsWith('70736274ff0100');
}

for (const { bip, case: title, psbt, hsmd } of psbtVectors) {
  const expected = hsmd === 'same' ? psbt : hsmd;
  test(`BIP ${bip}: ${title}: is ${expected === null ? 'refused' : 'read and written'} as by lightning_hsmd`, (t) => {
    // Where locktimes contradict each other hsmd can neither sign nor write version 0: there we refuse at once.
    if (expected === null || isVersion2(expected))
      t.throws(() => parsePsbt(fromHex(psbt), curve), { instanceOf: WireError });
    else t.is(toHex(serializePsbt(parsePsbt(fromHex(psbt), curve))), expected);
  });
}

const readable = psbtVectors.filter(({ hsmd }) => hsmd !== null && (hsmd === 'same' || !isVersion2(hsmd)));

/** Transactions and PSBTs as lightningd sends them: `u32 length, bytes`, for each. */
async function recorded(): Promise<readonly { readonly tx: Uint8Array; readonly psbt: Uint8Array }[]> {
  const sessions = await loadRecordings(['test/vectors/hsmd/traces/everyday/l1.jsonl.gz']);
  return sessions.flatMap(({ requests }) =>
    requests
      .filter(({ bytes }) => callOf(bytes) === 'signRemoteCommitmentTx')
      .slice(0, 8)
      .map(({ bytes: request }) => {
        const view = new DataView(request.buffer, request.byteOffset);
        const psbtAt = 6 + view.getUint32(2);
        const psbtEnd = psbtAt + 4 + view.getUint32(psbtAt);
        return { tx: request.subarray(6, psbtAt), psbt: request.subarray(psbtAt + 4, psbtEnd) };
      }),
  );
}

test('recorded commitments are read and written to the same bytes, and their inputs explained', async (t) => {
  const rows = await recorded();
  t.true(rows.length > 5);
  for (const row of rows) {
    const tx = parseTransaction(row.tx);
    const psbt = parsePsbt(row.psbt, curve);
    t.deepEqual(serializeTransaction(tx), row.tx);
    t.deepEqual(serializePsbt(psbt), row.psbt);
    t.deepEqual(txid(psbt.tx), txid(tx));
    t.is<unknown, unknown>(spentOutput(psbt, 0)?.amount, inputAmount(psbt, 0));
    const [input] = psbt.inputs;
    t.is(input && witnessScript(input)?.length, 71);
    t.is(input && sighashType(input), 0);
  }
});

test('every truncation of a transaction or a PSBT is a WireError', async (t) => {
  const [row] = await recorded();
  if (row === undefined) return t.fail('no recorded row');
  for (let length = 0; length < row.tx.length; length++)
    t.throws(() => parseTransaction(row.tx.subarray(0, length)), { instanceOf: WireError });
  for (const psbt of [row.psbt, ...readable.map((vector) => fromHex(vector.psbt))]) {
    const whole = parsePsbt(psbt, curve);
    const bytes = serializePsbt(whole);
    for (let length = 0; length < bytes.length; length++)
      t.throws(() => parsePsbt(bytes.subarray(0, length), curve), { instanceOf: WireError });
  }
});

/** Whatever the bytes, the outcome is a value or a WireError. */
function wireErrorOnly(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error: unknown) {
    return error instanceof WireError;
  }
}

const magic = fromHex('70736274ff');

test('random bytes and bit-flipped PSBTs give values that write and read again, or WireErrors', (t) => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(fc.property(bytes, (any) => wireErrorOnly(() => parseTransaction(any))));
  fc.assert(fc.property(bytes, (any) => wireErrorOnly(() => serializePsbt(parsePsbt(concat(magic, any), curve)))));
  const flipped = fc
    .tuple(fc.constantFrom(...readable), fc.nat(), fc.nat({ max: 7 }))
    .map(([{ psbt }, at, bit]) =>
      fromHex(psbt).map((byte, i, all) => (i === at % all.length ? byte ^ (1 << bit) : byte)),
    );
  fc.assert(
    fc.property(flipped, (psbt) =>
      wireErrorOnly(() => {
        const written = serializePsbt(parsePsbt(psbt, curve));
        t.deepEqual(serializePsbt(parsePsbt(written, curve)), written);
      }),
    ),
    { numRuns: 2000 },
  );
  t.pass();
});

const u32 = fc.nat({ max: 0xffffffff });
const arbitraryTransaction: fc.Arbitrary<Transaction> = fc.record({
  version: u32,
  locktime: u32,
  inputs: fc.array(
    fc.record({
      txid: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      vout: u32,
      scriptSig: fc.uint8Array({ maxLength: 300 }),
      sequence: u32,
      witness: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  outputs: fc.array(fc.record({ amount: fc.bigInt(0n, maxMoney), script: fc.uint8Array({ maxLength: 300 }) })),
});

test('what is written of any transaction reads back', (t) => {
  fc.assert(
    fc.property(arbitraryTransaction, (tx) => {
      const bytes = serializeTransaction(tx);
      t.deepEqual(serializeTransaction(parseTransaction(bytes)), bytes);
      t.deepEqual(txid(parseTransaction(bytes)), txid(tx));
    }),
    { numRuns: 50 },
  );
});

/** One input and one output, in pieces. */
const pieces = {
  version: '02000000',
  marker: '0001',
  inputs: `01${'11'.repeat(32)}0000000000ffffffff`,
  outputs: '01e80300000000000001aa',
  witness: '0101bb',
  locktime: '00000000',
};

function assembled(changed: Partial<typeof pieces>): Uint8Array {
  return fromHex(Object.values({ ...pieces, ...changed }).join(''));
}

test('a transaction is as strict as hsmd, which compares its length with what it would write', (t) => {
  t.is(parseTransaction(assembled({})).inputs[0]?.witness.length, 1);
  t.is(parseTransaction(assembled({ marker: '', witness: '' })).outputs[0]?.amount, 1000n);
  t.is(parseTransaction(assembled({ marker: '', witness: '', outputs: '00' })).outputs.length, 0);
  const wrong: readonly [Partial<typeof pieces>, RegExp][] = [
    [{ witness: '00' }, /witness marker, but no witness/],
    [{ marker: '0002' }, /witness flag/],
    [{ marker: '', witness: '', inputs: '00' }, /witness flag|inputs/],
    [{ inputs: `fd0100${pieces.inputs.slice(2)}` }, /more bytes than it needs/],
    [{ locktime: '0000000000' }, /1 bytes too many/],
    [{ outputs: '010140075af075070001aa' }, /outputs\[0\]: expected at most 2100000000000000 satoshi/],
    [{ outputs: 'ffffffffffffffffff' }, /outputs\[0\]: expected/],
  ];
  for (const [changed, message] of wrong) {
    const error = t.throws(() => parseTransaction(assembled(changed)), { instanceOf: WireError });
    t.regex(error?.message ?? '', message);
  }
});

/** A PSBT of one input and one output with `pairs` on its input: keys and values in hex. */
function withInputPairs(...pairs: readonly (readonly [key: string, value: string])[]): Uint8Array {
  const sized = (hex: string) => `${(hex.length / 2).toString(16).padStart(2, '0')}${hex}`;
  const tx = [pieces.version, pieces.inputs, pieces.outputs, pieces.locktime].join('');
  const map = pairs.map(([key, value]) => sized(key) + sized(value)).join('');
  return fromHex(`70736274ff0100${sized(tx)}00${map}0000`);
}

const point = pointFromScalar(new Uint8Array(32).fill(7)) ?? new Uint8Array();
const key = toHex(point);
const uncompressed = toHex(pointCompress(point, false));
const hybrid = `0${6 + (Number.parseInt(uncompressed.slice(-1), 16) & 1)}${uncompressed.slice(2)}`;
const twistedHybrid = `0${7 - (Number.parseInt(uncompressed.slice(-1), 16) & 1)}${uncompressed.slice(2)}`;
const offCurve = `02${'05'.padStart(64, '0')}`;
const origin = '0102030400000000';
const der = (r: string, s: string) => `30${((r.length + s.length) / 2).toString(16).padStart(2, '0')}${r}${s}01`;
const long = `0221${'01'.repeat(33)}`;

const inputPairs: readonly (readonly [title: string, key: string, value: string, accepted: boolean])[] = [
  ['a compressed key', `06${key}`, origin, true],
  ['an uncompressed key', `06${uncompressed}`, origin, true],
  ['a hybrid key', `06${hybrid}`, origin, true],
  ['a hybrid key of the other parity', `06${twistedHybrid}`, origin, false],
  ['a compressed key off the curve', `06${offCurve}`, origin, false],
  ['an uncompressed key off the curve', `06${uncompressed.slice(0, -2)}00`, origin, false],
  ['an origin of five bytes', `06${key}`, '0102030400', false],
  ['a short DER signature', `02${key}`, der('020101', '020101'), true],
  ['a DER signature of zeros', `02${key}`, der('020100', '020100'), true],
  ['a DER integer of 33 bytes', `02${key}`, der(long, '020101'), true],
  ['a DER integer with a zero too many', `02${key}`, der('02020001', '020101'), false],
  ['a DER integer of no bytes', `02${key}`, der('0200', '020101'), false],
  ['a DER length in two bytes where one would do', `02${key}`, '308106020101020101', false],
  ['no signature', `02${key}`, '', false],
  ['an x-only key on the curve', `16${key.slice(2)}`, `00${origin}`, true],
  ['an x-only key off the curve', `16${offCurve.slice(2)}`, `00${origin}`, false],
  ['an x-only key without an origin', `16${key.slice(2)}`, '00', false],
  ['a control block', `15c0${key.slice(2)}`, 'aa', true],
  ['a control block off the curve', `15c0${offCurve.slice(2)}`, 'aa', false],
  ['a preimage of another hash', `0b${'22'.repeat(32)}`, 'aa', false],
  ['a proprietary pair', 'fc096c696768746e696e6701', 'aa', true],
  ['an unknown pair without a value', 'fc096c696768746e696e6701', '', false],
];

for (const [title, pairKey, value, accepted] of inputPairs)
  test(`PSBT input with ${title} is ${accepted ? 'kept' : 'refused'}`, (t) => {
    const bytes = withInputPairs([pairKey, value]);
    if (accepted) t.deepEqual(serializePsbt(parsePsbt(bytes, curve)), bytes);
    else t.throws(() => parsePsbt(bytes, curve), { instanceOf: WireError });
  });

test('a finalised input loses what led to its signatures, and pairs go by type', (t) => {
  const scrambled = withInputPairs(['fc01', 'aa'], ['18', '33'.repeat(32)], [`06${key}`, origin], ['04', 'bb']);
  const sorted = withInputPairs(['04', 'bb'], [`06${key}`, origin], ['18', '33'.repeat(32)], ['fc01', 'aa']);
  t.deepEqual(serializePsbt(parsePsbt(scrambled, curve)), sorted);
  const final = withInputPairs(['07', 'cc'], ['04', 'bb'], [`06${key}`, origin], ['fc01', 'aa']);
  const read = parsePsbt(final, curve);
  t.is(toHex(fieldValue(read.inputs[0]?.pairs ?? [], inputFields.redeemScript) ?? new Uint8Array()), 'bb');
  t.deepEqual(serializePsbt(read), withInputPairs(['07', 'cc'], ['fc01', 'aa']));
});

test('a key that repeats is refused among few pairs and among many', (t) => {
  const pair = (i: number) => [`fc${i.toString(16).padStart(4, '0')}`, 'aa'] as const;
  for (const count of [2, 16, 17, 60]) {
    const pairs = Array.from({ length: count }, (_, i) => pair(i));
    t.notThrows(() => parsePsbt(withInputPairs(...pairs), curve));
    for (const again of [0, 1, count - 1]) {
      const error = t.throws(() => parsePsbt(withInputPairs(...pairs, pair(again)), curve), { instanceOf: WireError });
      t.is(error?.path, 'inputs[0].unknown field');
    }
  }
});

test('a sighash type must agree with the signatures beside it; one of 0 is none', (t) => {
  const signed = [`02${key}`, der('020101', '020101')] as const;
  t.notThrows(() => parsePsbt(withInputPairs(signed, ['03', '01000000']), curve));
  t.throws(() => parsePsbt(withInputPairs(signed, ['03', '83000000']), curve), { instanceOf: WireError });
  t.deepEqual(serializePsbt(parsePsbt(withInputPairs(signed, ['03', '00000000']), curve)), withInputPairs(signed));
});

test('what hsmd reads but dies of writing is an error when written', (t) => {
  const psbt = parsePsbt(withInputPairs(), curve);
  const [input] = psbt.tx.inputs;
  const [output] = psbt.tx.outputs;
  if (input === undefined || output === undefined) return t.fail('no input or no output');
  const writes = (tx: Transaction) => () => serializePsbt({ ...psbt, tx });
  t.notThrows(writes(psbt.tx));
  t.throws(writes({ ...psbt.tx, inputs: [{ ...input, txid: new Uint8Array(32) }] }), { instanceOf: WireError });
  t.throws(writes({ ...psbt.tx, outputs: [{ ...output, script: new Uint8Array() }] }), { instanceOf: WireError });
  t.throws(writes({ ...psbt.tx, outputs: [output, { ...output, amount: maxMoney }] }), { instanceOf: WireError });
  t.throws(() => inputAmount(psbt, 0), { instanceOf: WireError });
});

test('a request keeps the path and the place of what is wrong in its PSBT', (t) => {
  const psbt = withInputPairs([`06${offCurve}`, origin]);
  const request = concat(fromHex('00070000'), Uint8Array.of(0, 0, 0, psbt.length), psbt);
  const error = t.throws(() => decodeRequest(request, curve), { instanceOf: WireError });
  t.is(error?.path, 'psbt.inputs[0].bip32Derivation');
  t.is(error?.offset, 8 + psbt.length - 2 - 9 - 33);
});
