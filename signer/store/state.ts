/** What a store holds in memory of what it holds for good: the live entries, and the chain's last hashes. */

import type { Change, Head, Snapshot } from './store.ts';

/** Earlier hashes that are kept, 32 bytes each: enough to tell a host that fell behind from a fork. */
export const rememberedHashes = 1024;

export class State implements Snapshot {
  readonly entries: Map<string, Uint8Array>;
  readonly versions: Map<string, bigint>;
  /** Of the last versions, oldest first, the head's included. */
  readonly hashes: Map<bigint, Uint8Array>;
  #head: Head;

  constructor({ entries, versions, head }: Snapshot, hashes: Iterable<readonly [bigint, Uint8Array]> = []) {
    this.entries = new Map(entries);
    this.versions = new Map(versions);
    this.hashes = new Map(hashes).set(head.version, head.hash);
    this.#head = head;
  }

  get head(): Head {
    return this.#head;
  }

  /** Takes a commit in. */
  apply(changes: readonly Change[], head: Head): void {
    for (const { key, value } of changes) {
      if (value === undefined) {
        this.entries.delete(key);
        this.versions.delete(key);
      } else {
        this.entries.set(key, value);
        this.versions.set(key, head.version);
      }
    }
    this.#head = head;
    this.hashes.set(head.version, head.hash);
    this.hashes.delete(head.version - BigInt(rememberedHashes));
  }
}
