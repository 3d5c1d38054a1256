/**
 * The scripts a wallet and a channel's funding need, what kind of output a script makes, and signatures as scripts take
 * them.
 */

import { concat, equalBytes } from '../../proto/bytes.ts';
import { BadRequest } from '../context.ts';
import { hash160, sha256, taggedHash } from '../crypto/hash.ts';

const op = {
  zero: 0x00,
  one: 0x51,
  two: 0x52,
  dup: 0x76,
  equal: 0x87,
  equalverify: 0x88,
  hash160: 0xa9,
  checksig: 0xac,
  checksigverify: 0xad,
  checkmultisig: 0xae,
  checksequenceverify: 0xb2,
} as const;

/** A push of 1 to 75 bytes. */
function push(bytes: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(bytes.length), bytes);
}

/** BOLT 3 §Funding Transaction Output: 2-of-2, the two compressed keys in lexicographic order. */
export function fundingScript(oneKey: Uint8Array, otherKey: Uint8Array): Uint8Array {
  const inOrder = oneKey.findIndex((byte, i) => byte !== otherKey[i]);
  const oneFirst = (oneKey[inOrder] ?? 0) < (otherKey[inOrder] ?? 0);
  const [first, second] = oneFirst ? [oneKey, otherKey] : [otherKey, oneKey];
  return concat(Uint8Array.of(op.two), push(first), push(second), Uint8Array.of(op.two, op.checkmultisig));
}

/**
 * BOLT 3 §to_remote Output with anchors. `csv` is 1 block, or what is left of a lease; libwally's caller asserts that it
 * takes at most two bytes (bitcoin_wscript_to_remote_anchored).
 */
export function toRemoteAnchoredScript(key: Uint8Array, csv: number): Uint8Array {
  if (csv > 0x7fff) throw new BadRequest(`expected a delay of at most ${0x7fff} blocks, got ${csv}`);
  return concat(push(key), Uint8Array.of(op.checksigverify), scriptNumber(csv), Uint8Array.of(op.checksequenceverify));
}

/** A number from 0 to 2^15 - 1 in its shortest form: OP_0 to OP_16, or little-endian below a sign bit. */
function scriptNumber(value: number): Uint8Array {
  if (value <= 16) return Uint8Array.of(value === 0 ? op.zero : op.one - 1 + value);
  return push(value < 0x80 ? Uint8Array.of(value) : Uint8Array.of(value & 0xff, value >> 8));
}

/** The scriptPubKey of a witness script. */
export function p2wsh(witnessScript: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(op.zero), push(sha256(witnessScript)));
}

/** The scriptPubKey of a compressed key. */
export function p2wpkh(key: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(op.zero), push(hash160(key)));
}

/** The scriptPubKey of a 20-byte key hash from before segwit; BIP 143 signs it in place of P2WPKH's. */
export function p2pkh(keyHash: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(op.dup, op.hash160), push(keyHash), Uint8Array.of(op.equalverify, op.checksig));
}

/** The scriptPubKey of an x-only output key, which is one already tweaked. */
export function p2tr(outputKey: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(op.one), push(outputKey));
}

/** The scriptPubKey of a redeem script. */
export function p2sh(redeemScript: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(op.hash160), push(hash160(redeemScript)), Uint8Array.of(op.equal));
}

/** BIP 341's tweak of an x-only internal key; without a merkle root it is the one BIP 86 uses. */
export function tapTweak(internalKey: Uint8Array, merkleRoot?: Uint8Array): Uint8Array {
  return taggedHash(['TapTweak'], internalKey, ...(merkleRoot === undefined ? [] : [merkleRoot]));
}

export function isP2wpkh(script: Uint8Array): boolean {
  return script.length === 22 && script[0] === op.zero && script[1] === 20;
}

export function isP2wsh(script: Uint8Array): boolean {
  return script.length === 34 && script[0] === op.zero && script[1] === 32;
}

export function isP2tr(script: Uint8Array): boolean {
  return script.length === 34 && script[0] === op.one && script[1] === 32;
}

export function isP2sh(script: Uint8Array): boolean {
  return script.length === 23 && script[0] === op.hash160 && script[1] === 20 && script[22] === op.equal;
}

/** Whether `script` is the P2SH output of `redeemScript`. */
export function isP2shOf(script: Uint8Array, redeemScript: Uint8Array): boolean {
  return equalBytes(script, p2sh(redeemScript));
}
