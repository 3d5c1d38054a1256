/**
 * Proof of work: the number a header's hash must not exceed, its four-byte form "bits", and how it follows from the
 * time that the last 2016 blocks took (Bitcoin's pow.cpp and arith_uint256.cpp, whose rounding is part of consensus).
 */

import { toHex } from '../../proto/bytes.ts';

/** Blocks between two changes of difficulty, on every network that has them. */
export const periodLength = 2016;
/** Seconds those blocks should take: two weeks. */
const periodSeconds = 14 * 24 * 3600;

/** The target that `bits` stands for; undefined where it is zero, negative or above 2^256, which no block may have. */
export function targetOf(bits: number): bigint | undefined {
  const size = bits >>> 24;
  const word = BigInt(bits & 0x007fffff);
  if ((bits & 0x00800000) !== 0) return undefined;
  const target = size <= 3 ? word >> BigInt(8 * (3 - size)) : word << BigInt(8 * (size - 3));
  return target === 0n || target >= 1n << 256n ? undefined : target;
}

/** The compact form of a target, rounded down to its 23 bits. */
export function compactOf(target: bigint): number {
  let size = Math.ceil(target.toString(2).length / 8);
  let word = Number(size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)));
  // The highest bit would be the sign.
  if ((word & 0x00800000) !== 0) {
    word >>>= 8;
    size++;
  }
  return (size * 0x1000000 + word) >>> 0;
}

/** The hashes that finding a block of this target takes on average: what chains are compared by. */
export function workOf(target: bigint): bigint {
  return (1n << 256n) / (target + 1n);
}

/** The bits of a new period, after one that took `seconds` (first block to last) at `bits`. */
export function retarget(bits: number, seconds: number, limitBits: number): number {
  const limit = targetOf(limitBits) ?? 0n;
  const taken = Math.min(Math.max(seconds, periodSeconds / 4), periodSeconds * 4);
  const target = ((targetOf(bits) ?? 0n) * BigInt(taken)) / BigInt(periodSeconds);
  return compactOf(target > limit ? limit : target);
}

/** Whether a hash (32 bytes), read as a little-endian number, is at most the target. */
export function meets(hash: Uint8Array, target: bigint): boolean {
  return BigInt(`0x${toHex(hash.slice().reverse())}`) <= target;
}
