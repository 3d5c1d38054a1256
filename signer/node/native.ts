/**
 * secp256k1 over the native addon of the package `secp256k1`, Bitcoin Core's library compiled for the machine: several
 * times as fast as WASM, for Node only, and optional. What it lacks (Schnorr signatures) comes from tiny-secp256k1.
 */

import { createRequire } from 'node:module';
import { Secret } from '../../proto/secret.ts';
import { compressed, secretKey } from '../crypto/checks.ts';
import { isScalar, multiplyScalars } from '../crypto/scalar.ts';
import type { Entropy, Secp } from '../crypto/secp.ts';
import { recover, tiny } from '../crypto/tiny.ts';

/** The part of the addon used here; it comes without types. Functions on private keys change them in place. */
interface Addon {
  readonly contextRandomize: (seed: Uint8Array) => void;
  readonly privateKeyNegate: (key: Uint8Array) => Uint8Array;
  readonly privateKeyTweakAdd: (key: Uint8Array, tweak: Uint8Array) => Uint8Array;
  readonly privateKeyTweakMul: (key: Uint8Array, tweak: Uint8Array) => Uint8Array;
  readonly publicKeyVerify: (point: Uint8Array) => boolean;
  readonly publicKeyCreate: (key: Uint8Array) => Uint8Array;
  readonly publicKeyCombine: (points: readonly Uint8Array[]) => Uint8Array;
  readonly publicKeyTweakAdd: (point: Uint8Array, tweak: Uint8Array) => Uint8Array;
  readonly publicKeyTweakMul: (point: Uint8Array, tweak: Uint8Array) => Uint8Array;
  readonly ecdsaSign: (
    digest: Uint8Array,
    key: Uint8Array,
    options: { data?: Uint8Array },
  ) => { signature: Uint8Array; recid: number };
  readonly ecdsaVerify: (signature: Uint8Array, digest: Uint8Array, point: Uint8Array) => boolean;
  readonly ecdsaRecover: (signature: Uint8Array, recoveryId: number, digest: Uint8Array) => Uint8Array;
  readonly ecdh: (point: Uint8Array, key: Uint8Array) => Uint8Array;
}

/** The addon behind `Secp`, or undefined where it is not installed or not built for this machine. */
export function native(entropy: Entropy): Secp | undefined {
  const addon = loadAddon();
  addon?.contextRandomize(entropy(32));
  return addon && overAddon(addon, entropy);
}

function loadAddon(): Addon | undefined {
  try {
    // Not the package's main file: where there is no addon, that one silently takes a library in JavaScript.
    // The cast names the functions that this file of version 5.0.2 has.
    return createRequire(import.meta.url)('secp256k1/bindings.js') as Addon;
  } catch {
    return undefined;
  }
}

function overAddon(addon: Addon, entropy: Entropy): Secp {
  const isPoint = (point: Uint8Array) => point.length === 33 && addon.publicKeyVerify(point);
  /** The addon throws alike for bad points and for infinity: told apart afterwards, which is rare. */
  const finite = (points: readonly Uint8Array[], sum: () => Uint8Array) => {
    try {
      return sum();
    } catch (error: unknown) {
      if (points.every(isPoint)) return undefined;
      throw error;
    }
  };
  const schnorr = tiny(entropy);
  return {
    name: 'native',
    isPoint,
    isScalar,
    publicKey: (secret) => secret.use((key) => addon.publicKeyCreate(key)),
    sign: (digest, secret, extraEntropy) =>
      secret.use((key) => addon.ecdsaSign(reduced(digest), key, extraEntropy ? { data: extraEntropy } : {}).signature),
    signRecoverable: (digest, secret) =>
      secret.use((key) => {
        const { signature, recid } = addon.ecdsaSign(reduced(digest), key, {});
        return { signature, recoveryId: recid };
      }),
    signSchnorr: (digest, secret) => schnorr.signSchnorr(digest, secret),
    verify: (digest, point, signature) => verify(addon, digest, point, signature),
    recover: (digest, signature, recoveryId) => recoverBy(addon, digest, signature, recoveryId),
    addToSecret: (secret, tweak) => tweak.use((added) => tweaked(secret, added, addon.privateKeyTweakAdd)),
    multiplySecret: (secret, tweak) => tweaked(secret, tweak, addon.privateKeyTweakMul),
    negateSecret: (secret) => secret.use((key) => new Secret(addon.privateKeyNegate(secretKey(key).slice()))),
    addToPoint: (point, tweak) =>
      isScalar(tweak) ? finite([point], () => addon.publicKeyTweakAdd(compressed(point), tweak)) : undefined,
    multiplyPoint: (point, scalar) =>
      isScalar(scalar) ? addon.publicKeyTweakMul(compressed(point), scalar) : undefined,
    addPoints: (a, b) => finite([a, b], () => addon.publicKeyCombine([compressed(a), compressed(b)])),
    ecdh: (point, secret) => secret.use((key) => new Secret(addon.ecdh(compressed(point), key))),
  };
}

const one = new Uint8Array(32).fill(1, 31);

/**
 * The digest modulo the order, as RFC 6979 wants it: the library in the addon is older than the one in lightning_hsmd
 * and takes it as it is, which makes another nonce of the one digest in 2^128 that is not below the order.
 */
function reduced(digest: Uint8Array): Uint8Array {
  return isScalar(digest) ? digest : multiplyScalars(digest, one);
}

function verify(addon: Addon, digest: Uint8Array, point: Uint8Array, signature: Uint8Array): boolean {
  if (digest.length !== 32 || point.length !== 33 || signature.length !== 64) return false;
  try {
    return addon.ecdsaVerify(signature, digest, point);
  } catch {
    // With these lengths it throws only where the point, r or s are out of range.
    return false;
  }
}

function recoverBy(
  addon: Addon,
  digest: Uint8Array,
  signature: Uint8Array,
  recoveryId: number,
): Uint8Array | undefined {
  // Ids 2 and 3 are of one signature in 2^127, and the addon does not look at r by itself then.
  if (recoveryId !== 0 && recoveryId !== 1) return recover(digest, signature, recoveryId);
  if (digest.length !== 32 || signature.length !== 64) return undefined;
  try {
    return addon.ecdsaRecover(signature, recoveryId, digest);
  } catch {
    // With these lengths it throws only where no key can have made it.
    return undefined;
  }
}

/** A copy of the secret that `tweak` was added to or multiplied with; the addon throws where the result is zero. */
function tweaked(
  secret: Secret,
  tweak: Uint8Array,
  apply: (key: Uint8Array, tweak: Uint8Array) => Uint8Array,
): Secret | undefined {
  if (!isScalar(tweak)) return undefined;
  return secret.use((key) => {
    const copy = secretKey(key).slice();
    try {
      return new Secret(apply(copy, tweak));
    } catch {
      return undefined;
    }
  });
}
