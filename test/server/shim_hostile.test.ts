/** Broken and hostile peers of the stand-in: it never ends because of its host, and never because of a client. */

import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { concat, equalBytes } from '../../proto/bytes.ts';
import { encodeFrame, type Kind, kinds, messageLimit } from '../../server/shim/frames.ts';
import {
  bytes,
  FakeHost,
  type Lightningd,
  length,
  noise,
  startLightningd,
  temporaryDirectory,
  text,
} from './lightningd.ts';

async function start(t: ExecutionContext, clients = 0): Promise<{ host: FakeHost; lightningd: Lightningd }> {
  const directory = temporaryDirectory();
  const host = await FakeHost.listen(t, join(directory, 'keyhold.sock'));
  return { host, lightningd: startLightningd(t, { directory, clients }) };
}

/** A request goes through: the stand-in lives and has a host. */
async function works(t: ExecutionContext, host: FakeHost, { request }: Lightningd): Promise<void> {
  const { connection, next } = await host.shim();
  t.is(await next(), 'request 0 question');
  connection.reply(0, bytes('answer'));
  t.is(text(await request.message()), 'answer');
}

const frame = (kind: Kind, conn: number, ...parts: Uint8Array[]) => encodeFrame(kind, conn, ...parts);
const header = (announced: number, kind: number) => concat(length(announced), Uint8Array.of(kind), length(0));

const garbage: readonly (readonly [what: string, sent: Uint8Array, said: RegExp])[] = [
  ['a kind that does not exist', header(5, 200), /unknown kind .*kind 200/],
  ['a kind that only the stand-in sends', header(5, kinds.request.code), /unknown kind/],
  ['a frame too short for its header', header(4, kinds.reply.code), /impossible length .*length 4/],
  ['a frame of 4 GB', header(0xffffffff, kinds.reply.code), /impossible length .*length 4294967295/],
  ['a reply to a conn that was never opened', frame('reply', 5, bytes('x')), /never opened .*conn 5/],
  ['a close of a conn that was never opened', frame('close', 5), /never opened/],
  ['a second reply', concat(frame('silent', 0), frame('reply', 0, bytes('x'))), /no request in flight/],
  ['a new client without its number', frame('replyFd', 0, Uint8Array.of(0, 0)), /without its new conn/],
  ['a new client with number 0', frame('replyFd', 0, length(0)), /in use/],
];

for (const [what, sent, said] of garbage) {
  test(`drops a host that sends ${what}, and finds it again`, async (t) => {
    const { host, lightningd } = await start(t);
    const socket = await host.socket();
    lightningd.request.send(bytes('question'));
    await new Promise((resolve) => socket.once('data', resolve));
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.write(sent);
    if (what === 'a second reply') lightningd.request.send(bytes('question'));
    await works(t, host, lightningd);
    t.regex(lightningd.stderr(), said);
    t.is(lightningd.stderr().split('\n').length, 2);
  });
}

test('survives random bytes from the host, and says each fault once', async (t) => {
  const { host, lightningd } = await start(t);
  lightningd.request.send(bytes('question'));
  for (let seed = 0; seed < 6; seed++) {
    const socket = await host.socket();
    socket.resume();
    const junk = noise(4000, seed);
    junk.set([0, 0, 0]);
    socket.write(junk);
    await new Promise((resolve) => socket.once('close', resolve));
  }
  await works(t, host, lightningd);
  t.true(lightningd.stderr().split('\n').length <= 6);
});

test('survives a frame cut anywhere', async (t) => {
  const { host, lightningd } = await start(t);
  lightningd.request.send(bytes('question'));
  const whole = frame('reply', 0, bytes('answer'));
  for (const at of [3, 5, 9, whole.length - 1]) {
    const socket = await host.socket();
    socket.end(whole.subarray(0, at));
  }
  await works(t, host, lightningd);
  t.is(lightningd.stderr(), '');
});

test('reads the host one byte at a time', async (t) => {
  const { host, lightningd } = await start(t);
  const socket = await host.socket();
  lightningd.request.send(bytes('question'));
  await new Promise((resolve) => socket.once('data', resolve));
  for (const byte of concat(frame('keep', 0, bytes('k')), frame('reply', 0, bytes('answer')))) {
    socket.write(Uint8Array.of(byte));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.is(text(await lightningd.request.message()), 'answer');
});

/** Has lightningd get this many clients, numbered from 1. */
async function addClients(host: FakeHost, { request, clients }: Lightningd) {
  const attached = await host.shim();
  for (let client = 1; client <= clients.length; client++) {
    request.send(bytes('client?'));
    await attached.next();
    attached.connection.replyFd(0, client, bytes('here'));
    await request.message();
    await request.bytes(1);
  }
  return attached;
}

for (const announced of [messageLimit, 0xffffffff]) {
  test(`closes a client that announces ${announced} bytes`, async (t) => {
    const { host, lightningd } = await start(t, 1);
    const { next } = await addClients(host, lightningd);
    lightningd.clients[0]?.raw(length(announced));
    t.is(await next(), 'closed 1');
    t.true(await lightningd.clients[0]?.ends());
    lightningd.request.send(bytes('still here'));
    t.is(await next(), 'request 0 still here');
  });

  test(`ends with status 2, as hsmd does, when lightningd announces ${announced} bytes`, async (t) => {
    const { lightningd } = await start(t);
    lightningd.request.raw(length(announced));
    t.is(await lightningd.exit, 2);
  });
}

test('takes a client that goes away in the middle of a message for closed', async (t) => {
  const { host, lightningd } = await start(t, 1);
  const { next } = await addClients(host, lightningd);
  lightningd.clients[0]?.raw(length(messageLimit - 1), bytes('not all of it'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  lightningd.clients[0]?.close();
  t.is(await next(), 'closed 1');
});

test('a client that does not read its reply stops only itself', async (t) => {
  const { host, lightningd } = await start(t, 2);
  const { connection, next } = await addClients(host, lightningd);
  const [slow, quick] = lightningd.clients;
  const large = noise(3 << 20);
  slow?.raw(length(5), bytes('large'), length(4), bytes('next'));
  t.is(await next(), 'request 1 large');
  connection.reply(1, large);
  quick?.send(bytes('small'));
  t.is(await next(), 'request 2 small'); // and not the slow one's next: its reply is not read yet
  connection.reply(2, bytes('answer'));
  t.is(text((await quick?.message()) ?? bytes('')), 'answer');
  t.true(equalBytes((await slow?.message()) ?? bytes(''), large));
  t.is(await next(), 'request 1 next');
});

test('answers lightningd although it leaves megabytes of status messages unread', async (t) => {
  const { host, lightningd } = await start(t);
  const { connection, next } = await host.shim();
  const lines = 300;
  for (let i = 0; i < lines; i++) connection.status(noise(16_000, i));
  lightningd.request.send(bytes('question'));
  t.is(await next(), 'request 0 question');
  connection.reply(0, bytes('answer'));
  t.is(text(await lightningd.request.message()), 'answer');
  // What was not dropped is whole and in order.
  for (let i = 0; i < 60; i++) t.true(equalBytes(await lightningd.status.message(), noise(16_000, i)));
});

test('a host that does not read is waited for', async (t) => {
  const { host, lightningd } = await start(t);
  const socket = await host.socket();
  socket.pause();
  lightningd.request.send(noise(2 << 20));
  await new Promise((resolve) => setTimeout(resolve, 50));
  let read = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    read += chunk.length;
    if (read > 2 << 20) break;
  }
  socket.write(frame('reply', 0, bytes('answer')));
  t.is(text(await lightningd.request.message()), 'answer');
});
