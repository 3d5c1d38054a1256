/**
 * A socket between the stand-in for hsmd and the host that passes everything on as it is, and tells what passed: for
 * looking at the requests of a real node.
 */

import { connect, type Server, type Socket } from 'node:net';
import type { ClientIdentity } from '../proto/answer.ts';
import { calls } from '../proto/hsmd/calls.ts';
import { decodeMessage } from '../proto/hsmd/message.ts';
import { type Frame, FrameDecoder } from '../server/shim/frames.ts';
import { listenForShims } from '../server/shim_socket.ts';
import type { Exchange } from './demo_exchange.ts';
import { lightningd } from './recordings.ts';
import type { Outcome } from './replay_target.ts';

/** An exchange that nobody has compared yet. */
export type Passed = Omit<Exchange, 'expected'>;
export type OnPassed = (passed: Passed) => void;

/** A reply that passes a socket has the new client's number, a u32, before the message. */
const clientNumberLength = 4;

interface InFlight {
  readonly bytes: Uint8Array;
  readonly since: number;
}

/** Follows the frames of one stand-in. */
function follow(onPassed: OnPassed): (frame: Frame) => void {
  const clients = new Map<number, ClientIdentity>([[0, lightningd]]);
  const inFlight = new Map<number, InFlight>();

  function settle(conn: number, outcome: Outcome): void {
    const request = inFlight.get(conn);
    const client = clients.get(conn);
    if (request === undefined || client === undefined) return;
    inFlight.delete(conn);
    onPassed({ conn, client, bytes: request.bytes, outcome, milliseconds: performance.now() - request.since });
  }

  function opened(conn: number, payload: Uint8Array): void {
    const request = inFlight.get(conn);
    if (request === undefined) return;
    const { peerId, dbid, permissions } = decodeMessage(calls.clientHsmfd.request, request.bytes);
    const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
    clients.set(number, { nodeId: peerId, dbid, capabilities: permissions });
    settle(conn, payload.slice(clientNumberLength));
  }

  return ({ kind, conn, payload }) => {
    if (kind === 'request') inFlight.set(conn, { bytes: payload.slice(), since: performance.now() });
    else if (kind === 'reply') settle(conn, payload.slice());
    else if (kind === 'replyFd') opened(conn, payload);
    else if (kind === 'silent') settle(conn, 'silent');
    else if (kind === 'close') settle(conn, 'refused');
  };
}

/** Joins two sockets: what one sends the other gets, and they end together. */
function join(shim: Socket, host: Socket, onFrame: (frame: Frame) => void): void {
  for (const [from, to, side] of [
    [shim, host, 'shim'],
    [host, shim, 'host'],
  ] as const) {
    const decoder = new FrameDecoder(side);
    from.on('data', (chunk) => {
      for (const frame of decoder.push(chunk)) onFrame(frame);
    });
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}

/** Listens at `path` for stand-ins, each of which it connects to the host's socket. */
export async function openTap(path: string, hostSocket: string, onPassed: OnPassed): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: Server = await listenForShims(path, (shim) => {
    const host = connect(hostSocket);
    for (const socket of [shim, host]) sockets.add(socket.on('close', () => sockets.delete(socket)));
    join(shim, host, follow(onPassed));
  });
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
