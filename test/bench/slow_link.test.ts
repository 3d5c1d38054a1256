/** What the benchmarks' link does to bytes: it delays them, and nothing else, until it is cut. */

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { SlowLink, type SlowLinkOptions } from './slow_link.ts';

/** An echo behind a link; resolves to the link. */
async function echo(t: ExecutionContext, options: Omit<SlowLinkOptions, 'to'>, seen: Socket[] = []): Promise<SlowLink> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    seen.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port');
  const link = await SlowLink.open({ ...options, to: address.port });
  t.teardown(async () => {
    await link[Symbol.asyncDispose]();
    server.close();
  });
  return link;
}

async function client({ port }: SlowLink): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  socket.on('error', () => {});
  const bytes: Buffer[] = [];
  const inbox = { bytes, wake: () => {} };
  received.set(socket, inbox);
  socket.on('data', (chunk) => {
    bytes.push(chunk);
    inbox.wake();
  });
  return socket;
}

/** Resolves when a socket is gone, with what went wrong if something did. */
function gone(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let problem = 'nothing';
    socket.on('error', (error) => {
      problem = error.message;
    });
    socket.on('close', () => resolve(problem));
  });
}

/** What came on a client and nobody has taken. */
const received = new WeakMap<Socket, { bytes: Buffer[]; wake: () => void }>();

/** Everything that comes until there is so much of it. */
async function take(socket: Socket, length: number): Promise<Buffer> {
  const inbox = received.get(socket);
  if (inbox === undefined) throw new Error('expected a client of this test');
  const have = () => inbox.bytes.reduce((sum, bytes) => sum + bytes.length, 0);
  while (have() < length)
    await new Promise<void>((resolve) => {
      inbox.wake = resolve;
    });
  return Buffer.concat(inbox.bytes.splice(0));
}

test('bytes arrive unchanged and in order, however they are cut into pieces', async (t) => {
  const link = await echo(t, { rttMs: 6, jitterMs: 5 });
  const socket = await client(link);
  const sent = Buffer.from(Uint8Array.from({ length: 400_000 }, (_, i) => (i * 7919) >> 5));
  const back = take(socket, sent.length);
  for (let at = 0, size = 1; at < sent.length; at += size, size = (size * 3) % 40_009) {
    socket.write(sent.subarray(at, at + size));
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.true(sent.equals(await back));
  socket.end();
  await once(socket, 'close');
});

test('more than may be on its way waits, and arrives', async (t) => {
  const link = await echo(t, { rttMs: 20 });
  const socket = await client(link);
  const sent = Buffer.alloc(24 << 20, 'keyhold');
  const back = take(socket, sent.length);
  socket.end(sent);
  t.true(sent.equals(await back));
});

test('a round trip takes the time it is to take, and a new connection one more', async (t) => {
  const link = await echo(t, { rttMs: 80 });
  const connecting = performance.now();
  const socket = await client(link);
  const trip = async (from: number) => {
    socket.write('x');
    await take(socket, 1);
    return performance.now() - from;
  };
  const first = await trip(connecting);
  const second = await trip(performance.now());
  t.true(first >= 159, `the first took ${first} ms`);
  t.true(second >= 79, `the second took ${second} ms`);
  socket.destroy();
});

test('what is on its way at once takes one round trip together', async (t) => {
  const link = await echo(t, { rttMs: 60 });
  const socket = await client(link);
  socket.write('x');
  await take(socket, 1);
  const from = performance.now();
  for (let i = 0; i < 10; i++) {
    socket.write('y');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await take(socket, 10);
  t.true(performance.now() - from < 10 * 60);
  socket.destroy();
});

test('a cut is seen by both sides, and nobody connects until it is mended', async (t) => {
  const seen: Socket[] = [];
  const link = await echo(t, { rttMs: 10 }, seen);
  const socket = await client(link);
  socket.write('x');
  await take(socket, 1);
  const [server] = seen;
  if (server === undefined) throw new Error('expected a connection at the server');
  const both = [gone(socket), gone(server)];
  link.cut();
  for (const problem of await Promise.all(both)) t.regex(problem, /ECONNRESET/);

  t.regex(await gone(connect(link.port, '127.0.0.1')), /ECONNRESET/);
  t.is(seen.length, 1, 'it did not come through');

  link.mend();
  const again = await client(link);
  again.write('z');
  t.is(String(await take(again, 1)), 'z');
  again.destroy();
});

test('one side that goes takes the other with it', async (t) => {
  const seen: Socket[] = [];
  const link = await echo(t, { rttMs: 10 }, seen);
  const socket = await client(link);
  socket.write('x');
  await take(socket, 1);
  const ended = gone(socket);
  seen[0]?.resetAndDestroy();
  t.regex(await ended, /ECONNRESET/);
});

test('random cuts come and go', async (t) => {
  const link = await echo(t, { rttMs: 0, cuts: { everyMs: 30, forMs: 30 }, random: () => 0.5 });
  const outcomes = new Set<string>();
  for (let i = 0; i < 400 && outcomes.size < 2; i++) {
    const socket = connect(link.port, '127.0.0.1');
    socket.write('x');
    outcomes.add(
      await once(socket, 'data').then(
        () => 'carried',
        () => 'cut',
      ),
    );
    socket.destroy();
  }
  t.deepEqual([...outcomes].sort(), ['carried', 'cut']);
});
