/**
 * Requests of clients that were taken, and the leave that each gives: an entry of the store for each, so that a request
 * counts once however often, and to whichever process of the signer, it is shown. It is kept until the request would be
 * too old anyway and its leave is over; and what has been forgotten can never become new again, even where the clock goes
 * back.
 */

import { toHex } from '../../proto/bytes.ts';
import { type Leave, useOf } from '../policy/leave.ts';
import type { Consent, Purpose } from '../policy/purpose.ts';
import { decodeState, encodeState } from '../state/encode.ts';
import type { Change, Store } from '../store/store.ts';

/** Times in milliseconds since 1970, but those of leaves. */
interface Shown {
  /** From then on the request is too old to be taken. */
  readonly until: number;
  readonly leaves: readonly Leave[];
}

interface Book {
  /** Everything that was to be kept until then may have been forgotten. */
  readonly forgotten: number;
  /** When a rune was last used, by its id. */
  readonly runes: ReadonlyMap<string, number>;
}

export interface Taken {
  /** 32 bytes. */
  readonly id: Uint8Array;
  readonly until: number;
  readonly runeId: string;
  readonly leaves: readonly Leave[];
}

/** More than this at once, and new requests have to wait. */
export const mostShown = 1024;
const prefix = 'request/';
const bookKey = 'requests';

export class ShownRequests {
  readonly #store: Pick<Store, 'commit'>;
  /** By id in hex. */
  readonly #shown = new Map<string, Shown>();
  #book: Book;

  /** What a store's entries hold. */
  constructor(store: Pick<Store, 'entries' | 'commit'>) {
    this.#store = store;
    const book = store.entries.get(bookKey);
    this.#book = book === undefined ? { forgotten: 0, runes: new Map() } : decodeState<Book>(book);
    for (const [key, value] of store.entries)
      if (key.startsWith(prefix)) this.#shown.set(key.slice(prefix.length), decodeState<Shown>(value));
  }

  /** Milliseconds since a rune with this id was used; infinite where none was. */
  idle(runeId: string, now: number): number {
    return now - (this.#book.runes.get(runeId) ?? Number.NEGATIVE_INFINITY);
  }

  /** Takes a request, durably before it resolves; false where it was taken before, or must count as that. */
  async take({ id, until, runeId, leaves }: Taken, now: number): Promise<boolean> {
    const key = toHex(id);
    if (this.#shown.has(key) || until <= this.#book.forgotten) return false;
    const gone = this.#forget(now);
    if (this.#shown.size >= mostShown) return false;
    // From here on it is known; it gives leave once that is durable.
    this.#shown.set(key, { until, leaves: [] });
    this.#book = { ...this.#book, runes: new Map(this.#book.runes).set(runeId, now) };
    const book = { key: bookKey, value: encodeState(this.#book) };
    await this.#store.commit([...gone, book, entryOf(key, { until, leaves })]);
    this.#shown.set(key, { until, leaves });
    return true;
  }

  /** Whether `use` would say yes. */
  allows(purpose: Purpose, now: number): boolean {
    return (
      useOf(
        [...this.#shown.values()].flatMap(({ leaves }) => leaves),
        purpose,
        now,
      ) !== undefined
    );
  }

  /** What the leaves say to a purpose (`now` in Unix seconds); that they are used is durable when it resolves. */
  async use(purpose: Purpose, now: number): Promise<Consent> {
    const all = [...this.#shown].flatMap(([key, { leaves }]) => leaves.map((leave) => ({ ...leave, key })));
    const use = useOf(all, purpose, now);
    if (use === undefined) return false;
    const changed = new Set([...use.changed.keys()].map(({ key }) => key));
    const changes: Change[] = [];
    for (const key of changed) {
      const leaves = all.filter((leave) => leave.key === key).map((leave) => use.changed.get(leave) ?? leave);
      const shown = { until: this.#shown.get(key)?.until ?? 0, leaves: leaves.map(({ key: _, ...leave }) => leave) };
      this.#shown.set(key, shown);
      changes.push(entryOf(key, shown));
    }
    await this.#store.commit(changes);
    return use.consent;
  }

  /** Drops what is over. */
  #forget(now: number): readonly Change[] {
    const over = [...this.#shown].filter(
      ([, { until, leaves }]) => until <= now && leaves.every(({ expires }) => expires * 1000 <= now),
    );
    const forgotten = Math.max(this.#book.forgotten, ...over.map(([, { until }]) => until));
    this.#book = { ...this.#book, forgotten };
    for (const [key] of over) this.#shown.delete(key);
    return over.map(([key]) => ({ key: prefix + key, value: undefined }));
  }
}

function entryOf(key: string, shown: Shown): Change {
  return { key: prefix + key, value: encodeState(shown) };
}
