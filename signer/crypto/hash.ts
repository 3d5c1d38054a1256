/** The hashes that Bitcoin and Lightning sign. */

import { ripemd160 } from '@noble/hashes/legacy.js';
import { sha256 as noble } from '@noble/hashes/sha2.js';
import { utf8 } from '../../proto/bytes.ts';

/**
 * One hasher for all: making one takes as long as hashing a hundred bytes with it, and a commitment takes hundreds of
 * such hashes. `fresh` is never used; what was hashed is gone from `hasher` with the next one.
 */
const fresh = noble.create();
const hasher = noble.create();

function hashed(feed: (update: (bytes: Uint8Array) => void) => void): Uint8Array {
  const digest = new Uint8Array(32);
  fresh._cloneInto(hasher);
  feed((bytes) => hasher.update(bytes));
  hasher.digestInto(digest);
  return digest;
}

/** SHA-256. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hashed((update) => update(bytes));
}

/** SHA-256 of several pieces in a row. */
export function sha256Of(...pieces: readonly (Uint8Array | string)[]): Uint8Array {
  return hashed((update) => {
    for (const piece of pieces) update(typeof piece === 'string' ? utf8(piece) : piece);
  });
}

/** SHA-256 twice. */
export function sha256d(...pieces: readonly (Uint8Array | string)[]): Uint8Array {
  return sha256(sha256Of(...pieces));
}

/** BIP 340's tagged hash; a tag made of several pieces is their concatenation. */
export function taggedHash(tag: readonly (Uint8Array | string)[], ...pieces: readonly Uint8Array[]): Uint8Array {
  const tagHash = sha256Of(...tag);
  return sha256Of(tagHash, tagHash, ...pieces);
}

/** RIPEMD-160 of SHA-256: Bitcoin's key hashes and BIP 32's fingerprints. */
export function hash160(bytes: Uint8Array): Uint8Array {
  return ripemd160(sha256(bytes));
}
