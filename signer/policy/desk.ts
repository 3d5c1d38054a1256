/**
 * The owner's desk: what was asked and refused lies here until the owner looks at it, and what the owner allows, for
 * something asked or in advance, counts the next time it is asked. No answer waits for a person: the first ask is
 * refused, and when the owner has said yes, lightningd is told to try again. All of it ends with the signer, which can
 * only refuse more.
 */

import { type Leave, useOf } from './leave.ts';
import type { Approver, Consent, Outgoing, Purpose } from './purpose.ts';
import { askedWish, consentOf, isAmountless, type Wish } from './wish.ts';

/** Times are Unix seconds. */
export interface Asked {
  readonly id: number;
  readonly purpose: Outgoing;
  readonly first: number;
  readonly last: number;
  readonly times: number;
}

/** A refusal that has nothing to do with the owner's word, or came despite it. */
export interface Refused {
  readonly tag: string;
  readonly message: string;
  /** The request's name in hsmd. */
  readonly call: string;
  readonly last: number;
  readonly times: number;
}

/** A leave with the number that the owner knows it by. */
export interface NumberedLeave extends Leave<Wish> {
  readonly id: number;
}

export interface Terms {
  readonly uses: number;
  readonly expires: number;
}

const mostAsked = 100;
const mostRefused = 100;

export class Desk implements Approver {
  readonly name = 'the owner';
  readonly #asked = new Map<string, Asked>();
  readonly #refused = new Map<string, Refused>();
  readonly #leaves = new Map<number, NumberedLeave>();
  readonly #watchers = new Set<(asked: Asked) => void>();
  #lastId = 0;

  approve(purpose: Purpose, now: number): Promise<Consent> {
    // By an invoice of ours nothing leaves: nobody is bothered with it.
    if (purpose.kind === 'issue') return Promise.resolve(false);
    const use = useOf([...this.#leaves.values()], purpose, now);
    for (const leave of use?.changed.values() ?? []) this.#leaves.set(leave.id, leave);
    if (use === undefined) this.#ask(purpose, now);
    else this.#asked.delete(keyOf(askedWish(purpose)));
    return Promise.resolve(use?.consent ?? false);
  }

  would(purpose: Purpose, now: number): Promise<boolean> {
    return Promise.resolve(useOf([...this.#leaves.values()], purpose, now) !== undefined);
  }

  /** What waits for the owner's word, the latest last. */
  get asked(): readonly Asked[] {
    return [...this.#asked.values()];
  }

  get refused(): readonly Refused[] {
    return [...this.#refused.values()];
  }

  /** What is allowed and not used up. */
  leaves(now: number): readonly NumberedLeave[] {
    for (const [id, { usesLeft, expires, occasions }] of this.#leaves)
      if (expires <= now || (usesLeft < 1 && occasions.length === 0)) this.#leaves.delete(id);
    return [...this.#leaves.values()];
  }

  /** Allows something, asked or not; what was asked and is allowed by it waits no more. */
  allow(wish: Wish, { uses, expires }: Terms): NumberedLeave {
    for (const [key, { purpose }] of this.#asked) if (consentOf(wish, purpose) !== false) this.#asked.delete(key);
    const leave = { id: ++this.#lastId, wish, usesLeft: uses, expires, occasions: [] };
    this.#leaves.set(leave.id, leave);
    return leave;
  }

  /** Allows what was asked under this id, for `amount` where what was asked has none; undefined where nothing was asked. */
  allowAsked(id: number, terms: Terms, amount = 0n): NumberedLeave | undefined {
    const asked = this.asked.find((each) => each.id === id);
    if (asked === undefined) return undefined;
    const wish = askedWish(asked.purpose);
    this.#asked.delete(keyOf(wish));
    return this.allow(isAmountless(wish) ? { ...wish, amount } : wish, terms);
  }

  /** Takes a leave back, or forgets what was asked; false where there is neither. */
  withdraw(id: number): boolean {
    const asked = this.asked.find((each) => each.id === id);
    if (asked !== undefined) this.#asked.delete(keyOf(askedWish(asked.purpose)));
    return this.#leaves.delete(id) || asked !== undefined;
  }

  /** Remembers a refusal for the owner to read. */
  note(refusal: Pick<Refused, 'tag' | 'message' | 'call'>, now: number): void {
    const key = `${refusal.tag} ${refusal.call} ${refusal.message}`;
    const times = (this.#refused.get(key)?.times ?? 0) + 1;
    putLast(this.#refused, key, { ...refusal, last: now, times }, mostRefused);
  }

  /** Tells of everything asked from now on, the first time it is. */
  watch(watcher: (asked: Asked) => void): Disposable {
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => this.#watchers.delete(watcher) };
  }

  #ask(purpose: Outgoing, now: number): void {
    const key = keyOf(askedWish(purpose));
    const before = this.#asked.get(key);
    const asked = {
      id: before?.id ?? ++this.#lastId,
      purpose,
      first: before?.first ?? now,
      last: now,
      times: (before?.times ?? 0) + 1,
    };
    putLast(this.#asked, key, asked, mostAsked);
    if (before === undefined) for (const watcher of this.#watchers) watcher(asked);
  }
}

function keyOf({ kind, target, amount }: Wish): string {
  return `${kind} ${target} ${amount}`;
}

/** A hostile host may ask without end: the oldest goes when there are too many. */
function putLast<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}
