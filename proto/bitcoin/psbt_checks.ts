/**
 * What libwally asks of the keys and values of a PSBT beyond their lengths. A check returns what is wrong, or
 * undefined. Points are compared with the curve through the caller's check, which router code leaves out.
 */

import { ripemd160 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { equalBytes } from '../bytes.ts';
import type { CurveCheck } from '../hsmd/codec.ts';

export type Problem = string | undefined;

/** A public key: 33 bytes, or 65 uncompressed or hybrid. */
export function publicKey(key: Uint8Array, curve: CurveCheck): Problem {
  if (key.length !== 33 && key.length !== 65) return `expected a public key of 33 or 65 bytes, found ${key.length}`;
  return (key.length === 33 ? curve.isPoint(key) : isUncompressedPoint(key)) ? undefined : 'not a point on secp256k1';
}

/** BIP 340's 32-byte key. */
export function xOnlyKey(key: Uint8Array, curve: CurveCheck): Problem {
  if (key.length !== 32) return `expected an x-only key of 32 bytes, found ${key.length}`;
  const compressed = new Uint8Array(33);
  compressed[0] = 2;
  compressed.set(key, 1);
  return curve.isPoint(compressed) ? undefined : 'not an x-only point on secp256k1';
}

/** BIP 341's control block: leaf version, internal key, merkle path. */
export function controlBlock(key: Uint8Array, curve: CurveCheck): Problem {
  if (key.length < 33 || (key.length - 33) % 32 !== 0) return `expected 33 + 32n bytes, found ${key.length}`;
  return xOnlyKey(key.subarray(1, 33), curve);
}

const xpubVersions: ReadonlySet<number> = new Set([0x0488b21e, 0x043587cf]);

/** A serialised BIP 32 public key. */
export function extendedKey(key: Uint8Array, curve: CurveCheck): Problem {
  if (key.length !== 78) return `expected an extended key of 78 bytes, found ${key.length}`;
  const version = new DataView(key.buffer, key.byteOffset).getUint32(0);
  if (!xpubVersions.has(version)) return `unknown extended key version ${version}`;
  return publicKey(key.subarray(45), curve);
}

/** A key's origin: 4 bytes of fingerprint, then 4 for each step. */
export function keyOrigin(value: Uint8Array): Problem {
  return value.length >= 4 && value.length % 4 === 0 ? undefined : `expected 4 + 4n bytes, found ${value.length}`;
}

/** An extended key's origin has as many steps as the key is deep. */
export function extendedKeyOrigin(value: Uint8Array, key: Uint8Array): Problem {
  const depth = key[4] ?? 0;
  return value.length === 4 + 4 * depth ? undefined : `expected a path of ${depth} steps, found ${value.length} bytes`;
}

const preimageHashes: { readonly [type: number]: (bytes: Uint8Array) => Uint8Array } = {
  10: ripemd160,
  11: sha256,
  12: (bytes) => ripemd160(sha256(bytes)),
  13: (bytes) => sha256(sha256(bytes)),
};

/** A preimage under its hash; `type` is the PSBT field, which tells the hash. */
export function preimageOf(type: number): (value: Uint8Array, hash: Uint8Array) => Problem {
  const hash = preimageHashes[type];
  return (value, key) =>
    hash !== undefined && value.length > 0 && equalBytes(hash(value), key) ? undefined : 'not the preimage of its key';
}

/** A signature in DER with its sighash type behind it, as strict as libsecp256k1: form only, the numbers may be any. */
export function derAndSighash(value: Uint8Array): Problem {
  const end = value.length - 1;
  const body = value[0] === 0x30 ? derLength(value, 1, end) : undefined;
  if (body === undefined || body.at + body.length !== end) return 'not a DER signature and a sighash type';
  const s = skipDerInteger(value, body.at, end);
  return s !== undefined && skipDerInteger(value, s, end) === end ? undefined : 'not two DER integers';
}

/** Where the integer at `at` ends. */
function skipDerInteger(bytes: Uint8Array, at: number, end: number): number | undefined {
  const header = at < end && bytes[at] === 0x02 ? derLength(bytes, at + 1, end) : undefined;
  if (header === undefined || header.length === 0 || header.at + header.length > end) return undefined;
  const first = bytes[header.at] ?? 0;
  const second = bytes[header.at + 1] ?? 0;
  if (header.length > 1 && first === 0x00 && second < 0x80) return undefined;
  if (header.length > 1 && first === 0xff && second >= 0x80) return undefined;
  return header.at + header.length;
}

/** A DER length at `at`, in its shortest form, and where what it measures begins. */
function derLength(bytes: Uint8Array, at: number, end: number): { length: number; at: number } | undefined {
  if (at >= end) return undefined;
  const first = bytes[at] ?? 0;
  if (first < 0x80) return { length: first, at: at + 1 };
  const count = first & 0x7f;
  const start = at + 1 + count;
  if (first === 0x80 || start > end || count > 8 || bytes[at + 1] === 0) return undefined;
  let length = 0;
  for (let i = at + 1; i < start; i++) length = length * 256 + (bytes[i] ?? 0);
  return length < 0x80 || length > end - start ? undefined : { length, at: start };
}

const fieldPrime = 2n ** 256n - 2n ** 32n - 977n;

/** 65 bytes: 04, or 06 and 07 for an even and an odd y, then x and y. Rare, and public: plain BigInt will do. */
function isUncompressedPoint(key: Uint8Array): boolean {
  const coordinate = (at: number) => key.subarray(at, at + 32).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const x = coordinate(1);
  const y = coordinate(33);
  const hybrid = key[0] === 6 || key[0] === 7;
  if (key[0] !== 4 && !(hybrid && (y & 1n) === BigInt((key[0] ?? 0) & 1))) return false;
  return x < fieldPrime && y < fieldPrime && (y * y - x * x * x - 7n) % fieldPrime === 0n;
}
