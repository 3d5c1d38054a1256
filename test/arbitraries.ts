/** Values of every type on hsmd's wire, drawn from the codecs' own shapes: a new row in the table is fuzzed at once. */

import fc, { type Arbitrary } from 'fast-check';
import { parsePsbt } from '../proto/bitcoin/psbt.ts';
import { parseTransaction } from '../proto/bitcoin/tx.ts';
import { fromHex } from '../proto/bytes.ts';
import type { Shape } from '../proto/hsmd/codec.ts';
import { Secret } from '../proto/secret.ts';

/** The smallest transaction with an input and an output, and the PSBT of it with the amount it spends. */
const tx = fromHex(`0200000001${'11'.repeat(32)}0000000000ffffffff01e803000000000000160014${'22'.repeat(20)}00000000`);
const psbt = fromHex(
  `70736274ff0100${tx.length.toString(16)}${Buffer.from(tx).toString('hex')}0001011fd007000000000000160014${'33'.repeat(20)}0000`,
);

/** A valid compressed point: the generator, or a small multiple known from BIP 340's and Bitcoin's own test data. */
const points = [
  '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
  '02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5',
  '03fff97bd5755eeea420453a14355235d382f6472f8568a18b2f057a1460297556',
].map(fromHex);

const bytes = (constraints: { readonly minLength: number; readonly maxLength: number }) => fc.uint8Array(constraints);
const exactly = (length: number) => bytes({ minLength: length, maxLength: length });

/** Values of a shape. */
export function arbitraryOf(shape: Shape): Arbitrary<unknown> {
  switch (shape.kind) {
    case 'uint':
      return shape.bits === 64 ? fc.bigInt(0n, 2n ** 64n - 1n) : fc.integer({ min: 0, max: 2 ** shape.bits - 1 });
    case 'fixed':
      return exactly(shape.length);
    case 'bool':
      return fc.boolean();
    case 'octets':
      return bytes({ minLength: 0, maxLength: 300 });
    case 'wirestring':
      return fc.array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 60 }).map((list) => Uint8Array.from(list));
    case 'point':
      return fc.constantFrom(...points);
    case 'secret':
      return exactly(32).map((value) => new Secret(value));
    case 'ecdsaSignature':
      return exactly(64).map((value) => value.with(0, value[0] === 0xff ? 0xfe : (value[0] ?? 0)).with(32, 1));
    case 'sighash':
      return fc.constantFrom(0x01, 0x83);
    case 'side':
      return fc.constantFrom('local', 'remote');
    case 'psbt':
      return fc.constant(psbt).map((value) => parsePsbt(value));
    case 'tx':
      return fc.constant(tx).map((value) => ({ tx: parseTransaction(value), psbt: parsePsbt(psbt) }));
    case 'array':
      return fc.array(arbitraryOf(shape.item), { maxLength: 4 });
    case 'optional':
      return fc.option(arbitraryOf(shape.item), { nil: undefined });
    case 'struct':
      return fc.record(Object.fromEntries(shape.fields.map(([name, field]) => [name, arbitraryOf(field)])));
    case 'tlvs':
      return fc.record(Object.fromEntries(shape.records.map(([name, field]) => [name, arbitraryOf(field)])), {
        requiredKeys: [],
      });
  }
}
