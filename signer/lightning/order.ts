/** BOLT 3 §Transaction Output Ordering. */

import type { TxOutput } from '../../proto/bitcoin/tx.ts';

/** As memcmp, then the shorter first. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** By amount, then by script; HTLCs that are still equal go by expiry, which is the caller's to add. */
export function inBip69Order(a: TxOutput, b: TxOutput): number {
  if (a.amount !== b.amount) return a.amount < b.amount ? -1 : 1;
  return compareBytes(a.script, b.script);
}
