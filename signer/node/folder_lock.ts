/**
 * Keeps two signers from opening the same folder, or two hosts the same journal. A lock is a unix socket that its holder
 * listens on: the kernel itself knows whether the holder lives, also one in another container, and a dead one's leaves
 * nothing to wait for. Each opener puts down a socket with a name of its own and then looks for others; a name is never
 * used twice, so clearing a dead one away cannot hit a living one.
 */

import { readdir, rename, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { toHex } from '../../proto/bytes.ts';
import type { Entropy } from '../crypto/secp.ts';
import { StoreError } from '../store/store.ts';

const prefix = 'lock-';
/** What fits into a socket's address on every system. */
const longestPath = 103;

/** Whose folders they are, for the words of an error. */
export interface Holder {
  readonly name: string;
  readonly why: string;
}

const signer: Holder = { name: 'signer', why: 'one state serves one signer' };

/** Holds the folder until disposed of. @throws StoreError where another process holds it, or is opening it now */
export async function lockFolder(folder: string, entropy: Entropy, holder = signer): Promise<AsyncDisposable> {
  const name = toHex(entropy(6));
  const path = join(folder, `${prefix}${name}`);
  if (Buffer.byteLength(path) > longestPath)
    throw new StoreError(
      `expected a folder whose path leaves room for a socket (${longestPath} bytes), got ${folder}: choose a shorter one`,
    );
  // Under its lasting name a socket is visible only once it listens: from then on a refused connection means a dead holder.
  const arriving = join(folder, `new-${name}`);
  const server = await listen(arriving);
  const lock: AsyncDisposable = {
    async [Symbol.asyncDispose]() {
      await rm(path, { force: true });
      await new Promise((resolve) => server.close(resolve));
    },
  };
  try {
    await rename(arriving, path);
    for (const other of await readdir(folder)) {
      const theirs = join(folder, other);
      if (!other.startsWith(prefix) || theirs === path) continue;
      if (await answers(theirs))
        throw new StoreError(
          `${folder} is open in another ${holder.name} (${other}): stop that one first; ${holder.why}`,
        );
      await rm(theirs, { force: true });
    }
    return lock;
  } catch (error: unknown) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.once('error', (cause) => {
      reject(
        new StoreError(
          `cannot hold ${path} (${cause.message}): it needs a folder on a file system that can hold sockets`,
          { cause },
        ),
      );
    });
    server.listen(path, () => resolve(server.unref()));
  });
}

/** Whether somebody listens there; in doubt, yes. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(path);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', (error) => {
      resolve(!('code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT')));
    });
  });
}
