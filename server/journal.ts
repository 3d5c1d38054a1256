/**
 * Requests that a node has the answer of and its signer has not decided yet, kept on the disk: lightningd will not ask
 * them again, so whatever stops here (this host, the stand-in, the signer), they reach the signer in the end.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientIdentity } from '../proto/answer.ts';
import { toHex } from '../proto/bytes.ts';
import type { Clock } from '../proto/clock.ts';
import { Reader, struct, trustPoints, u64, Writer } from '../proto/hsmd/codec.ts';
import { nodeId } from '../proto/hsmd/fields.ts';
import type { Log } from '../proto/log.ts';
import { DurableMap } from './durable_map.ts';

/** One of them. */
export interface Undecided {
  /** In order of their acknowledgement. */
  readonly number: bigint;
  readonly client: ClientIdentity;
  /** The hsmd message, type included. */
  readonly request: Uint8Array;
}

/** One node's. */
export interface NodeJournal {
  /** What an earlier run of this host left, oldest first. */
  readonly left: readonly Undecided[];
  /** Resolves to its number when the request is on the disk. Rejects where it cannot be: then it must not be acknowledged. */
  append(client: ClientIdentity, request: Uint8Array): Promise<bigint>;
  /** The signer has decided: it need not be kept. After a crash it may be delivered once more all the same. */
  decided(number: bigint): void;
}

export interface JournalOptions {
  /** Made if it is not there. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long what is decided may stay on the disk while nothing else is written, in milliseconds. */
const tidyMs = 1_000;

/** What a value begins with; the rest of it is the request. */
const who = struct({ nodeId, dbid: u64, capabilities: u64 });

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Journal implements AsyncDisposable {
  readonly #map: DurableMap;
  readonly #clock: Clock;
  readonly #log: Log;
  /** What the next write takes along, and who waits for it. */
  #changes = new Map<string, Uint8Array | undefined>();
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #cancelTidying: (() => void) | undefined;
  #next: bigint;

  private constructor(map: DurableMap, { clock, log }: JournalOptions) {
    this.#map = map;
    this.#clock = clock;
    this.#log = log;
    this.#next = [...map.entries.keys()].reduce((most, key) => (numberIn(key) >= most ? numberIn(key) + 1n : most), 1n);
  }

  /** Opens the journal of all nodes of a host. @throws DamagedFile */
  static async open(options: JournalOptions): Promise<Journal> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    return new Journal(await DurableMap.open(join(options.folder, 'acknowledged'), options.log), options);
  }

  of(node: string): NodeJournal {
    const keys = new Map<bigint, string>();
    const left: Undecided[] = [];
    for (const [key, value] of this.#map.entries) {
      if (!key.startsWith(`${node}/`)) continue;
      const r = new Reader(value, trustPoints);
      left.push({ number: numberIn(key), client: who.read(r), request: r.take(r.left) });
      keys.set(numberIn(key), key);
    }
    left.sort((a, b) => (a.number < b.number ? -1 : 1));
    return {
      left,
      append: async (client, request) => {
        const number = this.#next;
        this.#next += 1n;
        const key = `${node}/${toHex(client.nodeId)}/${client.dbid}/${number}`;
        const w = new Writer();
        who.write(w, client);
        w.put(request);
        await this.#append(key, w.finish());
        keys.set(number, key);
        return number;
      },
      decided: (number) => {
        const key = keys.get(number);
        keys.delete(number);
        if (key !== undefined) this.#remove(key);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelTidying?.();
    await this.#write();
    await this.#map[Symbol.asyncDispose]();
  }

  #append(key: string, value: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#changes.set(key, value);
      this.#waiting.push({ resolve, reject });
      void this.#write();
    });
  }

  #remove(key: string): void {
    this.#changes.set(key, undefined);
    this.#cancelTidying ??= this.#clock.after(tidyMs, () => void this.#write());
  }

  /** Writes all that has gathered; what comes while one write is on its way shares the next. Never rejects. */
  #write(): Promise<void> {
    this.#writing ??= this.#drain();
    return this.#writing;
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // whoever appends in this same turn shares the first write
    while (this.#changes.size > 0) {
      const [changes, waiting] = [this.#changes, this.#waiting];
      [this.#changes, this.#waiting] = [new Map(), []];
      this.#cancelTidying?.();
      this.#cancelTidying = undefined;
      try {
        await this.#map.write(changes);
        for (const { resolve } of waiting) resolve();
      } catch (error: unknown) {
        if (waiting.length === 0) this.#log('error', 'the journal cannot be written', { problem: String(error) });
        for (const { reject } of waiting) reject(error);
      }
    }
    // In this very turn: what is appended from now on needs a write of its own.
    this.#writing = undefined;
  }
}

/** The number at the end of a key. */
function numberIn(key: string): bigint {
  return BigInt(key.slice(key.lastIndexOf('/') + 1));
}
