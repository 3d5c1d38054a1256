/**
 * secp256k1, behind one small interface with three implementations: `tiny.ts` (WASM, the default), `noble.ts`
 * (JavaScript, the second opinion) and, in Node only, `../node/native.ts` (the C addon, where it is installed). All of
 * them give the same bits.
 * Digests, scalars and x-only keys are 32 bytes, points 33 bytes compressed, signatures 64 bytes r ‖ s.
 *
 * `isPoint`, `isScalar`, `verify` and `recover` take any bytes and never throw. The others throw where a secret is no scalar, a
 * point no point, or a length wrong; where only the tweak is no scalar, or there is no result, they give undefined.
 */

import type { Secret } from '../../proto/secret.ts';

/** Fills an array of that many bytes with randomness no one can guess, and gives it away. */
export type Entropy = (length: number) => Uint8Array;

export interface RecoverableSignature {
  readonly signature: Uint8Array;
  /** 0 to 3 */
  readonly recoveryId: number;
}

export interface Secp {
  readonly name: 'tiny' | 'native' | 'noble';
  /** Whether these are the 33 bytes of a compressed point. */
  isPoint(point: Uint8Array): boolean;
  /** Whether these are 32 bytes from 1 to the order less one: in constant time, for they may be a secret. */
  isScalar(scalar: Uint8Array): boolean;
  /** The public key of a secret one. */
  publicKey(secret: Secret): Uint8Array;
  /** ECDSA, low S, RFC 6979 with 32 bytes of extra entropy or none. */
  sign(digest: Uint8Array, secret: Secret, extraEntropy?: Uint8Array): Uint8Array;
  /** ECDSA as `sign` without extra entropy, with the recovery id. */
  signRecoverable(digest: Uint8Array, secret: Secret): RecoverableSignature;
  /** BIP 340 without auxiliary randomness (the same as 32 zero bytes of it). */
  signSchnorr(digest: Uint8Array, secret: Secret): Uint8Array;
  /** Whether an ECDSA signature with low S is valid. */
  verify(digest: Uint8Array, point: Uint8Array, signature: Uint8Array): boolean;
  /**
   * The point of the key that made an ECDSA signature, for public values: variable time. Undefined where none can have, and
   * where r is no x coordinate of its own: with ids 2 and 3, which say that it stands for r + n, it need not be.
   */
  recover(digest: Uint8Array, signature: Uint8Array, recoveryId: number): Uint8Array | undefined;
  /** secret + tweak mod n; undefined where that is zero. */
  addToSecret(secret: Secret, tweak: Secret): Secret | undefined;
  /** secret × tweak mod n, in constant time. */
  multiplySecret(secret: Secret, tweak: Uint8Array): Secret | undefined;
  /** n − secret. */
  negateSecret(secret: Secret): Secret;
  /** point + tweak·G, for public values: variable time; undefined where the result is infinity. */
  addToPoint(point: Uint8Array, tweak: Uint8Array): Uint8Array | undefined;
  /** scalar·point, for public values: variable time; undefined where `scalar` is none. */
  multiplyPoint(point: Uint8Array, scalar: Uint8Array): Uint8Array | undefined;
  /** a + b; undefined where the result is infinity. */
  addPoints(a: Uint8Array, b: Uint8Array): Uint8Array | undefined;
  /** SHA-256 of the compressed point secret·point, without letting the secret show in the time it takes (see SECURITY.md). */
  ecdh(point: Uint8Array, secret: Secret): Secret;
}
