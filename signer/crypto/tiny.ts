/**
 * secp256k1 over tiny-secp256k1, Bitcoin Core's library as WASM: the default, in Node and, bundled, in a browser. What
 * it lacks for secrets is made up for here: ECDH over its variable-time multiplication by blinding, the multiplication
 * of secrets by `scalar.ts`.
 */

import * as curve from 'tiny-secp256k1';
import { Secret } from '../../proto/secret.ts';
import { blindScalar } from './blinding.ts';
import { compressed, secretKey } from './checks.ts';
import { sha256 } from './hash.ts';
import { isScalar, multiplyScalars } from './scalar.ts';
import type { Entropy, Secp } from './secp.ts';

/** `entropy` blinds the secrets of `ecdh`; every result is independent of it. */
export function tiny(entropy: Entropy): Secp {
  return {
    name: 'tiny',
    isPoint: curve.isPointCompressed,
    isScalar,
    publicKey: (secret) => secret.use((key) => found(curve.pointFromScalar(key, true))),
    sign: (digest, secret, extraEntropy) => secret.use((key) => curve.sign(digest, key, extraEntropy)),
    signRecoverable: (digest, secret) => secret.use((key) => curve.signRecoverable(digest, key)),
    signSchnorr: (digest, secret) => secret.use((key) => curve.signSchnorr(digest, key)),
    verify,
    recover,
    addToSecret: (secret, tweak) =>
      secret.use((key) => tweak.use((added) => (isScalar(added) ? asSecret(curve.privateAdd(key, added)) : undefined))),
    multiplySecret: (secret, tweak) =>
      secret.use((key) => (isScalar(tweak) ? new Secret(multiplyScalars(secretKey(key), tweak)) : undefined)),
    negateSecret: (secret) => secret.use((key) => new Secret(curve.privateNegate(key))),
    addToPoint: (point, tweak) =>
      isScalar(tweak) ? (curve.pointAddScalar(compressed(point), tweak, true) ?? undefined) : undefined,
    multiplyPoint: (point, scalar) =>
      isScalar(scalar) ? found(curve.pointMultiply(compressed(point), scalar, true)) : undefined,
    addPoints: (a, b) => curve.pointAdd(compressed(a), compressed(b), true) ?? undefined,
    ecdh: (point, secret) => secret.use((key) => blindedEcdh(compressed(point), secretKey(key), entropy)),
  };
}

function verify(digest: Uint8Array, point: Uint8Array, signature: Uint8Array): boolean {
  try {
    return point.length === 33 && curve.verify(digest, point, signature, true);
  } catch (error: unknown) {
    // How the library says that lengths, the point, r or s are out of range; anything else is a fault.
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** `Secp`'s, for those that only read signatures. */
export function recover(digest: Uint8Array, signature: Uint8Array, recoveryId: number): Uint8Array | undefined {
  if (recoveryId !== 0 && recoveryId !== 1 && recoveryId !== 2 && recoveryId !== 3) return undefined;
  try {
    return curve.recover(digest, signature, recoveryId, true) ?? undefined;
  } catch (error: unknown) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function blindedEcdh(point: Uint8Array, key: Uint8Array, entropy: Entropy): Secret {
  const { blinded, unblinding } = blindScalar(key, entropy);
  // Uncompressed in between: that saves the second multiplication a square root.
  const halfway = found(curve.pointMultiply(point, blinded, false));
  const shared = found(curve.pointMultiply(halfway, unblinding, true));
  const hash = new Secret(sha256(shared));
  for (const bytes of [blinded, unblinding, halfway, shared]) bytes.fill(0);
  return hash;
}

function asSecret(scalar: Uint8Array | null): Secret | undefined {
  return scalar === null ? undefined : new Secret(scalar);
}

/** Scalars from 1 to n − 1 times points always give a point. */
function found(point: Uint8Array | null): Uint8Array {
  if (point === null) throw new Error('expected a point, got infinity from a scalar other than zero');
  return point;
}
