/**
 * One record of a log file: a header with its own check, then content. A record is what one write and one sync put down:
 * the whole state (the first record of a file) or a batch of commits.
 *
 * The header says what follows, so a damaged length cannot pass for the end of the file; its check is salted with a
 * number of this file's own, so no value that somebody makes us store can look like a record.
 */

import { concat, equalBytes, utf8 } from '../../proto/bytes.ts';
import { Reader, trustPoints, Writer } from '../../proto/hsmd/codec.ts';
import type { Sha256 } from './chain.ts';
import type { Head } from './store.ts';

/** All integers big-endian: mark 4, kind 1, version before 8, version after 8, hash after 32, content length 4, check 8. */
export const recordHeaderLength = 65;
const checkLength = 8;
const mark = utf8('KHR1');
const kinds = { state: 0, commits: 1 } as const;
const fileMark = utf8('keyhold state 1\n');
const saltLength = 16;
/** Mark 16, salt 16, check 8. */
export const fileHeaderLength = 40;

export interface RecordHeader {
  readonly kind: keyof typeof kinds;
  /** The version before it; a state's own version. */
  readonly from: bigint;
  /** The head after it. */
  readonly head: Head;
  readonly contentLength: number;
}

/** The first 8 bytes of SHA-256 of salt and bytes. */
function check(salt: Uint8Array, bytes: Uint8Array, sha256: Sha256): Uint8Array {
  return sha256(concat(salt, bytes)).subarray(0, checkLength);
}

/** What a file begins with; `salt` is 16 random bytes. */
export function fileHeader(salt: Uint8Array, sha256: Sha256): Uint8Array {
  return concat(fileMark, salt, check(salt, fileMark, sha256));
}

/** The salt of the file that these bytes begin, or undefined where they are no intact file header. */
export function readFileHeader(bytes: Uint8Array, sha256: Sha256): Uint8Array | undefined {
  if (bytes.length < fileHeaderLength || !equalBytes(bytes.subarray(0, fileMark.length), fileMark)) return undefined;
  const salt = bytes.slice(fileMark.length, fileMark.length + saltLength);
  const intact = equalBytes(
    bytes.subarray(fileMark.length + saltLength, fileHeaderLength),
    check(salt, fileMark, sha256),
  );
  return intact ? salt : undefined;
}

/** A record's bytes. */
export function encodeRecord(
  { kind, from, head }: Omit<RecordHeader, 'contentLength'>,
  content: readonly Uint8Array[],
  salt: Uint8Array,
  sha256: Sha256,
): Uint8Array {
  const w = new Writer();
  w.put(mark);
  w.u8(kinds[kind]);
  w.u64(from);
  w.u64(head.version);
  w.put(head.hash);
  w.u32(content.reduce((sum, piece) => sum + piece.length, 0));
  const header = w.finish();
  return concat(header, check(salt, header, sha256), ...content);
}

/** The header at `at`, or undefined where there is no intact one. */
export function readRecordHeader(
  bytes: Uint8Array,
  at: number,
  salt: Uint8Array,
  sha256: Sha256,
): RecordHeader | undefined {
  if (bytes.length - at < recordHeaderLength) return undefined;
  const header = bytes.subarray(at, at + recordHeaderLength);
  if (!equalBytes(header.subarray(0, mark.length), mark)) return undefined;
  const checked = header.subarray(0, recordHeaderLength - checkLength);
  if (!equalBytes(header.subarray(checked.length), check(salt, checked, sha256))) return undefined;
  const r = new Reader(checked, trustPoints);
  r.take(mark.length);
  const kind = r.u8() === kinds.state ? 'state' : 'commits';
  const from = r.u64();
  const head = { version: r.u64(), hash: r.take(32).slice() };
  return { kind, from, head, contentLength: r.u32() };
}

/** Where the next intact header at or after `at` stands. */
export function findRecord(bytes: Uint8Array, at: number, salt: Uint8Array, sha256: Sha256): number | undefined {
  const first = mark[0] ?? 0;
  for (let i = bytes.indexOf(first, at); i !== -1; i = bytes.indexOf(first, i + 1))
    if (readRecordHeader(bytes, i, salt, sha256) !== undefined) return i;
  return undefined;
}
