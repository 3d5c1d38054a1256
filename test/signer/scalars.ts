/** Numbers for tests of secp256k1: random ones, and those where arithmetic modulo its order goes wrong first. */

import fc, { type Arbitrary } from 'fast-check';
import { fromHex } from '../../proto/bytes.ts';

/** The order of secp256k1. */
export const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const powers = [16n, 32n, 128n, 129n, 240n, 255n].map((bits) => 2n ** bits);

/** Zero, one, the order, powers of two, 2^256, and their neighbours: some are no scalars. */
export const edges: readonly bigint[] = [0n, order, order / 2n, 2n ** 256n, 2n ** 256n - order, ...powers]
  .flatMap((value) => [value - 2n, value - 1n, value, value + 1n, value + 2n])
  .filter((value) => value >= 0n && value < 2n ** 256n);

export const to32 = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0'));

/** Any 32 bytes, often at an edge. */
export const number: Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }),
  fc.constantFrom(...edges).map(to32),
);
