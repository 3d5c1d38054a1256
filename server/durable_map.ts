/**
 * A map from texts to bytes in one file: what a host keeps of a node across its own restarts. The file is a list of
 * batches, each with its length and a check, synced before it counts; when what is replaced outgrows what is there, a
 * new file with all of it takes the old one's place by one rename.
 */

import { hash } from 'node:crypto';
import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { concat, equalBytes, utf8 } from '../proto/bytes.ts';
import { Reader, trustPoints, WireError, Writer } from '../proto/hsmd/codec.ts';
import type { Log } from '../proto/log.ts';

/** New values by key; undefined removes one. */
export type MapChanges = ReadonlyMap<string, Uint8Array | undefined>;

/** The file is not what was written: its owner has to look at it. */
export class DamagedFile extends Error {
  override readonly name = 'DamagedFile';
}

const fileMark = utf8('keyhold map 1\n');
/** Length 4, first 8 bytes of the content's SHA-256; and of these 12 bytes' own the first 4. */
const batchHeader = 16;
/** Stands for a value's length where the key is removed. */
const removed = 0xffffffff;
/** Bytes of replaced values that are always let grow. */
const leastGrowth = 1 << 18;
const ascii = new TextDecoder();

const check = (bytes: Uint8Array, length: number) => hash('sha256', bytes, 'buffer').subarray(0, length);

function encodeBatch(changes: MapChanges): Uint8Array {
  const w = new Writer();
  w.u32(changes.size);
  for (const [key, value] of changes) {
    const name = utf8(key);
    w.u16(name.length);
    w.put(name);
    w.u32(value?.length ?? removed);
    if (value !== undefined) w.put(value);
  }
  const content = w.finish();
  const header = new Writer();
  header.u32(content.length);
  header.put(check(content, 8));
  const summary = header.finish();
  return concat(summary, check(summary, 4), content);
}

function applyBatch(entries: Map<string, Uint8Array>, changes: MapChanges): void {
  for (const [key, value] of changes) {
    if (value === undefined) entries.delete(key);
    else entries.set(key, value);
  }
}

function decodeBatch(content: Uint8Array): MapChanges {
  const r = new Reader(content, trustPoints);
  const changes = new Map<string, Uint8Array | undefined>();
  for (let left = r.u32(); left > 0; left--) {
    const key = ascii.decode(r.take(r.u16()));
    const length = r.u32();
    changes.set(key, length === removed ? undefined : r.take(length).slice());
  }
  return changes;
}

/** As a plain array: slices of it are copies. */
async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    const { buffer, byteOffset, byteLength } = await readFile(path);
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

interface Contents {
  readonly entries: Map<string, Uint8Array>;
  /** Where the last whole batch ends. */
  readonly end: number;
}

/** What the file holds. An unfinished write at its end is passed over. @throws DamagedFile */
function readContents(bytes: Uint8Array, path: string): Contents {
  const entries = new Map<string, Uint8Array>();
  if (!equalBytes(bytes.subarray(0, fileMark.length), fileMark))
    throw new DamagedFile(`expected ${path} to begin with its mark, found something else`);
  let end = fileMark.length;
  while (bytes.length - end >= batchHeader) {
    const at = end + batchHeader;
    const length = new DataView(bytes.buffer, bytes.byteOffset + end).getUint32(0);
    const content = bytes.subarray(at, at + length);
    const isHeader = equalBytes(check(bytes.subarray(end, at - 4), 4), bytes.subarray(at - 4, at));
    const isWhole =
      isHeader && content.length === length && equalBytes(check(content, 8), bytes.subarray(end + 4, at - 4));
    if (!isWhole) {
      // A write that a crash cut off lacks its end, or its first page: no batch has a length of zero.
      const isUnfinished = length === 0 || (isHeader && at + length >= bytes.length);
      if (isUnfinished) break;
      throw new DamagedFile(`${path} is damaged at byte ${end}: move it away, or put back a good one`);
    }
    try {
      applyBatch(entries, decodeBatch(content));
    } catch (error: unknown) {
      if (error instanceof WireError) throw new DamagedFile(`${path} at byte ${end}: ${error.message}`);
      throw error;
    }
    end = at + length;
  }
  return { entries, end };
}

export class DurableMap implements AsyncDisposable {
  readonly #path: string;
  readonly #entries: Map<string, Uint8Array>;
  #file: FileHandle | undefined;
  #fileLength: number;
  #last: Promise<unknown> = Promise.resolve();
  #failed: Error | undefined;

  private constructor(path: string, { entries, end }: Contents) {
    this.#path = path;
    this.#entries = entries;
    this.#fileLength = end;
  }

  /** Opens the file, or begins one. @throws DamagedFile */
  static async open(path: string, log: Log): Promise<DurableMap> {
    const bytes = await readIfThere(path);
    const contents = bytes === undefined ? { entries: new Map(), end: 0 } : readContents(bytes, path);
    if (bytes !== undefined && contents.end < bytes.length)
      log('warn', 'dropped an unfinished write', { file: path, bytes: bytes.length - contents.end });
    const map = new DurableMap(path, contents);
    // Written anew, so that what was read is on the disk and nothing is behind it.
    await map.#replace();
    return map;
  }

  /** What is durable. Values must not be changed in place. */
  get entries(): ReadonlyMap<string, Uint8Array> {
    return this.#entries;
  }

  /** Makes all of the changes or none; durable when it resolves. After a failure nothing more is taken. */
  write(changes: MapChanges): Promise<void> {
    const written = this.#last.then(() => this.#write(changes));
    this.#last = written.catch(() => undefined);
    return written;
  }

  async #write(changes: MapChanges): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    if (this.#file === undefined) throw new Error(`${this.#path} is closed`);
    if (changes.size === 0) return;
    try {
      const batch = encodeBatch(changes);
      await this.#file.appendFile(batch);
      await this.#file.datasync();
      this.#fileLength += batch.length;
      applyBatch(this.#entries, changes);
      if (this.#fileLength > 2 * this.#liveLength() + leastGrowth) await this.#replace();
    } catch (error: unknown) {
      this.#failed = new Error(`${this.#path} cannot be written: mend that, then start the host again`, {
        cause: error,
      });
      throw this.#failed;
    }
  }

  #liveLength(): number {
    let length = 0;
    for (const [key, value] of this.#entries) length += key.length + value.length + 6;
    return length;
  }

  async #replace(): Promise<void> {
    const fresh = `${this.#path}.new`;
    const bytes = concat(fileMark, encodeBatch(this.#entries));
    const file = await open(fresh, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
      await rename(fresh, this.#path);
      await using folder = await open(dirname(this.#path));
      await folder.sync();
    } catch (error: unknown) {
      await file.close();
      throw error;
    }
    await this.#file?.close();
    this.#file = file;
    this.#fileLength = bytes.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#file?.close();
    this.#file = undefined;
  }
}
