/**
 * Requests that clients of one node signed, for as long as they may be a reason for what its signer is asked. In memory
 * only: whoever signed one signs again.
 */

import { toHex } from '../proto/bytes.ts';
import type { SignedRequest } from '../proto/signed_request.ts';

/** A signer takes none that is older. */
const keptMs = 10 * 60_000;
const mostKept = 256;
const mostBytes = 4 << 20;

export class RecentRequests {
  /** The oldest first. */
  readonly #kept = new Map<string, { readonly request: SignedRequest; readonly since: number }>();
  #bytes = 0;

  /** Keeps a request; false where it is there already. `now` in milliseconds. */
  add(request: SignedRequest, now: number): boolean {
    const key = `${toHex(request.signature)} ${request.uri}`;
    if (this.#kept.has(key)) return false;
    this.#kept.set(key, { request, since: now });
    this.#bytes += request.request.length;
    this.#drop(now);
    return true;
  }

  /** Those that still count, the oldest first. */
  list(now: number): readonly SignedRequest[] {
    this.#drop(now);
    return [...this.#kept.values()].map(({ request }) => request);
  }

  /** Drops what is too old or too much. */
  #drop(now: number): void {
    for (const [key, { request, since }] of this.#kept) {
      if (since + keptMs > now && this.#kept.size <= mostKept && this.#bytes <= mostBytes) return;
      this.#kept.delete(key);
      this.#bytes -= request.request.length;
    }
  }
}
