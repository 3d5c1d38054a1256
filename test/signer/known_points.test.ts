/** The memory of valid points: it must change what a check costs and nothing else. */

import test from 'ava';
import fc from 'fast-check';
import { fromHex } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';
import { rememberingPoints } from '../../signer/crypto/known_points.ts';
import type { Secp } from '../../signer/crypto/secp.ts';
import { tiny } from '../../signer/crypto/tiny.ts';
import { entropy } from './implementations.ts';
import { number, to32 } from './scalars.ts';

/** tiny, counting the points it is asked about. */
function counting(): { secp: Secp; asked: () => number } {
  const plain = tiny(entropy);
  let asked = 0;
  const isPoint = (point: Uint8Array) => {
    asked++;
    return plain.isPoint(point);
  };
  return { secp: { ...plain, isPoint }, asked: () => asked };
}

const points = Array.from({ length: 60 }, (_, i) => tiny(entropy).publicKey(new Secret(to32(BigInt(i + 1)))));

test('a point that proved valid is not checked again', (t) => {
  const { secp, asked } = counting();
  const remembering = rememberingPoints(secp, 0x10000);
  for (let round = 0; round < 3; round++) for (const point of points) t.true(remembering.isPoint(point));
  t.is(asked(), points.length);
});

test('with any number of slots it answers as without memory, however points crowd each other out', (t) => {
  const candidates = fc.oneof(
    fc.constantFrom(...points),
    fc.constantFrom(...points).map((point) => point.with(0, (point[0] ?? 0) ^ 1)),
    fc.tuple(fc.constantFrom(0, 2, 3, 4), number).map(([prefix, x]) => Uint8Array.of(prefix, ...x)),
    fc.uint8Array({ maxLength: 70 }),
    fc.constant(new Uint8Array(33)),
    fc.constantFrom(...points).map((point) => point.subarray(0, 32)),
    fc.constantFrom(...points).map((point) => Uint8Array.of(...point, 0)),
  );
  const plain = tiny(entropy);
  for (const slots of [1, 2, 64]) {
    const remembering = rememberingPoints(plain, slots);
    const property = fc.property(candidates, (bytes) => t.is(remembering.isPoint(bytes), plain.isPoint(bytes)));
    fc.assert(property, { numRuns: 500 });
  }
});

test('a point is known by its bytes at the time: changing the array afterwards teaches it nothing', (t) => {
  const remembering = rememberingPoints(tiny(entropy));
  const bytes = fromHex('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798');
  t.true(remembering.isPoint(bytes));
  bytes[1] = (bytes[1] ?? 0) ^ 0xff;
  t.is(remembering.isPoint(bytes), tiny(entropy).isPoint(bytes));
});

test('everything else stays the same, and slots must be a power of two', (t) => {
  const plain = tiny(entropy);
  t.deepEqual({ ...rememberingPoints(plain), isPoint: undefined }, { ...plain, isPoint: undefined });
  for (const slots of [0, 3, -1, 0.5, 1.5, 0x20000]) {
    t.throws(() => rememberingPoints(plain, slots), { message: /power of two/ });
  }
});
