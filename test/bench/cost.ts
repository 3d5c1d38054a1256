/** What requests cost, added up by the name of what is asked. */

import type { RecordedRequest } from '../../cli/recordings.ts';
import { hsmdName } from '../../proto/hsmd/calls.ts';
import { callOf } from '../../proto/hsmd/message.ts';

/** What comes once in a node's life, and lightningd's way to more sockets. */
const uncounted: ReadonlySet<string> = new Set(['init', 'dev_preinit', 'client_hsmfd']);

/** The name hsmd has for a request; undefined where it is not counted. */
export function nameOf({ bytes }: RecordedRequest): string | undefined {
  const call = callOf(bytes);
  const name = call === undefined ? 'unknown' : hsmdName(call);
  return uncounted.has(name) ? undefined : name;
}

export class Costs {
  readonly #sums = new Map<string, { readonly count: number; readonly us: number }>();

  /** Adds `count` requests that took so many microseconds together. */
  add(name: string, us: number, count = 1): void {
    const sum = this.#sums.get(name) ?? { count: 0, us: 0 };
    this.#sums.set(name, { count: sum.count + count, us: sum.us + us });
  }

  /** Microseconds a request of that name; undefined where there was none. */
  of(name: string): number | undefined {
    const sum = this.#sums.get(name);
    return sum && sum.us / sum.count;
  }

  /** Microseconds a request where `counts` tells how often each comes. */
  mix(counts: ReadonlyMap<string, number>): number {
    let us = 0;
    let requests = 0;
    for (const [name, count] of counts) {
      us += count * (this.of(name) ?? 0);
      requests += count;
    }
    return us / requests;
  }
}
