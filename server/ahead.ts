/**
 * Replies that are known before they are asked for, each to be given only to a request of exactly the same bytes of the
 * same client: what a signer sent along with another answer, and what it answered before. One node's; in memory only.
 */

import { hash } from 'node:crypto';
import type { AnswerAhead, ClientIdentity } from '../proto/answer.ts';
import { toHex } from '../proto/bytes.ts';

type Who = Pick<ClientIdentity, 'nodeId' | 'dbid'>;

/** What is known for one client, by SHA-256 of the request (hex). */
interface Shelf {
  /** To be given once, until the client asks for something else. */
  readonly next: Map<string, Uint8Array>;
  /** To be given whenever it is asked for; the one used longest ago first. */
  readonly stays: Map<string, Uint8Array>;
}

/** A reply's own bytes and what keeping it costs besides. */
const overhead = 256;
/** All of a node's; a commitment with 483 HTLCs each way takes about 320 kB of it. */
const mostBytes = 16 << 20;
/** Replies that stay: a channel needs its last few points, lightningd one for each channel and sweep. */
const mostStaying = { channel: 32, node: 4096 } as const;
/** More than any reply that is worth sending ahead. */
const longestReply = 1 << 16;

export function requestSha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

function nameOf({ nodeId, dbid }: Who): string {
  return `${toHex(nodeId)}/${dbid}`;
}

export class KnownReplies {
  readonly #mostBytes: number;
  /** The client heard of longest ago first. */
  readonly #shelves = new Map<string, Shelf>();
  #bytes = 0;

  constructor(most = mostBytes) {
    this.#mostBytes = most;
  }

  /** What all of it takes, in bytes. */
  get size(): number {
    return this.#bytes;
  }

  /** Takes what came with an answer to `asker`. What does not fit goes, that of the client heard of longest ago first. */
  keep(asker: Who, answers: readonly AnswerAhead[]): void {
    for (const { client, requestSha256: digest, reply, stays } of answers) {
      if (digest.length !== 32 || reply.length > longestReply) continue;
      const who = client ?? asker;
      const shelf = this.#shelfOf(nameOf(who));
      this.#put(stays ? shelf.stays : shelf.next, toHex(digest), Uint8Array.from(reply));
      if (shelf.stays.size > (who.dbid === 0n ? mostStaying.node : mostStaying.channel)) this.#dropOldest(shelf.stays);
    }
    while (this.#bytes > this.#mostBytes) this.#dropLongestIdle();
  }

  /** The reply to these very bytes of this client, which is then used up unless it stays. */
  take(client: Who, request: Uint8Array): Uint8Array | undefined {
    const name = nameOf(client);
    if (!this.#shelves.has(name)) return undefined;
    const shelf = this.#shelfOf(name);
    const digest = toHex(requestSha256(request));
    const once = shelf.next.get(digest);
    const reply = once ?? shelf.stays.get(digest);
    if (once !== undefined) this.#drop(shelf.next, digest);
    else if (reply !== undefined) this.#put(shelf.stays, digest, reply);
    this.#dropIfEmpty(name, shelf);
    return reply;
  }

  /** The client asks for something that is not known: what was to come next does not come. */
  moveOn(client: Who): void {
    const name = nameOf(client);
    const shelf = this.#shelves.get(name);
    if (shelf === undefined) return;
    for (const digest of [...shelf.next.keys()]) this.#drop(shelf.next, digest);
    this.#dropIfEmpty(name, shelf);
  }

  clear(): void {
    this.#shelves.clear();
    this.#bytes = 0;
  }

  #shelfOf(name: string): Shelf {
    const shelf = this.#shelves.get(name) ?? { next: new Map(), stays: new Map() };
    this.#shelves.delete(name);
    this.#shelves.set(name, shelf);
    return shelf;
  }

  #dropIfEmpty(name: string, { next, stays }: Shelf): void {
    if (next.size + stays.size === 0) this.#shelves.delete(name);
  }

  #put(replies: Map<string, Uint8Array>, digest: string, reply: Uint8Array): void {
    this.#drop(replies, digest);
    replies.set(digest, reply);
    this.#bytes += reply.length + overhead;
  }

  #drop(replies: Map<string, Uint8Array>, digest: string): void {
    const reply = replies.get(digest);
    if (reply === undefined) return;
    replies.delete(digest);
    this.#bytes -= reply.length + overhead;
  }

  #dropOldest(replies: Map<string, Uint8Array>): void {
    const [oldest] = replies.keys();
    if (oldest !== undefined) this.#drop(replies, oldest);
  }

  /** The client's that was heard of longest ago; a flood ends with its own. */
  #dropLongestIdle(): void {
    const [oldest] = this.#shelves;
    if (oldest === undefined) return;
    const [name, { next, stays }] = oldest;
    for (const replies of [next, stays]) for (const digest of [...replies.keys()]) this.#drop(replies, digest);
    this.#shelves.delete(name);
  }
}
