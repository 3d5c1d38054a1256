/** Bytes to hex, hex to bytes, concatenation, equality: the four things every file here does with bytes. */

import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';

export const toHex = bytesToHex;
export const fromHex = hexToBytes;
export const concat = concatBytes;

/** Whether two byte strings are equal. Not for secrets: the time it takes shows where they differ. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const encoder = new TextEncoder();

/** UTF-8 bytes of a text. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}
