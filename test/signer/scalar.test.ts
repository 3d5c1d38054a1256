/** Arithmetic on secret scalars against big integers, and what blinding makes of any randomness it is given. */

import test from 'ava';
import fc from 'fast-check';
import { fromHex, toHex } from '../../proto/bytes.ts';
import { blindScalar } from '../../signer/crypto/blinding.ts';
import { isScalar, multiplyScalars } from '../../signer/crypto/scalar.ts';
import { edges, number, order, to32 } from './scalars.ts';

const numRuns = 'SLOW' in process.env ? 100_000 : 3000;
const toBigInt = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`);

test('multiplies any two numbers modulo the order as big integers do', (t) => {
  fc.assert(
    fc.property(number, number, (a, b) => {
      t.is(toBigInt(multiplyScalars(a, b)), (toBigInt(a) * toBigInt(b)) % order);
    }),
    { numRuns },
  );
});

test('multiplies every number at an edge by every other', (t) => {
  for (const a of edges) {
    for (const b of edges) t.is(toBigInt(multiplyScalars(to32(a), to32(b))), (a * b) % order, `${a} × ${b}`);
  }
});

test('multiplies scalars of 32 bytes only, and leaves nothing of a refused one behind', (t) => {
  const key = to32(7n);
  t.throws(() => multiplyScalars(key, key.subarray(1)), { message: /expected two scalars of 32 bytes, got 32 and 31/ });
  t.throws(() => multiplyScalars(new Uint8Array(33), key), { instanceOf: RangeError });
  t.is(toBigInt(multiplyScalars(key, key)), 49n);
});

test('takes the numbers from 1 to the order less one for scalars', (t) => {
  for (const value of edges) t.is(isScalar(to32(value)), value > 0n && value < order, `${value}`);
  for (const length of [0, 31, 33, 64]) t.false(isScalar(new Uint8Array(length).fill(1)), `${length} bytes`);
  fc.assert(
    fc.property(number, (bytes) => t.is(isScalar(bytes), toBigInt(bytes) > 0n && toBigInt(bytes) < order)),
    { numRuns },
  );
});

test('two blinded scalars multiply to the secret, whatever the randomness', (t) => {
  const secrets = number.filter(isScalar);
  const notZero = number.filter((bytes) => toBigInt(bytes) % order !== 0n);
  fc.assert(
    fc.property(secrets, notZero, notZero, (secret, r, mask) => {
      const { blinded, unblinding } = blindScalar(secret, () => Uint8Array.of(...r, ...mask));
      t.true(isScalar(blinded) && isScalar(unblinding));
      t.is(toBigInt(multiplyScalars(blinded, unblinding)), toBigInt(secret));
      t.is(toBigInt(blinded), (toBigInt(secret) * toBigInt(r)) % order);
    }),
    { numRuns: numRuns / 10 },
  );
});

test('blinding draws again where either half of the randomness is zero modulo the order, and clears what it used', (t) => {
  const secret = to32(order - 1n);
  const one = to32(1n);
  const draws = [new Uint8Array(64), Uint8Array.of(...to32(order), ...one), Uint8Array.of(...one, ...to32(0n))];
  let drawn = 0;
  const last = Uint8Array.of(...to32(2n), ...one);
  const { blinded } = blindScalar(secret, () => draws[drawn++] ?? last);
  t.is(drawn, 4);
  t.is(toBigInt(blinded), order - 2n);
  t.deepEqual(last, new Uint8Array(64));
  t.deepEqual(secret, to32(order - 1n));
});

test('blinding with a source of zeros fails and says so', (t) => {
  const error = t.throws(() => blindScalar(fromHex('07'.repeat(32)), (length) => new Uint8Array(length)));
  t.regex(error.message, /got zeros four times: check the source of randomness/);
  t.notRegex(error.message, /07/);
});
