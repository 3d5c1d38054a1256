/**
 * The signer's durable memory: what every policy decision rests on, as a map from keys ("node", "payment/<hash>",
 * "channel/<peer>/<dbid>") to bytes. A request is answered only after the batch of changes it made has been committed here.
 *
 * Three implementations behave alike: `memory.ts`, `indexeddb.ts` and `node/file_store.ts`.
 */

/** One key's new value, or its removal. */
export interface Change {
  /** 1 to 255 printable ASCII characters, without spaces. */
  readonly key: string;
  /** undefined removes the key. */
  readonly value: Uint8Array | undefined;
}

/** Which state this is: two stores with equal heads went through the same commits. */
export interface Head {
  /** The number of commits so far. */
  readonly version: bigint;
  /** 32 bytes: the hash of the last commit, which covers the one before it, and so on to the first. */
  readonly hash: Uint8Array;
}

/** A whole state. */
export interface Snapshot {
  readonly entries: ReadonlyMap<string, Uint8Array>;
  /** The version that each of the entries was last changed at. */
  readonly versions: ReadonlyMap<string, bigint>;
  readonly head: Head;
}

/**
 * An open store. `entries`, `versions` and `head` show what is durable: at first what the store held when it was opened,
 * then also every commit that has resolved. Values must not be changed in place.
 */
export interface Store extends Snapshot, AsyncDisposable {
  /** The chain's hash at an earlier version, for about a thousand commits back; undefined beyond, or for a later one. */
  hashAt(version: bigint): Uint8Array | undefined;
  /**
   * Makes all of the changes or none; they are durable when it resolves. Concurrent commits share one sync, in the order
   * of the calls. No changes make no version, but are resolved after everything before them.
   *
   * After a failure nothing more is taken: whether the failed commits are durable is known only when it is opened again.
   *
   * @throws RangeError where a key is malformed, StoreError where the store is closed or failed.
   */
  commit(changes: readonly Change[]): Promise<Head>;
}

/** What opening does where there is no store yet: a lost store must not silently start from zero. */
export type WhenMissing = 'fail' | 'create' | { readonly recovered: Snapshot };

/** The command an owner is told to run when the local state cannot be trusted. */
export const recoveryCommand = 'keyhold signer recover';

/** The state cannot be read, written, or trusted. The message says where and what to do. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}

/** Where every store begins. */
export const emptySnapshot: Snapshot = {
  entries: new Map(),
  versions: new Map(),
  head: { version: 0n, hash: new Uint8Array(32) },
};

/** The state a store begins with where there is none in `place`. @throws StoreError where that is not allowed */
export function beginning(whenMissing: WhenMissing, place: string): Snapshot {
  if (whenMissing === 'fail')
    throw new StoreError(
      `expected the signer's state in ${place}, found none: if it was lost, run \`${recoveryCommand}\`; never start a node that has channels from an empty state`,
    );
  return whenMissing === 'create' ? emptySnapshot : whenMissing.recovered;
}

/** Refuses to put a recovered state over one that is there. @throws StoreError */
export function mustBeMissing(whenMissing: WhenMissing, place: string): void {
  if (typeof whenMissing === 'object')
    throw new StoreError(
      `expected no state in ${place} to recover into, found one: move it away and keep it, then try again`,
    );
}
