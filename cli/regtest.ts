/** A regtest: a chain of its own and lightningd nodes on it, for demos and tests; here what both drivers need. */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How often is looked if not said, and for how long at most, in milliseconds. */
const usualMs = 100;
const longestMs = 60_000;

/** Looks again and again until there is something; throws the signal's reason, or after a minute what was waited for. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  signal: AbortSignal,
  everyMs = usualMs,
): Promise<T> {
  const end = performance.now() + longestMs;
  for (;;) {
    signal.throwIfAborted();
    const found = await look().catch((error: unknown) => {
      signal.throwIfAborted(); // what failed because of that is not the reason
      throw error;
    });
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited ${longestMs / 1000} s for ${what}`);
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

/** A TCP port of the loopback address that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port');
  return address.port;
}
