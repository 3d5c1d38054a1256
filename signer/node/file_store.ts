/**
 * The signer's state in a folder: `state.log` is a file as `store/log.ts` has it, synced before a commit resolves. When
 * the commits in it outgrow the state they began with, a new file with the whole state takes its place by one rename; so
 * the disk it takes grows with what the signer holds, not with what it was asked.
 */

import { hash } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Log } from '../../proto/log.ts';
import type { Entropy } from '../crypto/secp.ts';
import type { Commit, Sha256 } from '../store/chain.ts';
import { type Backend, GroupCommit } from '../store/group_commit.ts';
import { encodeBatch, encodeLog, readLog } from '../store/log.ts';
import { State } from '../store/state.ts';
import { beginning, type Head, mustBeMissing, type Store, type WhenMissing } from '../store/store.ts';
import { type AppendFile, disk, type FileSystem } from './file_system.ts';
import { lockFolder } from './folder_lock.ts';

export interface FileStoreOptions {
  /** Made if it is not there; holds nothing else. */
  readonly folder: string;
  readonly whenMissing: WhenMissing;
  /** Told when an unfinished write is dropped. */
  readonly log: Log;
  readonly entropy: Entropy;
  readonly fs?: FileSystem;
  /** Keeps others out until disposed of; throws where one is in already. */
  readonly lock?: (folder: string, entropy: Entropy) => Promise<AsyncDisposable>;
  /** Bytes of commits that are always let grow before the file is written anew. */
  readonly leastGrowth?: number;
}

/** SHA-256 by node:crypto. */
export const nodeSha256: Sha256 = (bytes) => Uint8Array.from(hash('sha256', bytes, 'buffer'));

/** Opens the folder for one signer. @throws StoreError where it is damaged, missing, or open elsewhere */
export async function openFileStore(options: FileStoreOptions): Promise<Store> {
  const { folder, entropy, fs = disk, lock = lockFolder } = options;
  await fs.makeFolder(folder);
  const held = await lock(folder, entropy);
  try {
    const { file, state } = await openLog(options, fs, held);
    return new GroupCommit(state, file, nodeSha256);
  } catch (error: unknown) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

interface Opened {
  readonly state: State;
  readonly file: LogFile;
}

async function openLog(options: FileStoreOptions, fs: FileSystem, held: AsyncDisposable): Promise<Opened> {
  const { folder, whenMissing, entropy, log, leastGrowth = 1 << 18 } = options;
  const path = join(folder, 'state.log');
  const place = { fs, held, folder, path, entropy, leastGrowth };
  const bytes = await fs.read(path);
  if (bytes === undefined) {
    const state = new State(beginning(whenMissing, folder));
    await fs.syncFolder(dirname(folder));
    return { state, file: new LogFile(place, state, await replace(place, state)) };
  }
  mustBeMissing(whenMissing, folder);
  const { state, salt, stateEnd, end, closed } = readLog(bytes, path, nodeSha256);
  await fs.remove(`${path}.new`);
  if (closed) {
    const file = await fs.append(path);
    return { state, file: new LogFile(place, state, { file, salt, length: end, stateLength: stateEnd, closed }) };
  }
  if (end < bytes.length) {
    const dropped = bytes.length - end;
    log('warn', 'dropped an unfinished write of the signer state', { file: path, offset: end, bytes: dropped });
  }
  // What was read may be in memory only, even after a failed sync; written anew it is on the disk.
  return { state, file: new LogFile(place, state, await replace(place, state)) };
}

interface Place {
  readonly fs: FileSystem;
  readonly held: AsyncDisposable;
  readonly folder: string;
  readonly path: string;
  readonly entropy: Entropy;
  readonly leastGrowth: number;
}

interface Current {
  readonly file: AppendFile;
  readonly salt: Uint8Array;
  readonly length: number;
  /** Length of the file before its first commit. */
  readonly stateLength: number;
  /** Whether its last record says that it is complete. */
  readonly closed: boolean;
}

/** Puts a file that holds `state` in the place of any other: after a crash there is the old one or the new one, whole. */
async function replace({ fs, folder, path, entropy }: Place, state: State): Promise<Current> {
  const salt = entropy(16);
  const bytes = encodeLog(state, salt, nodeSha256);
  const file = await fs.create(`${path}.new`);
  try {
    await file.append(bytes);
    await file.sync();
    await fs.rename(`${path}.new`, path);
    await fs.syncFolder(folder);
  } catch (error: unknown) {
    await file.close().catch(() => {});
    throw error;
  }
  return { file, salt, length: bytes.length, stateLength: bytes.length, closed: false };
}

class LogFile implements Backend {
  readonly #place: Place;
  readonly #state: State;
  #current: Current;
  /** The head after the last record written. */
  #written: Head;

  constructor(place: Place, state: State, current: Current) {
    this.#place = place;
    this.#state = state;
    this.#current = current;
    this.#written = state.head;
  }

  async persist(batch: readonly Commit[]): Promise<void> {
    const { file, salt, length } = this.#current;
    const bytes = encodeBatch(this.#written, batch, salt, nodeSha256);
    await file.append(bytes);
    await file.sync();
    this.#written = batch.at(-1)?.head ?? this.#written;
    this.#current = { ...this.#current, length: length + bytes.length, closed: false };
  }

  async tidy(): Promise<void> {
    const { file, length, stateLength } = this.#current;
    if (length - stateLength <= Math.max(stateLength, this.#place.leastGrowth)) return;
    this.#current = await replace(this.#place, this.#state);
    await file.close();
  }

  /** Ends the file with an empty batch: with that behind it, damage to the last commit cannot pass for an unfinished write. */
  async close(clean: boolean): Promise<void> {
    try {
      if (clean && !this.#current.closed) await this.persist([]);
    } finally {
      try {
        await this.#current.file.close();
      } finally {
        await this.#place.held[Symbol.asyncDispose]();
      }
    }
  }
}
