/** What the stand-in does for a host that comes later, or comes back. */

import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import {
  type Attached,
  bytes,
  FakeHost,
  type Lightningd,
  startLightningd,
  temporaryDirectory,
  text,
} from './lightningd.ts';

/** Has lightningd ask for a client, which gets this number. */
async function addClient({ request }: Lightningd, { connection, next }: Attached, client: number): Promise<void> {
  request.send(bytes('client?'));
  await next();
  connection.replyFd(0, client, bytes('here'));
  await request.message();
  await request.bytes(1);
}

test('waits for a host that is not there yet, and says so once', async (t) => {
  const directory = temporaryDirectory();
  const lightningd = startLightningd(t, { directory });
  lightningd.request.send(bytes('early'));
  while (!lightningd.stderr().includes('\n')) await new Promise((resolve) => setTimeout(resolve, 10));
  await new Promise((resolve) => setTimeout(resolve, 200)); // a few more tries
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { connection, next } = await host.shim();
  t.is(await next(), 'request 0 early');
  connection.reply(0, bytes('answer'));
  t.is(text(await lightningd.request.message()), 'answer');
  const lines = lightningd.stderr().split('\n');
  t.regex(lines[0] ?? '', /^keyhold-hsmd: no host at \.\/keyhold\.sock \(No such file or directory\)/);
  t.deepEqual(lines.slice(1), ['keyhold-hsmd: connected to the host at ./keyhold.sock', '']);
});

test('ends with status 2 when lightningd does while there is no host', async (t) => {
  const { request, exit } = startLightningd(t);
  request.send(bytes('early'));
  request.close();
  t.is(await exit, 2);
});

test('repeats to the next host what is in flight, and not what was settled', async (t) => {
  const directory = temporaryDirectory();
  const path = join(directory, 'keyhold.sock');
  const first = await FakeHost.listen(t, path);
  const lightningd = startLightningd(t, { directory, clients: 2 });
  const { request, clients } = lightningd;
  const before = await first.shim();
  for (const client of [3, 9]) await addClient(lightningd, before, client);
  clients[0]?.send(bytes('open'));
  t.is(await before.next(), 'request 3 open');
  clients[1]?.send(bytes('settled'));
  t.is(await before.next(), 'request 9 settled');
  before.connection.reply(9, bytes('done'));
  t.is(text((await clients[1]?.message()) ?? bytes('')), 'done');
  request.send(bytes('master'));
  t.is(await before.next(), 'request 0 master');
  await first.stop();

  const second = await FakeHost.listen(t, path);
  const after = await second.shim();
  t.deepEqual(after.connection.hello.clients, [3, 9]);
  t.deepEqual([await after.next(), await after.next()], ['request 0 master', 'request 3 open']);
  after.connection.reply(3, bytes('late'));
  t.is(text((await clients[0]?.message()) ?? bytes('')), 'late');
  after.connection.reply(0, bytes('later'));
  t.is(text(await request.message()), 'later');
  await addClient(lightningd, after, 10);
  clients[1]?.send(bytes('more'));
  t.is(await after.next(), 'request 9 more');
});

test('brings back what the host gave it to keep, the last of it', async (t) => {
  const directory = temporaryDirectory();
  const path = join(directory, 'keyhold.sock');
  const first = await FakeHost.listen(t, path);
  const { request, stderr } = startLightningd(t, { directory });
  const before = await first.shim();
  before.connection.keep(bytes('one'));
  before.connection.keep(bytes('the second'));
  request.send(bytes('init'));
  await before.next();
  before.connection.reply(0, bytes('answer'));
  await request.message();
  await first.stop();

  const second = await FakeHost.listen(t, path);
  const { hello } = (await second.shim()).connection;
  t.is(text(hello.kept), 'the second');
  await second.stop();
  const third = await FakeHost.listen(t, path);
  t.is(text((await third.shim()).connection.hello.kept), 'the second');
  t.false(stderr().includes('sent'));
});

test('does not tell the next host of a client that closed in between', async (t) => {
  const directory = temporaryDirectory();
  const path = join(directory, 'keyhold.sock');
  const first = await FakeHost.listen(t, path);
  const lightningd = startLightningd(t, { directory, clients: 2 });
  const before = await first.shim();
  for (const client of [1, 2]) await addClient(lightningd, before, client);
  lightningd.clients[1]?.send(bytes('question'));
  await before.next();
  await first.stop();
  lightningd.clients[0]?.close();
  await new Promise((resolve) => setTimeout(resolve, 20));

  const second = await FakeHost.listen(t, path);
  const after = await second.shim();
  t.deepEqual(after.connection.hello.clients, [2]);
  t.is(await after.next(), 'request 2 question');
});

test('takes a half-written answer of a dead host for none', async (t) => {
  const directory = temporaryDirectory();
  const path = join(directory, 'keyhold.sock');
  const first = await FakeHost.listen(t, path);
  const { request } = startLightningd(t, { directory });
  const socket = await first.socket();
  request.send(bytes('question'));
  socket.end(Uint8Array.of(0, 0, 0, 20, 4, 0, 0, 0, 0, 1, 2, 3));
  await first.stop();
  const second = await FakeHost.listen(t, path);
  const { connection, next } = await second.shim();
  t.is(await next(), 'request 0 question');
  connection.reply(0, bytes('whole'));
  t.is(text(await request.message()), 'whole');
});

test('finds a host by a path longer than a socket address', async (t) => {
  const directory = temporaryDirectory();
  const deep = join(directory, 'a'.repeat(60), 'b'.repeat(60));
  mkdirSync(deep, { recursive: true });
  // Node cuts such a path, so it is given a descriptor's name.
  const opened = openSync(deep, 'r');
  t.teardown(() => closeSync(opened));
  const host = await FakeHost.listen(t, `/proc/self/fd/${opened}/keyhold.sock`);
  startLightningd(t, { directory, env: { KEYHOLD_SOCKET: join(deep, 'keyhold.sock'), KEYHOLD_NODE: 'deep' } });
  t.is((await host.shim()).connection.hello.node, 'deep');
});
