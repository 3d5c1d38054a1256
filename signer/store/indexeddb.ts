/**
 * The signer's state in a browser: each batch of commits is one strict transaction. A lock keeps other tabs out, and
 * every transaction first makes sure that the head is still the one this store left, so that two signers can never both
 * go on from the same state. A page should ask for `navigator.storage.persist()`, else the browser may drop it all.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { equalBytes } from '../../proto/bytes.ts';
import type { Commit } from './chain.ts';
import { type Backend, GroupCommit } from './group_commit.ts';
import { abort, completed, result } from './idb.ts';
import { rememberedHashes, State } from './state.ts';
import {
  beginning,
  type Head,
  mustBeMissing,
  recoveryCommand,
  type Snapshot,
  type Store,
  StoreError,
  type WhenMissing,
} from './store.ts';

/** What is used of `navigator.locks`. */
export interface Locks {
  request(name: string, options: { ifAvailable: true }, held: (lock: unknown) => Promise<void>): Promise<unknown>;
}

export interface IndexedDbOptions {
  /** The database's name: one for each node. */
  readonly name: string;
  readonly whenMissing: WhenMissing;
  readonly indexedDB: IDBFactory;
  readonly locks: Locks;
}

/** A row of `entries`. */
interface StoredEntry {
  readonly key: string;
  readonly version: bigint;
  readonly value: Uint8Array;
}

/** A row of `heads`; the last is the head. */
interface StoredHead {
  /** A number, for a bigint cannot be a key. */
  readonly version: number;
  readonly hash: Uint8Array;
  /** How many entries there are: tells whether some are missing. */
  readonly count: number;
}

/** Each table's key. */
const tables = { entries: 'key', heads: 'version' } as const;

/** Opens the database for one signer. @throws StoreError where it is missing, incomplete, or open elsewhere */
export async function openIndexedDb({ name, whenMissing, indexedDB, locks }: IndexedDbOptions): Promise<Store> {
  const place = `the browser's database ${name}`;
  const release = await hold(locks, `keyhold state ${name}`, place);
  try {
    const db = await openDatabase(indexedDB, name);
    try {
      const found = await readState(db, place);
      if (found !== undefined) mustBeMissing(whenMissing, place);
      const state = found ?? (await begin(db, beginning(whenMissing, place)));
      return new GroupCommit(state, backend(db, state, place, release), sha256);
    } catch (error: unknown) {
      db.close();
      throw error;
    }
  } catch (error: unknown) {
    release();
    throw error;
  }
}

/** Takes the lock or fails at once; gives the function that lets go of it. */
function hold(locks: Locks, name: string, place: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const held = (lock: unknown) => {
      if (lock === null)
        throw new StoreError(`${place} is open in another tab: close that one first; one state serves one signer`);
      return new Promise<void>((release) => {
        resolve(release);
      });
    };
    locks.request(name, { ifAvailable: true }, held).catch(reject);
  });
}

async function openDatabase(indexedDB: IDBFactory, name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.addEventListener('upgradeneeded', () => {
    for (const [table, keyPath] of Object.entries(tables)) request.result.createObjectStore(table, { keyPath });
  });
  return result(request);
}

function begun(db: IDBDatabase): IDBTransaction {
  return db.transaction(Object.keys(tables), 'readwrite', { durability: 'strict' });
}

/** The state in the database, or undefined where there never was one. */
async function readState(db: IDBDatabase, place: string): Promise<State | undefined> {
  const transaction = db.transaction(Object.keys(tables), 'readonly');
  // What is read is what this file wrote: the database gives back the same kinds of values.
  const [entries, heads] = await Promise.all([
    result(transaction.objectStore('entries').getAll()) as Promise<StoredEntry[]>,
    result(transaction.objectStore('heads').getAll()) as Promise<StoredHead[]>,
  ]);
  const last = heads.at(-1);
  if (last === undefined) return undefined;
  if (entries.length !== last.count)
    throw new StoreError(
      `${place} is damaged: expected ${last.count} entries, found ${entries.length}: run \`${recoveryCommand}\``,
    );
  return new State(
    {
      entries: new Map(entries.map(({ key, value }) => [key, value])),
      versions: new Map(entries.map(({ key, version }) => [key, version])),
      head: { version: BigInt(last.version), hash: last.hash },
    },
    heads.map(({ version, hash }) => [BigInt(version), hash]),
  );
}

/** Writes the first state. */
async function begin(db: IDBDatabase, snapshot: Snapshot): Promise<State> {
  const transaction = begun(db);
  const done = completed(transaction);
  for (const [key, value] of snapshot.entries)
    putEntry(transaction, { key, version: snapshot.versions.get(key) ?? 0n, value });
  putHead(transaction, snapshot.head, snapshot.entries.size);
  await done;
  return new State(snapshot);
}

function putEntry(transaction: IDBTransaction, entry: StoredEntry): void {
  transaction.objectStore('entries').put(entry);
}

function putHead(transaction: IDBTransaction, { version, hash }: Head, count: number): void {
  const row: StoredHead = { version: Number(version), hash, count };
  transaction.objectStore('heads').put(row);
}

function backend(db: IDBDatabase, state: State, place: string, release: () => void): Backend {
  return {
    async persist(batch) {
      const transaction = begun(db);
      const done = completed(transaction);
      try {
        const last = await result(transaction.objectStore('heads').openCursor(null, 'prev'));
        const head: StoredHead | undefined = last?.value; // as `putHead` wrote it
        if (head?.version !== Number(state.head.version) || !equalBytes(head.hash, state.head.hash))
          throw new StoreError(`${place} was changed by another signer: stop all but one`);
        putBatch(transaction, batch, state);
      } catch (error: unknown) {
        done.catch(() => {});
        abort(transaction);
        throw error;
      }
      await done;
    },
    close() {
      db.close();
      release();
      return Promise.resolve();
    },
  };
}

function putBatch(transaction: IDBTransaction, batch: readonly Commit[], state: State): void {
  const touched = new Map<string, boolean>();
  let count = state.entries.size;
  for (const { changes, head } of batch) {
    for (const { key, value } of changes) {
      const was = touched.get(key) ?? state.entries.has(key);
      const is = value !== undefined;
      touched.set(key, is);
      count += Number(is) - Number(was);
      if (is) putEntry(transaction, { key, version: head.version, value });
      else transaction.objectStore('entries').delete(key);
    }
    putHead(transaction, head, count);
    if (head.version >= rememberedHashes)
      transaction.objectStore('heads').delete(Number(head.version) - rememberedHashes);
  }
}
