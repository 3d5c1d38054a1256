/**
 * A whole log file: its header, a record with the whole state, then records of commits. Reading it gives the state, and
 * tells an unfinished last write, which nobody was promised and which is dropped, from damage, which is an error.
 *
 * A record is written only after the one before it was synced. So an incomplete record with nothing intact behind it is
 * a write that a crash cut short; with an intact record behind it, it was complete once and has been damaged since.
 */

import { concat, equalBytes } from '../../proto/bytes.ts';
import { Reader, trustPoints, WireError, Writer } from '../../proto/hsmd/codec.ts';
import { type Commit, nextHead, readChanges, readKey, type Sha256, writeKey, writeValue } from './chain.ts';
import {
  encodeRecord,
  fileHeader,
  fileHeaderLength,
  findRecord,
  type RecordHeader,
  readFileHeader,
  readRecordHeader,
  recordHeaderLength,
} from './record.ts';
import { State } from './state.ts';
import { type Head, recoveryCommand, StoreError } from './store.ts';

export interface ReadLog {
  readonly state: State;
  readonly salt: Uint8Array;
  /** Where the state's record ends and commits begin. */
  readonly stateEnd: number;
  /** Where the last intact record ends; what is behind it is an unfinished write. */
  readonly end: number;
  /** Whether the file ends with an empty batch, as it does when its store was closed: then all of it was synced. */
  readonly closed: boolean;
}

/** A file that holds this state and no commits yet; `salt` is 16 random bytes. */
export function encodeLog(state: State, salt: Uint8Array, sha256: Sha256): Uint8Array {
  const w = new Writer();
  w.u32(state.hashes.size);
  for (const [version, hash] of state.hashes) {
    w.u64(version);
    w.put(hash);
  }
  w.u32(state.entries.size);
  for (const [key, value] of state.entries) {
    writeKey(w, key);
    w.u64(state.versions.get(key) ?? 0n);
    writeValue(w, value);
  }
  const body = w.finish();
  const { head } = state;
  const record = encodeRecord({ kind: 'state', from: head.version, head }, [sha256(body), body], salt, sha256);
  return concat(fileHeader(salt, sha256), record);
}

/** The record of a batch; an empty one says that everything before it was complete. */
export function encodeBatch(before: Head, batch: readonly Commit[], salt: Uint8Array, sha256: Sha256): Uint8Array {
  const head = batch.at(-1)?.head ?? before;
  const content = batch.map(({ encoded }) => encoded);
  return encodeRecord({ kind: 'commits', from: before.version, head }, content, salt, sha256);
}

/** Reads a file; `name` is for errors. @throws StoreError */
export function readLog(bytes: Uint8Array, name: string, sha256: Sha256): ReadLog {
  const salt = readFileHeader(bytes, sha256);
  if (salt === undefined) throw damaged(name, 0, 'expected the header of a state file');
  const first = readRecordHeader(bytes, fileHeaderLength, salt, sha256);
  if (first?.kind !== 'state') throw damaged(name, fileHeaderLength, 'expected a whole state');
  const stateEnd = fileHeaderLength + recordHeaderLength + first.contentLength;
  const state = readState(bytes.subarray(fileHeaderLength + recordHeaderLength, stateEnd), first, name, sha256);
  let end = stateEnd;
  let closed = false;
  while (end < bytes.length) {
    const header = readRecordHeader(bytes, end, salt, sha256);
    if (header !== undefined && (header.kind !== 'commits' || header.from !== state.head.version))
      throw damaged(
        name,
        end,
        `expected the commits after version ${state.head.version}, found those after ${header.from}`,
      );
    const start = end + recordHeaderLength;
    const commits =
      header && readBatch(bytes.subarray(start, start + header.contentLength), header, state.head, sha256);
    if (header === undefined || commits === undefined) {
      const next = findRecord(bytes, end + 1, salt, sha256);
      if (next === undefined) break;
      throw damaged(
        name,
        end,
        `the commits after version ${state.head.version} are unreadable, others at byte ${next} are not`,
      );
    }
    for (const { changes, head } of commits) state.apply(changes, head);
    end = start + header.contentLength;
    closed = commits.length === 0 && end === bytes.length;
  }
  return { state, salt, stateEnd, end, closed };
}

function damaged(name: string, offset: number, problem: string): StoreError {
  return new StoreError(
    `${name} is damaged at byte ${offset}: ${problem}. No unfinished write looks like this. Keep the file as it is, check the disk, then run \`${recoveryCommand}\``,
  );
}

function readState(content: Uint8Array, { head, contentLength }: RecordHeader, name: string, sha256: Sha256): State {
  const at = fileHeaderLength + recordHeaderLength;
  const body = content.subarray(32);
  if (content.length < contentLength || !equalBytes(content.subarray(0, 32), sha256(body)))
    throw damaged(name, at, 'the whole state is cut short or altered');
  const r = new Reader(body, trustPoints);
  const hashes = Array.from({ length: r.u32() }, () => [r.u64(), r.take(32).slice()] as const);
  const entries = new Map<string, Uint8Array>();
  const versions = new Map<string, bigint>();
  const count = r.u32();
  for (let i = 0; i < count; i++) {
    const key = readKey(r);
    versions.set(key, r.u64());
    entries.set(key, r.take(r.u32()).slice());
  }
  return new State({ entries, versions, head }, hashes);
}

/** The batch's commits, or undefined where the content is not what the header promises. */
function readBatch(
  content: Uint8Array,
  { head, contentLength }: RecordHeader,
  before: Head,
  sha256: Sha256,
): readonly Commit[] | undefined {
  if (content.length < contentLength) return undefined;
  const r = new Reader(content, trustPoints);
  const commits: Commit[] = [];
  let last = before;
  try {
    while (r.left > 0) {
      const start = r.at;
      const changes = readChanges(r);
      const encoded = content.subarray(start, r.at);
      last = nextHead(last, encoded, sha256);
      commits.push({ changes, encoded, head: last });
    }
  } catch (error: unknown) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
  return last.version === head.version && equalBytes(last.hash, head.hash) ? commits : undefined;
}
