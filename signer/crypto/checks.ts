/** What every implementation of `Secp` checks alike, as the libraries below take other lengths or say less. */

import { isScalar } from './scalar.ts';

/** `point`, which must be 33 bytes long; whether it is on the curve is the library's to say. */
export function compressed(point: Uint8Array): Uint8Array {
  if (point.length !== 33) throw new RangeError(`expected a compressed point of 33 bytes, got ${point.length} bytes`);
  return point;
}

/** `digest`, which must be 32 bytes long. */
export function digest32(digest: Uint8Array): Uint8Array {
  if (digest.length !== 32) throw new RangeError(`expected a digest of 32 bytes, got ${digest.length} bytes`);
  return digest;
}

/** `key`, which must be a scalar from 1 to n − 1. */
export function secretKey(key: Uint8Array): Uint8Array {
  if (!isScalar(key))
    throw new RangeError(`expected a secret key of 32 bytes from 1 to n - 1, got ${key.length} bytes that are none`);
  return key;
}
