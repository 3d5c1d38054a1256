/**
 * The unix socket on which a running signer hears its owner: one line of JSON asks, one answers. It stands in the
 * signer's state folder, which only its owner may enter, and is itself for its owner only.
 */

import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { UsageError } from './command.ts';

const longestLine = 65_536;
const patienceMs = 5_000;

/** A request that cannot be carried out; its message goes back to whoever asked. */
export class OwnerRequestError extends Error {
  override readonly name = 'OwnerRequestError';
}

/** Serves requests until disposed of. A socket that nobody answers at is a dead signer's. @throws UsageError for a living one's */
export async function listenForOwner(path: string, serve: (request: unknown) => unknown): Promise<AsyncDisposable> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await chmod(dirname(path), 0o700);
  if (await answers(path))
    throw new UsageError(
      `another signer listens at ${path}: stop that one first, or give this one a --state of its own`,
    );
  const arriving = `${path}.new`;
  await rm(arriving, { force: true });
  const server = createServer((connection) => void answer(connection, serve));
  await listening(server, arriving);
  await chmod(arriving, 0o600);
  await rename(arriving, path);
  return {
    async [Symbol.asyncDispose]() {
      await rm(path, { force: true });
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(path);
    connection.once('error', () => resolve(false));
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
  });
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject).unref();
      resolve();
    });
  });
}

async function answer(connection: Socket, serve: (request: unknown) => unknown): Promise<void> {
  connection.setTimeout(patienceMs, () => connection.destroy());
  try {
    const line = await lineOf(connection);
    connection.end(`${JSON.stringify(served(line, serve))}\n`);
  } catch {
    connection.destroy();
  }
}

function served(line: string, serve: (request: unknown) => unknown): unknown {
  try {
    const request: unknown = JSON.parse(line);
    return serve(request);
  } catch (error: unknown) {
    if (error instanceof OwnerRequestError) return { error: error.message };
    if (error instanceof SyntaxError) return { error: 'expected one line of JSON' };
    throw error;
  }
}

/** What comes before the first newline. */
function lineOf(connection: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    connection.setEncoding('utf8');
    connection.on('error', reject);
    connection.on('close', () => reject(new Error('closed before the end of its line')));
    connection.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > longestLine) reject(new Error('a line that is too long'));
    });
  });
}

/** Asks the signer that listens on this socket. @throws UsageError where none does, or it says what is wrong */
export async function askSigner(path: string, request: unknown): Promise<unknown> {
  const connection = createConnection(path);
  connection.setTimeout(patienceMs, () => connection.destroy());
  try {
    connection.write(`${JSON.stringify(request)}\n`);
    const reply: unknown = JSON.parse(await lineOf(connection));
    if (typeof reply === 'object' && reply !== null && 'error' in reply) throw new UsageError(String(reply.error));
    return reply;
  } catch (error: unknown) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Error ? error.message : 'unknown error';
    throw new UsageError(
      `no signer with a policy listens at ${path} (${reason}): is it running here, and is its folder what --dir or --state says?`,
    );
  } finally {
    connection.destroy();
  }
}
