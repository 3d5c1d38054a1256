/**
 * BIP 32 private derivation over `Secp`, so that extended keys stay in `Secret` and are multiplied by the constant-time
 * backend. Checked against @scure/bip32 in the tests.
 */

import { hmac } from '@noble/hashes/hmac.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concat, utf8 } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';
import { hash160 } from '../crypto/hash.ts';
import type { Secp } from '../crypto/secp.ts';

/** Added to an index: the child is derived from the private key alone (written i'). */
export const hardened = 0x80000000;

export interface ExtendedKey {
  readonly depth: number;
  /** First four bytes of the parent's HASH160; zeros for a master key. */
  readonly parentFingerprint: Uint8Array;
  readonly index: number;
  readonly chainCode: Secret;
  readonly privateKey: Secret;
  readonly publicKey: Uint8Array;
}

function u32be(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** The master key of a seed; undefined for the one in 2^127 that has none. */
export function masterKey(secp: Secp, seed: Secret): ExtendedKey | undefined {
  const i = seed.use((bytes) => hmac(sha512, utf8('Bitcoin seed'), bytes));
  if (!secp.isScalar(i.subarray(0, 32))) return undefined;
  const privateKey = Secret.copyOf(i.subarray(0, 32));
  const chainCode = Secret.copyOf(i.subarray(32));
  i.fill(0);
  const publicKey = secp.publicKey(privateKey);
  return { depth: 0, parentFingerprint: new Uint8Array(4), index: 0, chainCode, privateKey, publicKey };
}

/** The child `index` (0 to 2^32 - 1). */
export function childKey(secp: Secp, parent: ExtendedKey, index: number): ExtendedKey {
  const data =
    index >= hardened
      ? parent.privateKey.use((key) => concat(Uint8Array.of(0), key, u32be(index)))
      : concat(parent.publicKey, u32be(index));
  const i = parent.chainCode.use((chainCode) => hmac(sha512, chainCode, data));
  data.fill(0);
  const privateKey = secp.addToSecret(parent.privateKey, Secret.copyOf(i.subarray(0, 32)));
  if (privateKey === undefined) throw new RangeError(`bip32 child ${index} does not exist`);
  const chainCode = Secret.copyOf(i.subarray(32));
  i.fill(0);
  return {
    depth: parent.depth + 1,
    parentFingerprint: hash160(parent.publicKey).subarray(0, 4),
    index,
    chainCode,
    privateKey,
    publicKey: secp.publicKey(privateKey),
  };
}

/** The key at the end of a path. */
export function descend(secp: Secp, from: ExtendedKey, path: readonly number[]): ExtendedKey {
  return path.reduce((key, index) => childKey(secp, key, index), from);
}

/** BIP 32's 78 public bytes under a network's version. */
export function serializePublic(key: ExtendedKey, version: number): Uint8Array {
  return concat(
    u32be(version),
    Uint8Array.of(key.depth),
    key.parentFingerprint,
    u32be(key.index),
    key.chainCode.use((bytes) => Uint8Array.from(bytes)),
    key.publicKey,
  );
}
