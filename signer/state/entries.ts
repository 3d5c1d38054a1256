/**
 * A map of the state that changes cheaply: the many that were there, and the few that a request added, changed or dropped.
 * Each is an entry of its own in the store.
 */

export class Entries<V> {
  readonly #held: ReadonlyMap<string, V>;
  /** Since `held`: undefined for one that is dropped. */
  readonly changed: ReadonlyMap<string, V | undefined>;

  constructor(held: ReadonlyMap<string, V>, changed: ReadonlyMap<string, V | undefined> = new Map()) {
    this.#held = held;
    this.changed = changed;
  }

  get(key: string): V | undefined {
    return this.changed.has(key) ? this.changed.get(key) : this.#held.get(key);
  }

  /** With this one added, or in place of the one under the same key. */
  with(key: string, value: V): Entries<V> {
    return new Entries(this.#held, new Map(this.changed).set(key, value));
  }

  /** Without the one under this key; the same object where there is none. */
  without(key: string): Entries<V> {
    return this.get(key) === undefined ? this : new Entries(this.#held, new Map(this.changed).set(key, undefined));
  }

  /** Up to `count` of those that were there longest, as they were. */
  oldest(count: number): readonly (readonly [string, V])[] {
    const found: (readonly [string, V])[] = [];
    for (const entry of this.#held) {
      if (found.length === count) break;
      found.push(entry);
    }
    return found;
  }
}
