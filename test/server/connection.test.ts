/** The host's end of a stand-in's connection, against a stand-in that is played here. */

import { rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { WireError } from '../../proto/hsmd/codec.ts';
import { ShimConnection } from '../../server/shim/connection.ts';
import { encodeFrame, encodeHello, type Hello } from '../../server/shim/frames.ts';
import { bytes, FakeHost, temporaryDirectory } from './lightningd.ts';

const hello: Hello = { developer: false, node: 'alice', lightningd: '', clients: [3], kept: bytes('kept') };
const greeting = encodeFrame('hello', 0, encodeHello(hello));

/** Both ends of a connection: the stand-in's and the host's. */
async function pair(t: ExecutionContext): Promise<[shim: Socket, host: Socket]> {
  const directory = temporaryDirectory();
  const path = join(directory, 'keyhold.sock');
  const host = await FakeHost.listen(t, path);
  const shim = connect(path);
  shim.on('error', () => shim.destroy());
  t.teardown(() => {
    shim.destroy();
    rmSync(directory, { recursive: true });
  });
  return [shim, await host.socket()];
}

const never = new AbortController().signal;

/** Opens the connection of a stand-in that greets. */
async function open(shim: Socket, host: Socket, signal = never): Promise<ShimConnection> {
  shim.write(greeting);
  const connection = await ShimConnection.open(host, signal);
  if (connection === undefined) throw new Error('expected a connection');
  return connection;
}

test('knows what the stand-in said of itself', async (t) => {
  const connection = await open(...(await pair(t)));
  t.deepEqual({ ...connection.hello, kept: bytes('kept') }, hello);
  t.deepEqual([...connection.hello.kept], [...hello.kept]);
});

test('is undefined for a stand-in that goes away before its hello, and for an abort', async (t) => {
  const [shim, host] = await pair(t);
  shim.end(greeting.subarray(0, 12));
  t.is(await ShimConnection.open(host, never), undefined);
  const [, other] = await pair(t);
  t.is(await ShimConnection.open(other, AbortSignal.timeout(20)), undefined);
  const [, late] = await pair(t);
  t.is(await ShimConnection.open(late, AbortSignal.abort()), undefined);
});

test('refuses a stand-in that starts with anything but a hello', async (t) => {
  for (const first of [encodeFrame('request', 0), encodeFrame('hello', 0, Uint8Array.of(9))]) {
    const [shim, host] = await pair(t);
    shim.write(first);
    await t.throwsAsync(ShimConnection.open(host, never), { instanceOf: WireError });
    t.true(host.destroyed);
  }
});

test('hands out the events in order, and ends when the stand-in is gone', async (t) => {
  const [shim, host] = await pair(t);
  const connection = await open(shim, host);
  shim.end(Buffer.concat([encodeFrame('request', 0, bytes('question')), encodeFrame('closed', 3)]));
  const events = [];
  for await (const event of connection.events()) events.push(event);
  t.like(events, [
    { kind: 'request', conn: 0 },
    { kind: 'closed', conn: 3 },
  ]);
  t.is(events.length, 2);
  connection.reply(0, bytes('too late')); // is dropped
});

test('fails at what a stand-in does not send, and lets go of it', async (t) => {
  for (const wrong of [encodeFrame('reply', 0), encodeFrame('hello', 0, encodeHello(hello))]) {
    const [shim, host] = await pair(t);
    const connection = await open(shim, host);
    shim.write(wrong);
    await t.throwsAsync(connection.events().next(), { instanceOf: WireError });
    t.true(host.destroyed);
  }
});

test('ends without an error when its signal aborts, and when it is disposed of', async (t) => {
  const abort = new AbortController();
  const [shim, host] = await pair(t);
  const connection = await open(shim, host, abort.signal);
  const next = connection.events().next();
  abort.abort();
  t.true((await next).done);
  const [other, second] = await pair(t);
  const disposed = await open(other, second);
  const last = disposed.events().next();
  await disposed[Symbol.asyncDispose]();
  t.true((await last).done);
  t.true(second.closed);
});

test('reads no more from a stand-in that does not read what it is sent', async (t) => {
  const [shim, host] = await pair(t);
  const connection = await open(shim, host);
  shim.pause();
  const events = connection.events();
  shim.write(encodeFrame('request', 0, bytes('first')));
  t.like((await events.next()).value, { conn: 0 });
  connection.reply(0, new Uint8Array(4 << 20));
  shim.write(encodeFrame('request', 3, bytes('second')));
  const second = events.next();
  const waited = new Promise((resolve) => setTimeout(resolve, 60, 'nothing yet'));
  t.is(await Promise.race([second, waited]), 'nothing yet');
  shim.resume();
  t.like((await second).value, { conn: 3 });
});
