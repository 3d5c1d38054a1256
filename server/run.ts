/**
 * One connection of a shim: lightningd's own socket and its clients' as conns, each with a lane of the relay. It turns
 * requests into answers and answers into frames, makes the clients that lightningd asks for, and leaves with the shim
 * what the next host needs.
 */

import type { Answer, ClientIdentity } from '../proto/answer.ts';
import { toHex } from '../proto/bytes.ts';
import type { Entropy } from '../proto/entropy.ts';
import { calls, hsmdName } from '../proto/hsmd/calls.ts';
import { WireError } from '../proto/hsmd/codec.ts';
import { callOf, decodeMessage, encodeReply } from '../proto/hsmd/message.ts';
import { errorText, type Log } from '../proto/log.ts';
import { decodeKept, encodeKept, type Kept, nothingKept } from './kept.ts';
import type { Lane } from './lane.ts';
import { isNodeId, ownAnswer } from './own_answer.ts';
import { refusalReply } from './refusal.ts';
import { lightningd, type Relay } from './relay.ts';
import type { ShimConnection } from './shim/connection.ts';
import { badRequest, statusLine } from './status_line.ts';

/** hsmd holds lightningd and two more without a channel; a fourth ends it. */
const MOST_WITHOUT_CHANNEL = 2;

export interface RunParts {
  readonly shim: ShimConnection;
  readonly relay: Relay;
  readonly entropy: Entropy;
  readonly log: Log;
}

interface Conn {
  readonly number: number;
  readonly lane: Lane;
  readonly closed: AbortController;
}

