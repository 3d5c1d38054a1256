/**
 * How one entry of the state is sealed for the host that keeps a copy of it, and the head that binds the copy together.
 * All keys come from one secret of the node: whoever has the seed can open the copy, nobody else can read or make one.
 */

import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concat, fromHex, toHex } from '../../proto/bytes.ts';
import { Reader, trustPoints, Writer } from '../../proto/hsmd/codec.ts';
import type { Secret } from '../../proto/secret.ts';
import type { Entropy } from '../crypto/secp.ts';
import { derive, unsalted } from '../keys/hkdf.ts';
import { readKey, writeKey } from './chain.ts';
import type { Head } from './store.ts';

/** One entry of the copy. A host keeps the one with the highest version under each key. */
export interface SealedEntry {
  /** 64 hex digits that only the node's owner can tell the entry's own key from. */
  readonly key: string;
  /** The version of the state that this entry was changed at. */
  readonly version: bigint;
  /** Nonce 24 ‖ XChaCha20-Poly1305 of key and value; undefined where the entry was removed. */
  readonly ciphertext: Uint8Array | undefined;
}

/** Says which entries make up the copy at a version, to the signer alone. */
export interface SealedHead {
  readonly version: bigint;
  /** Nonce 24 ‖ XChaCha20-Poly1305. */
  readonly ciphertext: Uint8Array;
}

/** What is in a sealed head. */
export interface CopyHead {
  readonly head: Head;
  /** The number of entries. */
  readonly count: number;
  /** The sum of their terms modulo 2^256. */
  readonly sum: bigint;
}

/** The ways a copy can be wrong. */
export type SealProblem =
  | 'malformed'
  | 'rolled back'
  | 'foreign head'
  | 'foreign entry'
  | 'wrong count'
  | 'wrong entries';

/** The host's copy is not what this node sealed last. */
export class SealError extends Error {
  override readonly name = 'SealError';
  readonly problem: SealProblem;

  constructor(problem: SealProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

const nonceLength = 24;
const entryName = /^[0-9a-f]{64}$/;

export class Seal {
  readonly #names: Secret;
  readonly #entries: Secret;
  readonly #terms: Secret;
  readonly #heads: Secret;
  readonly #entropy: Entropy;

  /** Derives its keys from `secret` (HKDF-SHA256 without salt), and keeps nothing else of it. */
  constructor(secret: Secret, entropy: Entropy) {
    const key = (purpose: string) => secret.use((ikm) => derive(ikm, unsalted, `keyhold/state/v1/${purpose}`));
    this.#names = key('name');
    this.#entries = key('entry');
    this.#terms = key('term');
    this.#heads = key('head');
    this.#entropy = entropy;
  }

  /** The name that the host sees in place of a key: HMAC-SHA256. */
  name(key: string): string {
    const w = new Writer();
    writeKey(w, key);
    return toHex(this.#names.use((secret) => hmac(sha256, secret, w.finish())));
  }

  entry(key: string, version: bigint, value: Uint8Array): SealedEntry {
    const name = this.name(key);
    const w = new Writer();
    writeKey(w, key);
    w.put(value);
    return { key: name, version, ciphertext: this.#encrypt(this.#entries, entryPlace(name, version), w.finish()) };
  }

  /** The entry's own key and value. @throws SealError */
  openEntry({ key: name, version, ciphertext }: SealedEntry): { readonly key: string; readonly value: Uint8Array } {
    if (!entryName.test(name) || ciphertext === undefined)
      throw new SealError('malformed', 'expected entries with a name of 64 hex digits and a ciphertext, found others');
    const text = decrypt(this.#entries, entryPlace(name, version), ciphertext);
    if (text === undefined)
      throw new SealError(
        'foreign entry',
        `entry ${name} at version ${version} does not open: it was altered, moved to another name or version, or sealed by another node`,
      );
    const r = new Reader(text, trustPoints);
    return { key: readKey(r), value: r.take(r.left).slice() };
  }

  /** What an entry adds to the sum over all of them: HMAC-SHA256 as a number. No host ever sees one, or a sum. */
  term(key: string, version: bigint, value: Uint8Array): bigint {
    const w = new Writer();
    writeKey(w, key);
    w.u64(version);
    w.put(value);
    return BigInt(`0x${toHex(this.#terms.use((secret) => hmac(sha256, secret, w.finish())))}`);
  }

  head({ head, count, sum }: CopyHead): SealedHead {
    const w = new Writer();
    w.put(head.hash);
    w.u64(BigInt(count));
    w.put(fromHex(sum.toString(16).padStart(64, '0')));
    return { version: head.version, ciphertext: this.#encrypt(this.#heads, versionPlace(head.version), w.finish()) };
  }

  /** @throws SealError where the head was not made with this node's secret */
  openHead({ version, ciphertext }: SealedHead): CopyHead {
    const text = decrypt(this.#heads, versionPlace(version), ciphertext);
    if (text === undefined)
      throw new SealError('foreign head', `the head at version ${version} was altered, or sealed by another node`);
    const r = new Reader(text, trustPoints);
    const hash = r.take(32).slice();
    return { head: { version, hash }, count: Number(r.u64()), sum: BigInt(`0x${toHex(r.take(32))}`) };
  }

  #encrypt(key: Secret, place: Uint8Array, text: Uint8Array): Uint8Array {
    const nonce = this.#entropy(nonceLength);
    return concat(
      nonce,
      key.use((bytes) => xchacha20poly1305(bytes, nonce, place).encrypt(text)),
    );
  }
}

/** The text, or undefined where it was not sealed with this key for this place. */
function decrypt(key: Secret, place: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  const nonce = sealed.subarray(0, nonceLength);
  try {
    return key.use((bytes) => xchacha20poly1305(bytes, nonce, place).decrypt(sealed.subarray(nonceLength)));
  } catch {
    return undefined; // too short, or its tag is wrong: all the library has to say
  }
}

/** The associated data of an entry: its name's 32 bytes and its version. */
function entryPlace(name: string, version: bigint): Uint8Array {
  return concat(fromHex(name), versionPlace(version));
}

function versionPlace(version: bigint): Uint8Array {
  const w = new Writer();
  w.u64(version);
  return w.finish();
}
