/**
 * Which signed requests have already become approvals: each does so once, however often and to whichever signer process
 * it is shown. An id is kept until the request would be too old anyway; and what has been forgotten can never become
 * new again, even where the clock goes back.
 */

import { LeReader, LeWriter } from '../../proto/bitcoin/stream.ts';
import { fromHex, toHex } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';

export interface SeenRequests {
  /**
   * Remembers an id (32 bytes) until a time in milliseconds since 1970, durably before it resolves: true the first time,
   * false where it was remembered before or must be taken for that.
   */
  remember(id: Uint8Array, until: number, now: number): Promise<boolean>;
}

/** What is remembered; pure. */
export interface SeenState {
  /** Until when, by id in hex. */
  readonly until: ReadonlyMap<string, number>;
  /** Everything up to this time may have been forgotten. */
  readonly forgotten: number;
}

export const nothingSeen: SeenState = { until: new Map(), forgotten: 0 };
/** More than this in one window, and new requests have to wait. */
export const maxSeen = 4096;

/** The state with the id in it; undefined where it counts as seen already, or there is no room. */
export function withSeen(state: SeenState, id: Uint8Array, until: number, now: number): SeenState | undefined {
  const key = toHex(id);
  if (state.until.has(key) || until <= state.forgotten) return undefined;
  const kept = new Map<string, number>();
  let { forgotten } = state;
  for (const [other, end] of state.until) {
    if (end > now) kept.set(other, end);
    else forgotten = Math.max(forgotten, end);
  }
  if (kept.size >= maxSeen) return undefined;
  kept.set(key, until);
  return { until: kept, forgotten };
}

/** u64 forgotten, then 32 bytes and a u64 each. */
export function encodeSeen({ until, forgotten }: SeenState): Uint8Array {
  const w = new LeWriter(8 + 40 * until.size);
  w.u64(BigInt(forgotten));
  for (const [id, end] of until) {
    w.put(fromHex(id));
    w.u64(BigInt(end));
  }
  return w.finish().slice();
}

/** Throws WireError where the bytes are not what encodeSeen writes. */
export function decodeSeen(bytes: Uint8Array): SeenState {
  const r = new LeReader(bytes);
  const time = () => {
    const value = r.u64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new WireError(`a time of ${value} ms`, r.at - 8);
    return Number(value);
  };
  const forgotten = time();
  const until = new Map<string, number>();
  while (r.left > 0) until.set(toHex(r.take(32)), time());
  return { until, forgotten };
}

/** Remembers in memory and through `save`; an id whose saving fails stays remembered, so it cannot be used twice. */
export function rememberThrough(start: SeenState, save: (state: SeenState) => Promise<void>): SeenRequests {
  let state = start;
  return {
    async remember(id, until, now) {
      const next = withSeen(state, id, until, now);
      if (next === undefined) return false;
      state = next;
      await save(next);
      return true;
    },
  };
}
