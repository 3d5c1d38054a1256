/**
 * The fields of a PSBT's maps, one row each: BIP 174, 370 and 371 as libwally reads them (psbt.c pull_psbt_input and
 * its neighbours). What is not listed here is kept as it came.
 */

import { type CurveCheck, WireError } from '../hsmd/codec.ts';
import {
  controlBlock,
  derAndSighash,
  extendedKey,
  extendedKeyOrigin,
  keyOrigin,
  type Problem,
  preimageOf,
  publicKey,
  xOnlyKey,
} from './psbt_checks.ts';
import { type LeReader, LeWriter } from './stream.ts';
import { readWitness, writeWitness } from './tx.ts';

/** How a field is told and checked. */
export interface PsbtField {
  readonly type: number;
  /** What may follow the type in the key; without it, nothing may, and the field stands at most once. */
  readonly key?: (key: Uint8Array, curve: CurveCheck) => Problem;
  readonly value?: (value: Uint8Array, key: Uint8Array) => Problem;
  /** Reads the value and gives it in its shortest form. */
  readonly rewrite?: (r: LeReader) => Uint8Array;
  /** Only in version 2, which says in fields what version 0 says in the transaction. */
  readonly version2?: true;
}

function bytes(...lengths: readonly number[]): (value: Uint8Array) => Problem {
  return ({ length }) =>
    lengths.includes(length) ? undefined : `expected ${lengths.join(' or ')} bytes, found ${length}`;
}

function filled(value: Uint8Array): Problem {
  return value.length > 0 ? undefined : 'expected a value, found none';
}

/** Inputs, outputs, SIGHASH_SINGLE: three bits. */
function modifiable(value: Uint8Array): Problem {
  return value.length === 1 && (value[0] ?? 0) < 8 ? undefined : 'expected one byte below 8';
}

/** BIP 370: a time from 500000000 on, a height from 1 to below that. */
function requiredLock(kind: 'time' | 'height'): (value: Uint8Array) => Problem {
  return (value) => {
    const lock = value.length === 4 ? new DataView(value.buffer, value.byteOffset).getUint32(0, true) : 0;
    const found = lock === 0 ? 'neither' : lock < 500_000_000 ? 'height' : 'time';
    return found === kind ? undefined : `expected a ${kind} in 4 bytes`;
  };
}

function shortWitness(r: LeReader): Uint8Array {
  const start = r.at;
  const witness = readWitness(r);
  r.finish();
  if (r.canonical) return r.bytes.subarray(start, r.end);
  const w = new LeWriter();
  writeWitness(w, witness);
  return w.finish();
}

/** Hashes of the leaves that an x-only key is in, then its origin. */
function shortTapOrigin(r: LeReader): Uint8Array {
  const hashes = r.take(r.size() * 32);
  const origin = r.take(r.left);
  const problem = hashes.length > 128 * 32 ? 'expected at most 128 leaf hashes' : keyOrigin(origin);
  if (problem !== undefined) throw new WireError(problem, r.at);
  const w = new LeWriter();
  w.size(hashes.length / 32);
  w.put(hashes);
  w.put(origin);
  return w.finish();
}

export const globalFields = {
  unsignedTx: { type: 0x00 },
  xpub: { type: 0x01, key: extendedKey, value: extendedKeyOrigin },
  txVersion: { type: 0x02, value: bytes(4), version2: true },
  fallbackLocktime: { type: 0x03, value: bytes(4), version2: true },
  inputCount: { type: 0x04, version2: true },
  outputCount: { type: 0x05, version2: true },
  txModifiable: { type: 0x06, value: modifiable, version2: true },
  version: { type: 0xfb, value: bytes(4) },
} as const satisfies { readonly [name: string]: PsbtField };

export const inputFields = {
  nonWitnessUtxo: { type: 0x00 },
  witnessUtxo: { type: 0x01 },
  partialSig: { type: 0x02, key: publicKey, value: derAndSighash },
  sighashType: { type: 0x03, value: bytes(4) },
  redeemScript: { type: 0x04, value: filled },
  witnessScript: { type: 0x05, value: filled },
  bip32Derivation: { type: 0x06, key: publicKey, value: keyOrigin },
  finalScriptSig: { type: 0x07, value: filled },
  finalScriptWitness: { type: 0x08, rewrite: shortWitness },
  porCommitment: { type: 0x09, value: filled },
  ripemd160: { type: 0x0a, key: bytes(20), value: preimageOf(0x0a) },
  sha256: { type: 0x0b, key: bytes(32), value: preimageOf(0x0b) },
  hash160: { type: 0x0c, key: bytes(20), value: preimageOf(0x0c) },
  hash256: { type: 0x0d, key: bytes(32), value: preimageOf(0x0d) },
  previousTxid: { type: 0x0e, value: bytes(32), version2: true },
  outputIndex: { type: 0x0f, value: bytes(4), version2: true },
  sequence: { type: 0x10, value: bytes(4), version2: true },
  requiredTimeLocktime: { type: 0x11, value: requiredLock('time'), version2: true },
  requiredHeightLocktime: { type: 0x12, value: requiredLock('height'), version2: true },
  tapKeySig: { type: 0x13, value: bytes(64, 65) },
  tapScriptSig: { type: 0x14, key: bytes(64), value: bytes(64, 65) },
  tapLeafScript: { type: 0x15, key: controlBlock, value: filled },
  tapBip32Derivation: { type: 0x16, key: xOnlyKey, rewrite: shortTapOrigin },
  tapInternalKey: { type: 0x17, value: bytes(32) },
  tapMerkleRoot: { type: 0x18, value: bytes(32) },
} as const satisfies { readonly [name: string]: PsbtField };

export const outputFields = {
  redeemScript: { type: 0x00, value: filled },
  witnessScript: { type: 0x01, value: filled },
  bip32Derivation: { type: 0x02, key: publicKey, value: keyOrigin },
  amount: { type: 0x03, value: bytes(8), version2: true },
  script: { type: 0x04, version2: true },
  tapInternalKey: { type: 0x05, value: bytes(32) },
  tapTree: { type: 0x06, value: filled },
  tapBip32Derivation: { type: 0x07, key: xOnlyKey, rewrite: shortTapOrigin },
} as const satisfies { readonly [name: string]: PsbtField };
