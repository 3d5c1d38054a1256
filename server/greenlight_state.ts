/**
 * The state that Greenlight's signers keep with a host: entries with a version each, merged by its published rules. A
 * host never looks into a value; that none was put back to an earlier version, the signers have to see for themselves.
 */

import { equalBytes, toHex, utf8 } from '../proto/bytes.ts';
import { Reader, trustPoints, Writer } from '../proto/hsmd/codec.ts';
import type { DurableMap } from './durable_map.ts';

/** See greenlight.SignerStateEntry. */
export interface GreenlightEntry {
  readonly version: bigint;
  readonly key: string;
  readonly value: Uint8Array;
  readonly signature: Uint8Array;
}

/** The version of a key that is forbidden for ever. */
const tombstone = 0xffff_ffff_ffff_ffffn;
/** What a signer may keep here. */
const limits = { entries: 1 << 16, key: 1024, value: 3 << 20, bytes: 64 << 20 } as const;
/** Of one message, about: Greenlight's signers take no more than 4 MiB. */
const sentAtOnce = 1 << 19;
const text = new TextDecoder();

/** The entry to keep under a key of which one is held already; undefined: the one that is held. */
export function merged(held: GreenlightEntry | undefined, given: GreenlightEntry): GreenlightEntry | undefined {
  if (held === undefined) return given;
  if (held.version === tombstone) return undefined;
  if (given.version > held.version) return given;
  const newSignature =
    given.version === held.version &&
    given.signature.length > 0 &&
    equalBytes(given.value, held.value) &&
    !equalBytes(given.signature, held.signature);
  return newSignature ? { ...held, signature: given.signature } : undefined;
}

/** Entries in pieces that each fit into a message. */
export function pieces(entries: readonly GreenlightEntry[]): GreenlightEntry[][] {
  const all: GreenlightEntry[][] = [];
  let length = sentAtOnce;
  for (const entry of entries) {
    if (length >= sentAtOnce) {
      all.push([]);
      length = 0;
    }
    all.at(-1)?.push(entry);
    length += entry.key.length + entry.value.length + entry.signature.length + 32;
  }
  return all;
}

export interface Merge {
  /** How many of the entries given were older than what is held. */
  readonly conflicts: number;
  /** The number of changes before this one and after it; the same where nothing changed. */
  readonly before: number;
  readonly after: number;
}

export class GreenlightState {
  readonly #map: DurableMap;
  readonly #entries = new Map<string, GreenlightEntry>();
  /** At which of the changes so far an entry came to be as it is. */
  readonly #changedAt = new Map<string, number>();
  #changes = 0;
  #merges: Promise<unknown> = Promise.resolve();

  constructor(map: DurableMap) {
    this.#map = map;
    for (const [key, bytes] of map.entries) this.#entries.set(text.decode(Buffer.from(key, 'hex')), decode(key, bytes));
  }

  /** Counts the changes. */
  get changes(): number {
    return this.#changes;
  }

  /** What changed after the first `known` changes; all there is for undefined. */
  since(known: number | undefined): readonly GreenlightEntry[] {
    const all = [...this.#entries.values()];
    return known === undefined ? all : all.filter(({ key }) => (this.#changedAt.get(key) ?? 0) > known);
  }

  /** Merges a signer's entries in; resolves when what is new is durable. @throws RangeError where it is too much */
  merge(given: readonly GreenlightEntry[]): Promise<Merge> {
    const done = this.#merges.then(() => this.#merge(given));
    this.#merges = done.catch(() => undefined);
    return done;
  }

  async #merge(given: readonly GreenlightEntry[]): Promise<Merge> {
    const before = this.#changes;
    const changed = new Map<string, GreenlightEntry>();
    let conflicts = 0;
    for (const entry of given) {
      const held = changed.get(entry.key) ?? this.#entries.get(entry.key);
      const kept = merged(held, copied(entry));
      if (kept !== undefined) changed.set(entry.key, kept);
      else if (held !== undefined && entry.version < held.version) conflicts += 1;
    }
    this.#mustFit(changed);
    await this.#map.write(new Map(Array.from(changed, ([key, entry]) => [toHex(utf8(key)), encode(entry)])));
    if (changed.size > 0) this.#changes += 1;
    for (const [key, entry] of changed) {
      this.#entries.set(key, entry);
      this.#changedAt.set(key, this.#changes);
    }
    return { conflicts, before, after: this.#changes };
  }

  #mustFit(changed: ReadonlyMap<string, GreenlightEntry>): void {
    const after = new Map([...this.#entries, ...changed]);
    let bytes = 0;
    for (const { key, value, signature } of after.values()) {
      bytes += key.length + value.length + signature.length;
      if (utf8(key).length > limits.key || value.length > limits.value)
        throw new RangeError(`expected keys of at most ${limits.key} bytes and values of ${limits.value}`);
    }
    if (after.size > limits.entries || bytes > limits.bytes)
      throw new RangeError(
        `expected at most ${limits.entries} entries of ${limits.bytes} bytes together, got ${after.size} of ${bytes}`,
      );
  }
}

/** Without what surrounds its bytes in the message they came in. */
function copied({ version, key, value, signature }: GreenlightEntry): GreenlightEntry {
  return { version, key, value: value.slice(), signature: signature.slice() };
}

/** Keys are kept in hex, for they may be any text. */
function encode({ version, value, signature }: GreenlightEntry): Uint8Array {
  const w = new Writer();
  w.u64(version);
  w.u16(signature.length);
  w.put(signature);
  w.put(value);
  return w.finish().slice();
}

function decode(key: string, bytes: Uint8Array): GreenlightEntry {
  const r = new Reader(bytes, trustPoints);
  const version = r.u64();
  const signature = r.take(r.u16());
  return { version, key: text.decode(Buffer.from(key, 'hex')), value: r.take(r.left), signature };
}
