/**
 * The copy of one node's signer's state, as its host keeps it: entries and a head that only the signer can open, moved
 * from one version to the next all at once. What is here is no more than a shelf; that nothing on it was swapped, the
 * signer sees for itself.
 */

import { fromHex, toHex } from '../proto/bytes.ts';
import type { Clock } from '../proto/clock.ts';
import { Reader, trustPoints, Writer } from '../proto/hsmd/codec.ts';
import type { DurableMap } from './durable_map.ts';

/** See keyhold.v1.SealedEntry. */
export interface Entry {
  /** 32 bytes. */
  readonly name: Uint8Array;
  readonly version: bigint;
  readonly ciphertext?: Uint8Array;
}

export interface CopyHead {
  readonly version: bigint;
  readonly ciphertext: Uint8Array;
  /** Milliseconds since 1970. */
  readonly storedMs: bigint;
}

export interface CopyUpdate {
  readonly base: bigint;
  readonly entries: readonly Entry[];
  readonly head: { readonly version: bigint; readonly ciphertext: Uint8Array };
}

/** What a signer may keep here: a channel takes some ten thousand bytes. */
export const copyLimits = { entries: 1 << 18, bytes: 64 << 20, head: 4096 } as const;

const headKey = 'head';

export class StateCopy {
  readonly #map: Pick<DurableMap, 'entries' | 'write'>;
  readonly #clock: Clock;
  #updates: Promise<unknown> = Promise.resolve();

  constructor(map: Pick<DurableMap, 'entries' | 'write'>, clock: Clock) {
    this.#map = map;
    this.#clock = clock;
  }

  get head(): CopyHead | undefined {
    const bytes = this.#map.entries.get(headKey);
    if (bytes === undefined) return undefined;
    const r = new Reader(bytes, trustPoints);
    return { version: r.u64(), storedMs: r.u64(), ciphertext: r.take(r.left) };
  }

  /** The head's version; 0 where there is no copy. */
  get version(): bigint {
    return this.head?.version ?? 0n;
  }

  /** Every entry, as it is now. */
  entries(): readonly Required<Entry>[] {
    return Array.from(this.#map.entries, ([key, bytes]) => {
      if (key === headKey) return [];
      const r = new Reader(bytes, trustPoints);
      return [{ name: fromHex(key), version: r.u64(), ciphertext: r.take(r.left) }];
    }).flat();
  }

  /**
   * Takes an update in, after the ones before it. Resolves when it is durable, to undefined; or to why it was not taken.
   * Rejects where the disk fails.
   */
  update(update: CopyUpdate): Promise<string | undefined> {
    const done = this.#updates.then(() => this.#update(update));
    this.#updates = done.catch(() => undefined);
    return done;
  }

  async #update({ base, entries, head }: CopyUpdate): Promise<string | undefined> {
    if (base !== this.version || head.version <= base)
      return `expected an update of version ${this.version} to a later one, got one of ${base} to ${head.version}`;
    const changes = new Map<string, Uint8Array | undefined>();
    for (const { name, version, ciphertext } of entries) {
      if (name.length !== 32) return `expected names of 32 bytes, got one of ${name.length}`;
      changes.set(toHex(name), ciphertext && numbered([version], ciphertext));
    }
    const tooMuch = this.#tooMuch(changes, head.ciphertext.length);
    if (tooMuch !== undefined) return tooMuch;
    changes.set(headKey, numbered([head.version, BigInt(Math.trunc(this.#clock.now()))], head.ciphertext));
    await this.#map.write(changes);
    return undefined;
  }

  /** Why the copy would be larger than a host lets it be, if it would. */
  #tooMuch(changes: ReadonlyMap<string, Uint8Array | undefined>, head: number): string | undefined {
    if (head > copyLimits.head) return `expected a head of at most ${copyLimits.head} bytes, got ${head}`;
    const after = new Map<string, Uint8Array | undefined>([...this.#map.entries, ...changes]);
    let [count, length] = [0, 0];
    for (const value of after.values()) {
      if (value === undefined) continue;
      count += 1;
      length += value.length;
    }
    if (count <= copyLimits.entries && length <= copyLimits.bytes) return undefined;
    return `this host keeps at most ${copyLimits.entries} entries of ${copyLimits.bytes} bytes together, got ${count} of ${length}`;
  }
}

function numbered(numbers: readonly bigint[], bytes: Uint8Array): Uint8Array {
  const w = new Writer();
  for (const number of numbers) w.u64(number);
  w.put(bytes);
  return w.finish().slice();
}
