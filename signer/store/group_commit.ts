/**
 * What all stores have in common: commits are taken in the order of the calls, chained, and handed to a backend in
 * batches. While one batch is being synced the next gathers, so that many channels at once cost one sync and not many.
 */

import { type Commit, nextCommit, type Sha256 } from './chain.ts';
import type { State } from './state.ts';
import { type Change, type Head, type Store, StoreError } from './store.ts';

/** Where batches become durable. */
export interface Backend {
  /** Resolves when all of the batch is durable; a crash before that leaves some first part of it, or nothing. */
  persist(batch: readonly Commit[]): Promise<void>;
  /** Runs after a batch is durable and its commits have been resolved: time to clean up. */
  tidy?(): Promise<void>;
  /** `clean` unless something failed before. */
  close(clean: boolean): Promise<void>;
}

interface Waiting {
  readonly commit: Commit;
  readonly resolve: (head: Head) => void;
  readonly reject: (error: StoreError) => void;
}

/** A store on top of `backend`, holding `state` at first. */
export class GroupCommit implements Store {
  readonly #state: State;
  readonly #backend: Backend;
  readonly #sha256: Sha256;
  /** The head after everything taken so far, durable or not. */
  #next: Head;
  #last: Promise<Head>;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #ended: StoreError | undefined;
  #disposed: Promise<void> | undefined;

  constructor(state: State, backend: Backend, sha256: Sha256) {
    this.#state = state;
    this.#backend = backend;
    this.#sha256 = sha256;
    this.#next = state.head;
    this.#last = Promise.resolve(state.head);
  }

  get entries(): ReadonlyMap<string, Uint8Array> {
    return this.#state.entries;
  }

  get versions(): ReadonlyMap<string, bigint> {
    return this.#state.versions;
  }

  get head(): Head {
    return this.#state.head;
  }

  hashAt(version: bigint): Uint8Array | undefined {
    return this.#state.hashes.get(version);
  }

  async commit(changes: readonly Change[]): Promise<Head> {
    if (this.#ended !== undefined) throw this.#ended;
    if (changes.length === 0) return this.#last;
    const commit = nextCommit(this.#next, changes, this.#sha256);
    this.#next = commit.head;
    this.#last = new Promise<Head>((resolve, reject) => {
      this.#waiting.push({ commit, resolve, reject });
    });
    this.#running ??= this.#drain();
    return this.#last;
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // whoever commits in this same turn is in the first batch
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#backend.persist(batch.map(({ commit }) => commit));
        for (const { commit, resolve } of batch) {
          this.#state.apply(commit.changes, commit.head);
          resolve(commit.head);
        }
        batch.length = 0;
        await this.#backend.tidy?.();
      } catch (error: unknown) {
        this.#fail([...batch, ...this.#waiting], error);
      }
    }
    this.#running = undefined;
  }

  /** After a failed sync nobody knows what is on the disk; only opening the store again tells. */
  #fail(lost: readonly Waiting[], cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const error = new StoreError(
      `the signer's state could not be written (${reason}): mend that, then start the signer again`,
      {
        cause,
      },
    );
    this.#ended = error;
    this.#waiting = [];
    for (const { reject } of lost) reject(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    const closed = new StoreError('the store is closed');
    this.#ended ??= closed;
    await this.#running;
    await this.#backend.close(this.#ended === closed);
  }
}
