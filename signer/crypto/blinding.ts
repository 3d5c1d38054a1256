/**
 * Blinds a secret scalar for a point multiplication that takes a time depending on its scalar: k·P is computed as
 * r⁻¹·((k·r)·P) with a fresh random r. Both scalars are uniformly random whatever k is, each alone says nothing about
 * it, and as neither is ever zero no sum can meet the point at infinity. SECURITY.md says what this hides.
 */

import { multiplyScalars } from './scalar.ts';
import type { Entropy } from './secp.ts';

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

export interface BlindedScalar {
  /** secret × r mod n */
  readonly blinded: Uint8Array;
  /** r⁻¹ mod n */
  readonly unblinding: Uint8Array;
}

/**
 * Both scalars that in turn multiply a point by `secret`, a scalar other than zero; secret themselves, 32 bytes each.
 * Throws where the entropy yields zeros only.
 */
export function blindScalar(secret: Uint8Array, entropy: Entropy): BlindedScalar {
  for (let attempt = 0; attempt < 4; attempt++) {
    const random = entropy(64);
    const r = random.subarray(0, 32);
    const mask = random.subarray(32);
    const masked = multiplyScalars(r, mask);
    // r × mask is independent of r: inverting it may take a time of its own, and so may finding it zero.
    const value = toBigInt(masked);
    if (value === 0n) continue;
    const unblinding = multiplyScalars(mask, toBytes(inverse(value)));
    const blinded = multiplyScalars(secret, r);
    for (const bytes of [random, masked]) bytes.fill(0);
    return { blinded, unblinding };
  }
  throw new Error('expected random bytes to blind a secret with, got zeros four times: check the source of randomness');
}

/** Extended Euclid, in variable time. */
function inverse(value: bigint): bigint {
  let [a, b] = [value, ORDER];
  let [factor, previous] = [1n, 0n];
  while (a !== 0n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [factor, previous] = [previous - quotient * factor, factor];
  }
  return previous < 0n ? previous + ORDER : previous;
}

function toBigInt(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 32);
  let value = 0n;
  for (let at = 0; at < 32; at += 8) value = (value << 64n) | view.getBigUint64(at);
  return value;
}

function toBytes(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < 32; at += 8) view.setBigUint64(at, BigInt.asUintN(64, value >> BigInt(192 - 8 * at)));
  return bytes;
}