export class Run {
  readonly #parts: RunParts;
  readonly #conns = new Map<number, Conn>();
  #kept: Kept;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#kept = this.#resume();
    parts.relay.onOverruled = ({ nodeId, dbid }, request, reason) => {
      const text = `${nameOf(request)} of channel ${dbid}: the signer refuses what it was to confirm: ${reason}`;
      parts.shim.status(statusLine('broken', text, nodeId));
    };
  }

  /** Every conn and who is behind it. */
  conns(): readonly { readonly number: number; readonly client: ClientIdentity }[] {
    return [...this.#conns.values()].map(({ number, lane }) => ({ number, client: lane.client }));
  }

  /** Serves the shim until it is gone. Throws `WireError` where it is no shim. */
  async serve(): Promise<void> {
    try {
      for await (const event of this.#parts.shim.events()) {
        const conn = this.#conns.get(event.conn);
        if (conn === undefined) continue;
        if (event.kind === 'closed') this.#forget(conn);
        else this.#request(conn, Uint8Array.from(event.message));
      }
    } finally {
      for (const conn of this.#conns.values()) this.#forget(conn);
    }
  }

  /** Takes up what an earlier host left: lightningd's start, and the clients whose sockets are still open. */
  #resume(): Kept {
    const { shim, relay, log } = this.#parts;
    let kept = nothingKept;
    try {
      kept = decodeKept(shim.hello.kept);
    } catch (error: unknown) {
      log('error', 'what an earlier host left cannot be read', { problem: errorText(error) });
    }
    relay.restart(kept.start);
    if (kept.preinit !== undefined) relay.preinit = kept.preinit;
    this.#open(0, lightningd);
    const open = new Set(shim.hello.clients);
    const clients = kept.clients.filter(({ conn }) => open.delete(conn));
    for (const client of clients) this.#open(client.conn, client);
    for (const unknown of open) shim.close(unknown);
    return { ...kept, clients };
  }

  #open(number: number, client: ClientIdentity): void {
    this.#conns.set(number, { number, lane: this.#parts.relay.openLane(client), closed: new AbortController() });
  }

  #forget(conn: Conn): void {
    this.#conns.delete(conn.number);
    conn.closed.abort();
    if (conn.number !== 0)
      this.#kept = { ...this.#kept, clients: this.#kept.clients.filter((c) => c.conn !== conn.number) };
  }

  #keep(change: Partial<Kept>): void {
    this.#kept = { ...this.#kept, ...change };
    this.#parts.shim.keep(encodeKept(this.#kept));
  }

  #request(conn: Conn, bytes: Uint8Array): void {
    this.#answer(conn, bytes).then(
      (answer) => {
        if (answer !== undefined && !conn.closed.signal.aborted) this.#carryOut(conn, bytes, answer);
      },
      (error: unknown) => {
        if (conn.closed.signal.aborted) return;
        this.#parts.log('error', 'request failed in the host', { conn: conn.number, error: errorText(error) });
        this.#end(conn);
      },
    );
  }

  /** The answer to a request; undefined where it has been carried out already. */
  async #answer(conn: Conn, bytes: Uint8Array): Promise<Answer | undefined> {
    const { relay, shim } = this.#parts;
    const own = ownAnswer(conn.lane.client, conn.number === 0, bytes, shim.hello.developer);
    const call = callOf(bytes);
    if (own === undefined && call !== 'clientHsmfd') return relay.ask(conn.lane, bytes, conn.closed.signal);
    relay.trace?.(conn.lane, bytes)?.answered(own?.kind === 'malformed' ? 'malformed' : 'host');
    if (own?.kind !== 'malformed') relay.counts.local += 1;
    if (own?.kind === 'silent') {
      relay.preinit = bytes;
      this.#keep({ preinit: bytes });
    }
    return own ?? this.#newClient(bytes);
  }

  /** `hsmd_client_hsmfd`: a socket for a new client. */
  #newClient(bytes: Uint8Array): Answer | undefined {
    try {
      const { peerId, dbid, permissions } = decodeMessage(calls.clientHsmfd.request, bytes);
      if (!isNodeId(peerId)) return { kind: 'malformed', message: `expected a node id, got ${toHex(peerId)}` };
      const withoutChannel = this.#kept.withoutChannel + (dbid === 0n ? 1 : 0);
      if (withoutChannel > MOST_WITHOUT_CHANNEL)
        return { kind: 'malformed', message: `expected at most ${MOST_WITHOUT_CHANNEL} clients without a channel` };
      this.#replace(dbid);
      const client = { nodeId: peerId, dbid, capabilities: permissions };
      const number = this.#kept.nextConn;
      this.#open(number, client);
      this.#keep({
        withoutChannel,
        nextConn: number + 1,
        clients: [...this.#kept.clients, { conn: number, ...client }],
      });
      this.#parts.shim.replyFd(0, number, encodeReply('clientHsmfd', {}));
      return undefined;
    } catch (error: unknown) {
      if (error instanceof WireError) return { kind: 'malformed', message: error.message };
      throw error;
    }
  }

  /** A channel has one client: a new one closes the older. */
  #replace(dbid: bigint): void {
    if (dbid === 0n) return;
    for (const conn of this.#conns.values()) {
      if (conn.number === 0 || conn.lane.client.dbid !== dbid) continue;
      this.#parts.shim.close(conn.number);
      this.#forget(conn);
    }
  }

  #carryOut(conn: Conn, bytes: Uint8Array, answer: Answer): void {
    const { shim, relay } = this.#parts;
    switch (answer.kind) {
      case 'silent':
        shim.silent(conn.number);
        break;
      case 'reply':
        if (relay.start !== this.#kept.start) this.#keep({ start: relay.start, preinit: undefined });
        shim.reply(conn.number, answer.bytes);
        break;
      case 'malformed':
        this.#say(conn, bytes, 'broken', answer.message);
        this.#end(conn, badRequest(conn.lane.client.nodeId, answer.message, bytes));
        break;
      case 'refused':
        this.#refuse(conn, bytes, `refused by the signer: ${answer.message} (${answer.tag})`);
        break;
      case 'unavailable':
        this.#refuse(conn, bytes, `no answer: ${answer.message}`);
        break;
    }
  }

  /** Says no in the form that hurts the node least. */
  #refuse(conn: Conn, bytes: Uint8Array, reason: string): void {
    const { shim, entropy } = this.#parts;
    const { client } = conn.lane;
    const call = callOf(bytes);
    const reply = call && refusalReply(call, client, { request: bytes, reason, entropy });
    this.#say(conn, bytes, reply === undefined && conn.number === 0 ? 'broken' : 'unusual', reason);
    if (reply !== undefined) shim.reply(conn.number, reply);
    else this.#end(conn, badRequest(client.nodeId, reason, bytes));
  }

  /** Tells lightningd's log and our own what happened to a request. */
  #say(conn: Conn, bytes: Uint8Array, level: 'unusual' | 'broken', reason: string): void {
    const { shim, log } = this.#parts;
    const { nodeId, dbid } = conn.lane.client;
    const call = nameOf(bytes);
    shim.status(statusLine(level, `${call}: ${reason}`, conn.number === 0 ? undefined : nodeId));
    log('warn', 'request not served', { call, reason, conn: conn.number, dbid });
  }

  /** Closes a conn as hsmd does; for lightningd's own that is the end of hsmd. */
  #end(conn: Conn, status?: Uint8Array): void {
    const { shim } = this.#parts;
    if (conn.number !== 0 && status !== undefined) shim.status(status);
    shim.close(conn.number);
    this.#forget(conn);
  }
}

/** hsmd's name of a request, for people. */
function nameOf(request: Uint8Array): string {
  const call = callOf(request);
  return call === undefined ? 'a request' : hsmdName(call);
}
