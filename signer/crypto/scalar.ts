/**
 * Arithmetic modulo the order n of secp256k1 for secret scalars, which tiny-secp256k1 cannot multiply: 32 bytes
 * big-endian in and out, sixteen limbs of 16 bits in between. No branch and no index depends on a value, and sums of
 * products stay below 2^53, so plain numbers hold them exactly (no BigInt: its time follows its value).
 */

const LIMBS = 16;
const BASE = 0x10000;

/** 2^256 − n, least limb first: modulo n, 2^256 is worth this much. */
const COMPLEMENT = Float64Array.of(0xbebf, 0x2fc9, 0xa173, 0x402d, 0x5fc4, 0x50b7, 0x2319, 0x4551, 1);

/** Working memory, all zero between calls: allocating it each time would cost more than the arithmetic. */
const left = new Float64Array(LIMBS);
const right = new Float64Array(LIMBS);
const high = new Float64Array(LIMBS);
const product = new Float64Array(2 * LIMBS);
const reduced = new Float64Array(LIMBS + 1);

function load(limbs: Float64Array, scalar: Uint8Array): void {
  for (let i = 0; i < LIMBS; i++) limbs[i] = (scalar[30 - 2 * i] ?? 0) * 256 + (scalar[31 - 2 * i] ?? 0);
}

/** Brings every limb but the last below 2^16. */
function carry(limbs: Float64Array): void {
  for (let i = 0; i + 1 < limbs.length; i++) {
    const limb = limbs[i] ?? 0;
    const over = Math.floor(limb / BASE);
    limbs[i] = limb - over * BASE;
    limbs[i + 1] = (limbs[i + 1] ?? 0) + over;
  }
}

/** Adds the product of the first sixteen limbs of `a` and all limbs of `b`. */
function addProduct(sum: Float64Array, a: Float64Array, b: Float64Array): void {
  for (let i = 0; i < LIMBS; i++) {
    const limb = a[i] ?? 0;
    for (let j = 0; j < b.length; j++) sum[i + j] = (sum[i + j] ?? 0) + limb * (b[j] ?? 0);
  }
  carry(sum);
}

/** Sets `reduced` to limbs − n + 2^256; returns 1 where limbs ≥ n (what stands above bit 256 then), 0 elsewhere. */
function subtractOrder(limbs: Float64Array): number {
  for (let i = 0; i < LIMBS; i++) reduced[i] = (limbs[i] ?? 0) + (COMPLEMENT[i] ?? 0);
  reduced[LIMBS] = 0;
  carry(reduced);
  return reduced[LIMBS] ?? 0;
}

/** Whether 32 bytes are a scalar from 1 to n − 1, in a time that does not depend on which. */
export function isScalar(scalar: Uint8Array): boolean {
  if (scalar.length !== 32) return false;
  load(left, scalar);
  const tooLarge = subtractOrder(left);
  let bits = 0;
  for (let i = 0; i < 32; i++) bits |= scalar[i] ?? 0;
  left.fill(0);
  reduced.fill(0);
  return bits !== 0 && tooLarge === 0;
}

/** a × b mod n for any two 32-byte numbers, reduced or not, in a time that does not depend on them. */
export function multiplyScalars(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== 32 || b.length !== 32) {
    throw new RangeError(`expected two scalars of 32 bytes, got ${a.length} and ${b.length} bytes`);
  }
  load(left, a);
  load(right, b);
  addProduct(product, left, right);
  // What stands above bit 256 shrinks from 256 bits to 130, to 4, to 1, to none.
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < LIMBS; i++) {
      high[i] = product[LIMBS + i] ?? 0;
      product[LIMBS + i] = 0;
    }
    addProduct(product, high, COMPLEMENT);
  }
  const tooLarge = subtractOrder(product);
  const result = new Uint8Array(32);
  for (let i = 0; i < LIMBS; i++) {
    const limb = product[i] ?? 0;
    const chosen = limb + tooLarge * ((reduced[i] ?? 0) - limb);
    result[30 - 2 * i] = chosen >>> 8;
    result[31 - 2 * i] = chosen;
  }
  for (const limbs of [left, right, high, product, reduced]) limbs.fill(0);
  return result;
}
