// The unix sockets that shims connect to. Whoever can open one is that node's lightningd for us, so only the host's own
// user may.

import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** When a host starts again, all its shims come at once. */
const backlog = 4096;

/** Whether somebody answers at a socket. */
async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Removes what a host that was killed left at this path. Throws where it is in use or no socket. */
async function makeRoom(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`expected a socket or nothing at ${path}, found a file: move it away`);
  if (await answers(path)) throw new Error(`another host listens at ${path}: stop it, or give this one another path`);
  await unlink(path);
}

/** Listens at a path, readable and writable by this user alone (0600). */
export async function listenForShims(path: string, onShim: (socket: Socket) => void): Promise<Server> {
  await makeRoom(path);
  const server = createServer(onShim);
  server.listen({ path, backlog });
  // The socket is there already, and nobody has been accepted yet.
  if (server.listening) chmodSync(path, 0o600);
  await once(server, 'listening');
  return server;
}
