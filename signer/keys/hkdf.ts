/** HKDF-SHA256 as Core Lightning uses it (ccan/crypto/hkdf_sha256): every key of a node comes out of this function. */

import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8 } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';

/** `length` bytes derived from `ikm`; an `info` given as text stands for its ASCII bytes. */
export function derive(ikm: Uint8Array, salt: Uint8Array, info: string | Uint8Array, length = 32): Secret {
  return new Secret(hkdf(sha256, ikm, salt, typeof info === 'string' ? utf8(info) : info, length));
}

/** No salt at all. */
export const unsalted = new Uint8Array(0);

/** The retry counter of hsmd's loops as their salt, u32 little-endian on every machine it runs on. */
export function counterSalt(counter: number): Uint8Array {
  const salt = new Uint8Array(4);
  new DataView(salt.buffer).setUint32(0, counter, true);
  return salt;
}
