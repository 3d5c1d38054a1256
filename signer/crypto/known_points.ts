/**
 * Remembers points that proved valid: requests name the same few keys over and over, and every check of a compressed
 * point costs a square root. Public data in memory of a fixed size; whoever fills it with other points only makes
 * later checks cost what they cost without it.
 */

import type { Secp } from './secp.ts';

/** `secp` with an `isPoint` that knows the valid points seen last, at most `slots`: a power of two up to 2^16. */
export function rememberingPoints(secp: Secp, slots = 1024): Secp {
  if (!Number.isInteger(Math.log2(slots)) || slots < 1 || slots > 0x10000) {
    throw new RangeError(`expected a power of two of slots, up to 65536, got ${slots}`);
  }
  // One place for each point, found by the end of its x: what comes there later takes it.
  const known = new Uint8Array(slots * 33);
  return {
    ...secp,
    isPoint(point) {
      const slot = (((point[31] ?? 0) << 8) | (point[32] ?? 0)) & (slots - 1);
      // A slot that was never filled is zeros, which are no point either.
      if (point.length === 33 && point[0] !== 0 && equalAt(known, slot * 33, point)) return true;
      if (!secp.isPoint(point)) return false;
      known.set(point, slot * 33);
      return true;
    },
  };
}

function equalAt(bytes: Uint8Array, start: number, point: Uint8Array): boolean {
  for (let i = 0; i < 33; i++) if (bytes[start + i] !== point[i]) return false;
  return true;
}
