/**
 * secp256k1 over @noble/secp256k1: another author's code in plain JavaScript, the second opinion the others are held
 * against. Its big integers take a time that depends on their values, so it is not for keys that guard money.
 */

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import * as curve from '@noble/secp256k1';
import { Secret } from '../../proto/secret.ts';
import { compressed, digest32 } from './checks.ts';
import type { Secp } from './secp.ts';

// The library comes without hashes and takes them from here, for every user in the process.
curve.hashes.sha256 = sha256;
curve.hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

const { Point, etc, utils } = curve;
const ORDER = Point.CURVE().n;
const noAuxiliaryRandomness = new Uint8Array(32);

/** Holds no state and needs no entropy. */
export const noble: Secp = {
  name: 'noble',
  isPoint: (point) => utils.isValidPublicKey(point, true),
  isScalar: utils.isValidSecretKey,
  publicKey: (secret) => secret.use((key) => curve.getPublicKey(key, true)),
  sign: (digest, secret, extraEntropy) =>
    secret.use((key) => curve.sign(digest32(digest), key, { prehash: false, extraEntropy: extraEntropy ?? false })),
  signRecoverable: (digest, secret) =>
    secret.use((key) => {
      const recovered = curve.sign(digest32(digest), key, { prehash: false, format: 'recovered' });
      return { signature: recovered.slice(1), recoveryId: recovered[0] ?? 0 };
    }),
  signSchnorr: (digest, secret) =>
    secret.use((key) => curve.schnorr.sign(digest32(digest), key, noAuxiliaryRandomness)),
  verify: (digest, point, signature) =>
    digest.length === 32 &&
    point.length === 33 &&
    signature.length === 64 &&
    curve.verify(signature, digest, point, { prehash: false }),
  recover(digest, signature, recoveryId) {
    if (digest.length !== 32 || signature.length !== 64) return undefined;
    if (!utils.isValidPublicKey(Uint8Array.of(2, ...signature.subarray(0, 32)), true)) return undefined;
    try {
      return curve.recoverPublicKey(Uint8Array.of(recoveryId, ...signature), digest, { prehash: false });
    } catch {
      return undefined;
    }
  },
  addToSecret: (secret, tweak) => secretOf(scalarOf(secret), tweak.use(optionalScalar), (a, b) => a + b),
  multiplySecret: (secret, tweak) => secretOf(scalarOf(secret), optionalScalar(tweak), (a, b) => a * b),
  negateSecret: (secret) => new Secret(etc.numberToBytesBE(ORDER - scalarOf(secret))),
  addToPoint(point, tweak) {
    const scalar = optionalScalar(tweak);
    return scalar === undefined ? undefined : bytesOf(pointOf(point).add(Point.BASE.multiplyUnsafe(scalar)));
  },
  multiplyPoint(point, factor) {
    const scalar = optionalScalar(factor);
    return scalar === undefined ? undefined : bytesOf(pointOf(point).multiplyUnsafe(scalar));
  },
  addPoints: (a, b) => bytesOf(pointOf(a).add(pointOf(b))),
  ecdh: (point, secret) => secret.use((key) => new Secret(sha256(curve.getSharedSecret(key, compressed(point))))),
};

function scalarOf(secret: Secret): bigint {
  return secret.use((key) => etc.secretKeyToScalar(key));
}

function optionalScalar(bytes: Uint8Array): bigint | undefined {
  return utils.isValidSecretKey(bytes) ? etc.secretKeyToScalar(bytes) : undefined;
}

function pointOf(bytes: Uint8Array): curve.Point {
  return Point.fromBytes(compressed(bytes));
}

function bytesOf(point: curve.Point): Uint8Array | undefined {
  return point.is0() ? undefined : point.toBytes(true);
}

function secretOf(a: bigint, b: bigint | undefined, combine: (a: bigint, b: bigint) => bigint): Secret | undefined {
  const result = b === undefined ? 0n : etc.mod(combine(a, b), ORDER);
  return result === 0n ? undefined : new Secret(etc.numberToBytesBE(result));
}
