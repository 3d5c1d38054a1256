/**
 * The sealed copy as `signer_state` entries of Greenlight's protocol, whose servers keep whatever a signer gives them:
 * per key the entry with the highest version, values that are JSON. Our keys begin with "keyhold/", which the signers
 * of others pass over. Each value is one JSON string, base64 of the ciphertext, so that no server can write it another way.
 *
 * Greenlight's own tombstone (the highest version) forbids a key for ever, and ours come back; a removed entry is the
 * empty string.
 */

import { base64 } from '@scure/base';
import { utf8 } from '../../proto/bytes.ts';
import { Writer } from '../../proto/hsmd/codec.ts';
import { sha256Of } from '../crypto/hash.ts';
import { SealError, type SealedEntry, type SealedHead } from './seal.ts';
import type { SealedUpdate } from './sealed.ts';

/** The fields of greenlight.SignerStateEntry. */
export interface StateEntry {
  readonly version: bigint;
  readonly key: string;
  readonly value: Uint8Array;
  /** 64 bytes, r ‖ s */
  readonly signature: Uint8Array;
}

const prefix = 'keyhold/';
const headKey = `${prefix}head`;
const text = new TextDecoder();

/** What is signed of an entry, with the key derived for `greenlight/state-signing/v1`. */
export function stateDigest({ version, key, value }: Omit<StateEntry, 'signature'>): Uint8Array {
  const w = new Writer();
  const name = utf8(key);
  w.put(utf8('greenlight/state-signing/v1\0'));
  w.u32(name.length);
  w.put(name);
  w.u64(version);
  w.u32(value.length);
  w.put(value);
  return sha256Of(w.finish());
}

/** An update as entries; `sign` makes a compact signature (64 bytes) of a digest. */
export function toStateEntries(
  { entries, head }: SealedUpdate,
  sign: (digest: Uint8Array) => Uint8Array,
): StateEntry[] {
  const row = (key: string, version: bigint, ciphertext: Uint8Array | undefined): StateEntry => {
    const unsigned = { version, key, value: utf8(`"${ciphertext === undefined ? '' : base64.encode(ciphertext)}"`) };
    return { ...unsigned, signature: sign(stateDigest(unsigned)) };
  };
  return [
    ...entries.map(({ key, version, ciphertext }) => row(`${prefix}${key}`, version, ciphertext)),
    row(headKey, head.version, head.ciphertext),
  ];
}

/** Our part of a server's state, without removed entries; no head where there is no copy. @throws SealError */
export function fromStateEntries(all: Iterable<Omit<StateEntry, 'signature'>>): {
  readonly entries: readonly SealedEntry[];
  readonly head: SealedHead | undefined;
} {
  const entries: SealedEntry[] = [];
  let head: SealedHead | undefined;
  for (const { key, version, value } of all) {
    if (!key.startsWith(prefix)) continue;
    const ciphertext = readValue(value);
    if (key === headKey) head = { version, ciphertext };
    else if (ciphertext.length > 0) entries.push({ key: key.slice(prefix.length), version, ciphertext });
  }
  return { entries, head };
}

function readValue(value: Uint8Array): Uint8Array {
  try {
    const parsed: unknown = JSON.parse(text.decode(value));
    if (typeof parsed === 'string') return base64.decode(parsed);
  } catch {
    // Said below: what came is not worth repeating.
  }
  throw new SealError(
    'malformed',
    'expected the value of a keyhold/ entry to be base64 in a JSON string, found something else',
  );
}
