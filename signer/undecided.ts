import type { Answer, ClientIdentity } from '../proto/answer.ts';
import { restsOn } from '../proto/hsmd/depends.ts';
import { callOf } from '../proto/hsmd/message.ts';

interface Entry {
  /** As the host counts; below every other where that was an earlier run of it. */
  id: bigint;
  readonly client: ClientIdentity;
  readonly decision: Promise<Answer>;
  /** There was none: the host will ask this again. */
  wanting: boolean;
}

/** More than a host acknowledges at once. */
const mostEntries = 4096;

/**
 * Requests that the node has the answer of and that are not decided yet: what rests on one of them waits, whatever lane
 * it came in. Nothing is safe by this order alone; without it an honest node's request would be refused for want of what
 * is still on its way. Where there was no decision on one (a device was locked), there is none on what rests on it either,
 * until the host has asked again.
 */
export class Undecided {
  /** In the order they came. */
  readonly #entries = new Map<Promise<Answer>, Entry>();

  /** Remembers a request until it is decided. */
  add(id: bigint, client: ClientIdentity, decision: Promise<Answer>): void {
    for (const [earlier, entry] of this.#entries) if (entry.id === id) this.#entries.delete(earlier);
    const entry: Entry = { id, client, decision, wanting: false };
    this.#entries.set(decision, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > mostEntries && oldest !== undefined) this.#entries.delete(oldest);
    void decision.then(({ kind }) => {
      if (kind === 'unavailable') entry.wanting = true;
      else this.#entries.delete(decision);
    });
  }

  /** Carries a request out when all that it rests on is decided; `unavailable` where there was no decision on that. */
  async behind(id: bigint, client: ClientIdentity, request: Uint8Array, run: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      const before = this.#before(id, client, request);
      if (before.length === 0) return run();
      if (before.some(({ wanting }) => wanting))
        return { kind: 'unavailable', message: 'what this rests on is not decided yet' };
      await Promise.all(before.map(({ decision }) => decision));
    }
  }

  /** The host calls everything below settled. */
  forgetBelow(id: bigint): void {
    for (const [decision, entry] of this.#entries) if (entry.wanting && entry.id < id) this.#entries.delete(decision);
  }

  /** The host was started again, and counts anew: it asks again what it wants decided. */
  hostRestarted(): void {
    for (const [decision, entry] of this.#entries) {
      if (entry.wanting) this.#entries.delete(decision);
      else entry.id = -1n;
    }
  }

  #before(id: bigint, client: ClientIdentity, request: Uint8Array): readonly Entry[] {
    const call = callOf(request);
    if (call === undefined || this.#entries.size === 0) return [];
    const asked = { call, client, request };
    return [...this.#entries.values()].filter((entry) => entry.id < id && restsOn(asked, entry.client));
  }
}
