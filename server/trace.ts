/**
 * Requests one by one as they are answered, for whoever looks on (keyhold.v1.Host.Trace): who asked, what, how it was
 * answered and how long it took, never what was in it. A reader who is slow misses some, and nobody waits for one.
 */

import type { ClientIdentity } from '../proto/answer.ts';
import type { Clock } from '../proto/clock.ts';
import { hsmdName } from '../proto/hsmd/calls.ts';
import { callOf } from '../proto/hsmd/message.ts';
import type { Lane } from './lane.ts';
import type { AnsweredBy } from './tally.ts';

/** How a request was answered: with a reply of one of these, by the host alone, or not as the node hoped. */
export type Outcome = AnsweredBy | 'host' | 'refused' | 'malformed' | 'unavailable';

/** One request. */
export interface TracedRequest {
  readonly node: string;
  readonly lane: bigint;
  readonly client: ClientIdentity;
  /** hsmd's name of it ("sign_invoice"); empty for what is none. */
  readonly call: string;
  readonly outcome: Outcome;
  /** When it was answered, in milliseconds since 1970. */
  readonly timeMs: number;
  /** From its arrival to its answer, in milliseconds. */
  readonly waitedMs: number;
  /** Of that, how long no signer had it: behind others of its lane, behind what it rests on, or for want of a signer. */
  readonly heldMs: number;
}

/** What a reader gets at once. */
export interface TracedBatch {
  readonly requests: readonly TracedRequest[];
  /** How many more there were since the last batch, that a slow reader missed. */
  readonly missed: number;
}

/** One request on its way to its answer. */
export interface Tracing {
  /** A signer has it, for the first time or again. */
  offered(): void;
  answered(outcome: Outcome): void;
}

/** A request of one node has come; undefined while nobody looks. */
export type BeginTrace = (lane: Lane, bytes: Uint8Array) => Tracing | undefined;

/** How many wait for one reader at most; the next are counted and left out. */
export const mostWaiting = 4096;

interface Reader {
  readonly node: string | undefined;
  requests: TracedRequest[];
  missed: number;
  wake: () => void;
}

export class Trace {
  readonly #clock: Clock;
  readonly #readers = new Set<Reader>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** See `BeginTrace`. */
  begin(node: string, { number, client }: Lane, bytes: Uint8Array): Tracing | undefined {
    if (this.#readers.size === 0) return undefined;
    const arrived = this.#clock.monotonic();
    const known = callOf(bytes);
    const call = known === undefined ? '' : hsmdName(known);
    let offeredAt: number | undefined;
    return {
      offered: () => {
        offeredAt ??= this.#clock.monotonic();
      },
      answered: (outcome) => {
        const now = this.#clock.monotonic();
        const [waitedMs, heldMs] = [now - arrived, (offeredAt ?? now) - arrived];
        this.#tell({ node, lane: number, client, call, outcome, timeMs: this.#clock.now(), waitedMs, heldMs });
      },
    };
  }

  /** Everything from now on, of one node or of all, until the signal aborts. */
  async *read(node: string | undefined, signal: AbortSignal): AsyncGenerator<TracedBatch, void> {
    const reader: Reader = { node, requests: [], missed: 0, wake: () => {} };
    const wake = () => reader.wake();
    this.#readers.add(reader);
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        const { requests, missed } = reader;
        reader.requests = [];
        reader.missed = 0;
        if (requests.length > 0) yield { requests, missed };
        if (reader.requests.length > 0 || signal.aborted) continue;
        await new Promise<void>((resolve) => {
          reader.wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.#readers.delete(reader);
    }
  }

  #tell(request: TracedRequest): void {
    for (const reader of this.#readers) {
      if (reader.node !== undefined && reader.node !== request.node) continue;
      if (reader.requests.length >= mostWaiting) reader.missed += 1;
      else reader.requests.push(request);
      reader.wake();
    }
  }
}
