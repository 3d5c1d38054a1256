/** The stand-in for lightning_hsmd, from both of its sides: a lightningd and a host that are played here. */

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { equalBytes } from '../../proto/bytes.ts';
import { bytes, FakeHost, noise, shim, startLightningd, temporaryDirectory, text } from './lightningd.ts';

const { PATH, KEYHOLD_TEST_SHIM } = process.env;
const source = fileURLToPath(new URL('../../../server/shim/keyhold-hsmd.c', import.meta.url));

for (const defines of [[], ['-DKEYHOLD_INLINE']]) {
  test(`compiles without a warning ${defines.join(' ')}`, (t) => {
    const strict = ['-std=c11', '-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Werror', '-fsyntax-only', ...defines];
    t.is(spawnSync('cc', [...strict, source], { encoding: 'utf8' }).stderr, '');
  });
}

test('--version prints the version of the program that started it', (t) => {
  const [program, ...args] = shim;
  const { stdout, status } = spawnSync(program, [...args, '--version'], { encoding: 'utf8' });
  t.is(stdout, `${process.version}\n`);
  t.is(status, 0);
});

test('--version prints what the environment says where the starting program cannot be run again', (t) => {
  const directory = temporaryDirectory();
  t.teardown(() => rmSync(directory, { recursive: true }));
  const parent = join(directory, 'sh');
  copyFileSync('/bin/sh', parent);
  chmodSync(parent, 0o755);
  const script = `chmod 000 "$0"; ${shim.join(' ')} --version; exit $?`;
  const run = (env: Record<string, string>) => {
    chmodSync(parent, 0o755);
    return spawnSync(parent, ['-c', script, parent], { encoding: 'utf8', env: { PATH, ...env } });
  };
  const told = run({ KEYHOLD_LIGHTNINGD_VERSION: 'v26.06.6' });
  t.is(told.stdout, 'v26.06.6\n');
  t.is(told.status, 0);
  const untold = run({});
  t.regex(untold.stderr, /Permission denied.*set KEYHOLD_LIGHTNINGD_VERSION/);
  t.is(untold.status, 1);
});

test('started by hand it says who is to start it', (t) => {
  const [program, ...args] = shim;
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  t.regex(stderr, /fd 3 is not a socket.*lightningd starts this program/);
  t.is(status, 1);
});

test('says what it is when it connects', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  startLightningd(t, {
    directory,
    args: ['--log-io', '--developer'],
    env: { KEYHOLD_NODE: 'alice', KEYHOLD_LIGHTNINGD_VERSION: 'v26.06.6' },
  });
  const { hello } = (await host.shim()).connection;
  t.deepEqual(
    { ...hello, kept: [...hello.kept] },
    {
      developer: true,
      node: 'alice',
      lightningd: 'v26.06.6',
      clients: [],
      kept: [],
    },
  );
});

test('is called node, and finds the host at KEYHOLD_SOCKET', async (t) => {
  const directory = temporaryDirectory();
  const path = join(directory, 'other.sock');
  const host = await FakeHost.listen(t, path);
  startLightningd(t, { directory, env: { KEYHOLD_SOCKET: path } });
  const { hello } = (await host.shim()).connection;
  t.is(hello.node, 'node');
  t.false(hello.developer);
});

test('carries requests to the host and its replies back, one at a time', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { request } = startLightningd(t, { directory });
  const { connection, next } = await host.shim();
  request.send(bytes('first'));
  request.send(bytes('second'));
  t.is(await next(), 'request 0 first');
  const second = next();
  t.is(await Promise.race([second, new Promise((resolve) => setTimeout(resolve, 50, 'nothing yet'))]), 'nothing yet');
  connection.reply(0, bytes('answer'));
  t.is(text(await request.message()), 'answer');
  t.is(await second, 'request 0 second');
  connection.reply(0, new Uint8Array());
  t.is((await request.message()).length, 0);
});

test('goes on after a request that has no reply, and after an empty one', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { request } = startLightningd(t, { directory });
  const { connection, next } = await host.shim();
  request.send(bytes('preinit'));
  request.send(new Uint8Array());
  t.is(await next(), 'request 0 preinit');
  connection.silent(0);
  t.is(await next(), 'request 0 ');
  connection.reply(0, bytes('answer'));
  t.is(text(await request.message()), 'answer');
});

test('carries messages of a megabyte, and a request that comes one byte at a time', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { request } = startLightningd(t, { directory });
  const { connection } = await host.shim();
  const events = connection.events();
  const large = noise(1 << 20);
  request.send(large);
  const event = (await events.next()).value;
  t.true(event?.kind === 'request' && equalBytes(event.message, large));
  connection.reply(0, large);
  t.true(equalBytes(await request.message(), large));
  for (const byte of [0, 0, 0, 3, 97, 98, 99]) {
    request.raw(Uint8Array.of(byte));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const slow = (await events.next()).value;
  t.is(slow?.kind === 'request' ? text(slow.message) : '', 'abc');
});

