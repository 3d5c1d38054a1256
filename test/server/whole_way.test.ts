/** The whole way with the C program at one end: lightningd's sockets, stand-in, host, link, signer. */

import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import type { Answer, ClientIdentity } from '../../proto/answer.ts';
import { callOf, messageType } from '../../proto/hsmd/message.ts';
import { Authority, attachSigner, openHost, until } from './host_under_test.ts';
import { startLightningd, temporaryDirectory } from './lightningd.ts';
import {
  channeld,
  checkFutureSecret,
  clientHsmfd,
  correct,
  init,
  initReply,
  signedMessage,
  signMessage,
} from './messages.ts';

const test = anyTest as TestFn<{ authority: Authority }>;

test.before(async (t) => {
  t.context.authority = await Authority.create();
});

function honest(_client: ClientIdentity, bytes: Uint8Array): Answer {
  const replies = new Map([
    ['init', initReply()],
    ['signMessage', signedMessage],
    ['checkFutureSecret', correct],
  ]);
  const reply = replies.get(callOf(bytes) ?? '');
  if (reply === undefined) return { kind: 'refused', tag: 'policy-test', message: 'not in this test' };
  return { kind: 'reply', bytes: reply };
}

test('lightningd and its subdaemon are served, before and after the host was started again', async (t) => {
  const { authority } = t.context;
  const directory = temporaryDirectory();
  const socket = join(directory, 'keyhold.sock');
  const first = await openHost(authority, socket);
  let silent = false;
  const handle = (client: ClientIdentity, bytes: Uint8Array) =>
    silent && callOf(bytes) !== 'init' ? new Promise<Answer>(() => {}) : honest(client, bytes);
  await using signer = attachSigner({ port: first.port, identity: await authority.signer('alice'), handle });
  const { request, clients } = startLightningd(t, { directory, env: { KEYHOLD_NODE: 'alice' }, clients: 1 });
  t.deepEqual(await request.ask(init), initReply());
  t.is(messageType(await request.ask(clientHsmfd(channeld(1n)))), 109);
  t.deepEqual(await request.bytes(1), Uint8Array.of(0));
  const [channel] = clients;
  t.deepEqual(await channel?.ask(checkFutureSecret(1)), correct);

  silent = true;
  const before = signer.handled.length;
  channel?.send(checkFutureSecret(2));
  request.send(signMessage('hello'));
  await until(() => signer.handled.length === before + 2, 'both requests are with the signer');
  await first[Symbol.asyncDispose]();
  silent = false;
  await using _second = await openHost(authority, socket, { port: first.port });
  t.deepEqual(await channel?.message(), correct);
  t.deepEqual(await request.message(), signedMessage);
});

test('a malformed request of a client closes its socket, one of lightningd ends the stand-in, and both are told', async (t) => {
  const { authority } = t.context;
  const directory = temporaryDirectory();
  await using _host = await openHost(authority, join(directory, 'keyhold.sock'));
  const { request, status, clients, exit } = startLightningd(t, { directory, clients: 1 });
  await request.ask(clientHsmfd(channeld(1n)));
  await request.bytes(1);
  clients[0]?.send(init);
  t.true(await clients[0]?.ends());
  t.deepEqual([messageType(await status.message()), messageType(await status.message())], [0xfff0, 1000]);
  request.send(Uint8Array.of(0, 100));
  t.is(messageType(await status.message()), 0xfff0);
  t.is(await exit, 1);
});
