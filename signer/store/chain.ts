/** The changes of a commit as bytes, and the hash chain that runs over all commits: the same in every store. */

import { utf8 } from '../../proto/bytes.ts';
import { type Reader, Writer } from '../../proto/hsmd/codec.ts';
import type { Change, Head } from './store.ts';

/** SHA-256; a parameter since node:crypto's is ten times as fast as one in JavaScript. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

/** A commit on its way to the disk. */
export interface Commit {
  readonly changes: readonly Change[];
  readonly encoded: Uint8Array;
  /** The head after it. */
  readonly head: Head;
}

/** Stands for a value's length where the key is removed. */
const removed = 0xffffffff;
const tag = utf8('keyhold commit 1');
const ascii = new TextDecoder();

function isPrintable(byte: number): boolean {
  return byte >= 0x21 && byte <= 0x7e;
}

export function writeKey(w: Writer, key: string): void {
  const bytes = utf8(key);
  if (bytes.length < 1 || bytes.length > 255 || !bytes.every(isPrintable))
    throw new RangeError('expected a key of 1 to 255 printable ASCII characters');
  w.u8(bytes.length);
  w.put(bytes);
}

export function readKey(r: Reader): string {
  return ascii.decode(r.take(r.u8()));
}

export function writeValue(w: Writer, value: Uint8Array): void {
  if (value.length >= removed) throw new RangeError(`expected a value below 4 GiB, got ${value.length} bytes`);
  w.u32(value.length);
  w.put(value);
}

/** u32 count; each: u8 length and key, u32 length and value. @throws RangeError */
export function encodeChanges(changes: readonly Change[]): Uint8Array {
  const w = new Writer(changes.reduce((sum, { key, value }) => sum + 5 + key.length + (value?.length ?? 0), 4));
  w.u32(changes.length);
  for (const { key, value } of changes) {
    writeKey(w, key);
    if (value === undefined) w.u32(removed);
    else writeValue(w, value);
  }
  return w.finish();
}

/** The changes that begin where the reader stands; values are copies. @throws WireError */
export function readChanges(r: Reader): readonly Change[] {
  const count = r.u32();
  const changes: Change[] = [];
  for (let i = 0; i < count; i++) {
    const key = readKey(r);
    const length = r.u32();
    changes.push({ key, value: length === removed ? undefined : r.take(length).slice() });
  }
  return changes;
}

/** The head after one more commit: SHA-256 of tag, hash before (32 bytes), its version (u64) and its changes. */
export function nextHead(before: Head, encoded: Uint8Array, sha256: Sha256): Head {
  const version = before.version + 1n;
  const bytes = new Uint8Array(tag.length + 40 + encoded.length);
  bytes.set(tag);
  bytes.set(before.hash, tag.length);
  new DataView(bytes.buffer).setBigUint64(tag.length + 32, version);
  bytes.set(encoded, tag.length + 40);
  return { version, hash: sha256(bytes) };
}

/** The commit that these changes make after `before`; it keeps copies of the values. @throws RangeError */
export function nextCommit(before: Head, changes: readonly Change[], sha256: Sha256): Commit {
  const encoded = encodeChanges(changes);
  const own = changes.map(({ key, value }) => ({ key, value: value?.slice() }));
  return { changes: own, encoded, head: nextHead(before, encoded, sha256) };
}