test('passes a new client its socket behind the reply, and serves it', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { request, clients, exit } = startLightningd(t, { directory, clients: 1 });
  const { connection, next } = await host.shim();
  request.send(bytes('client?'));
  t.is(await next(), 'request 0 client?');
  connection.replyFd(0, 7, bytes('here'));
  t.is(text(await request.message()), 'here');
  t.deepEqual([...(await request.bytes(1))], [0]);
  const [client] = clients;
  client?.send(bytes('hello'));
  t.is(await next(), 'request 7 hello');
  request.send(bytes('meanwhile'));
  t.is(await next(), 'request 0 meanwhile');
  connection.reply(7, bytes('world'));
  t.is(text((await client?.message()) ?? bytes('')), 'world');
  client?.close();
  t.is(await next(), 'closed 7');
  request.close();
  t.is(await exit, 2); // 99 would say that the passed end does not block
});

test('closes a client when the host says so, its request settled or not', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { request, clients } = startLightningd(t, { directory, clients: 2 });
  const { connection, next } = await host.shim();
  for (const client of [1, 2]) {
    request.send(bytes('client?'));
    await next();
    connection.replyFd(0, client, bytes('here'));
    await request.message();
    await request.bytes(1);
  }
  clients[0]?.send(bytes('bad'));
  t.is(await next(), 'request 1 bad');
  connection.close(1);
  connection.close(2);
  t.true(await clients[0]?.ends());
  t.true(await clients[1]?.ends());
  request.send(bytes('still here'));
  t.is(await next(), 'request 0 still here');
});

test('reports a client that goes away with a request in flight, and takes the late answer', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { request, clients, stderr } = startLightningd(t, { directory, clients: 1 });
  const { connection, next } = await host.shim();
  request.send(bytes('client?'));
  await next();
  connection.replyFd(0, 1, bytes('here'));
  await request.message();
  await request.bytes(1);
  clients[0]?.send(bytes('question'));
  t.is(await next(), 'request 1 question');
  clients[0]?.close();
  t.is(await next(), 'closed 1');
  connection.reply(1, bytes('too late'));
  connection.close(1);
  request.send(bytes('still here'));
  t.is(await next(), 'request 0 still here');
  t.is(stderr(), '');
});

test('carries status messages to fd 0, also the last ones before it ends with status 1', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { request, status, exit } = startLightningd(t, { directory });
  const { connection, next } = await host.shim();
  connection.status(bytes('a log line'));
  t.is(text(await status.message()), 'a log line');
  request.send(bytes('bad'));
  await next();
  const long = noise(500_000);
  connection.status(long);
  connection.status(bytes('the last words'));
  connection.close(0);
  t.true(equalBytes(await status.message(), long));
  t.is(text(await status.message()), 'the last words');
  t.is(await exit, 1);
});

test('ends with status 2 when lightningd closes its socket, also with a request in flight', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { request, exit } = startLightningd(t, { directory });
  const { next } = await host.shim();
  request.send(bytes('never answered'));
  await next();
  request.close();
  t.is(await exit, 2);
  t.is(await next(), 'gone');
});

test('serves two hundred clients at once', async (t) => {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const count = 200;
  const { request, clients } = startLightningd(t, { directory, clients: count });
  const { connection, next } = await host.shim();
  for (let client = 1; client <= count; client++) {
    request.send(bytes('client?'));
    await next();
    connection.replyFd(0, client, bytes('here'));
    await request.message();
    await request.bytes(1);
  }
  clients.forEach((client, i) => {
    client.send(bytes(`question ${i + 1}`));
  });
  const asked = new Set<string>();
  for (let i = 0; i < count; i++) asked.add(await next());
  t.is(asked.size, count);
  for (let client = 1; client <= count; client++) {
    t.true(asked.has(`request ${client} question ${client}`));
    connection.reply(client, bytes(`answer ${client}`));
  }
  const answers = await Promise.all(clients.map((client) => client.message()));
  t.deepEqual(
    answers.map(text),
    clients.map((_, i) => `answer ${i + 1}`),
  );
});

test('takes less than 1.5 MB, and gives back what large messages took', async (t) => {
  if (KEYHOLD_TEST_SHIM !== undefined) {
    t.pass('another build has other measures');
    return;
  }
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  const { request, child } = startLightningd(t, { directory });
  const { connection, next } = await host.shim();
  for (const size of [10, 100_000, 5_000_000, 200_000]) {
    request.send(new Uint8Array(size));
    await next();
    connection.keep(new Uint8Array(1000));
    connection.reply(0, new Uint8Array(size));
    await request.message();
  }
  const pid = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
  const resident = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  t.true(Number(resident) < 1500, `${resident} kB`);
});
