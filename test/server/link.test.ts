/** Shim, host and signer joined as they are in earnest: a unix socket on one side, mutual TLS on loopback on the other. */

import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import type { Answer, ClientIdentity } from '../../proto/answer.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { callOf, messageType } from '../../proto/hsmd/message.ts';
import type { Log } from '../../proto/log.ts';
import { FakeShim } from './fake_shim.ts';
import { Authority, attachSigner, openHost, temporaryDirectory, until } from './host_under_test.ts';
import {
  channeld,
  checkFutureSecret,
  clientHsmfd,
  connectd,
  correct,
  ecdh,
  init,
  initReply,
  notApproved,
  otherNodeId,
  preapproveInvoice,
  preinit,
  signedMessage,
  signMessage,
} from './messages.ts';

const test = anyTest as TestFn<{ authority: Authority }>;

test.before(async (t) => {
  t.context.authority = await Authority.create();
});

const reply = (bytes: Uint8Array): Answer => ({ kind: 'reply', bytes });

/** A signer that knows the requests of these tests. */
function honest(_client: ClientIdentity, bytes: Uint8Array): Answer {
  switch (callOf(bytes)) {
    case 'init':
      return reply(initReply());
    case 'devPreinit':
      return { kind: 'silent' };
    case 'signMessage':
      return reply(signedMessage);
    case 'checkFutureSecret':
      return reply(correct);
    default:
      return { kind: 'refused', tag: 'policy-test', message: 'not in this test' };
  }
}

test('lightningd starts, makes a client, and both are answered by the signer', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  await using signer = attachSigner({ port: host.port, identity: await authority.signer('alice'), handle: honest });
  await using shim = await FakeShim.open(socket, 'alice');
  t.deepEqual(await shim.ask(0, init), initReply());
  const conn = await shim.newClient(clientHsmfd(channeld(1n)));
  t.is(conn, 1);
  t.deepEqual(await shim.ask(conn, checkFutureSecret(1)), correct);
  t.deepEqual(await shim.ask(0, signMessage('hello')), signedMessage);
  t.deepEqual(signer.handled.map(callOf), ['init', 'checkFutureSecret', 'signMessage']);
});

test('a request that was carried out while the link was down is answered on the next, and not carried out twice', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  const { signers } = host.node('alice').relay;
  let finish: (answer: Answer) => void = () => {};
  const handle = () =>
    new Promise<Answer>((resolve) => {
      finish = resolve;
    });
  await using signer = attachSigner({ port: host.port, identity: await authority.signer('alice'), handle });
  await using shim = await FakeShim.open(socket, 'alice');
  shim.request(0, signMessage('hello'));
  await until(() => signer.handled.length === 1, 'the signer has the request');
  const [first] = signers.list();
  first?.port.dismiss('test');
  await until(() => signers.list().length === 1 && signers.list()[0]?.port !== first?.port, 'the signer is back');
  finish(reply(signedMessage));
  t.deepEqual((await shim.next()).payload, signedMessage);
  t.is(signer.handled.length, 1);
  t.is(shim.waiting.length, 0);
});

test('a host that was killed and started again goes on with the lightningd that never stopped', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  const first = await openHost(authority, socket);
  const { port } = first;
  let answers = true;
  const handle = (client: ClientIdentity, bytes: Uint8Array) =>
    answers || callOf(bytes) === 'init' || callOf(bytes) === 'devPreinit'
      ? honest(client, bytes)
      : new Promise<Answer>(() => {});
  await using signer = attachSigner({ port, identity: await authority.signer('alice'), handle });
  const before = await FakeShim.open(socket, 'alice', { developer: true });
  before.request(0, preinit);
  t.is((await before.next()).kind, 'silent');
  await before.ask(0, init);
  const conn = await before.newClient(clientHsmfd(channeld(1n)));
  const gone = await before.newClient(clientHsmfd(channeld(2n)));
  answers = false;
  before.request(conn, checkFutureSecret(1));
  await until(() => signer.handled.length === 3, 'the request is with the signer');
  await first[Symbol.asyncDispose]();
  answers = true;

  await using second = await openHost(authority, socket, { port });
  t.is(second.port, port);
  const greeting = { developer: true, clients: [conn], kept: before.kept };
  await using after = await FakeShim.open(socket, 'alice', greeting);
  t.deepEqual(await after.ask(conn, checkFutureSecret(1)), correct);
  t.deepEqual(signer.handled.slice(3).map(callOf), ['devPreinit', 'init', 'checkFutureSecret']);
  t.is(await after.newClient(clientHsmfd(channeld(3n))), gone + 1);
});

test('a signer killed while it has a request leaves it to the one that stands by', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  const { signers } = host.node('alice').relay;
  const identity = await authority.signer('alice');
  const stuck = (client: ClientIdentity, bytes: Uint8Array) =>
    callOf(bytes) === 'init' ? honest(client, bytes) : new Promise<Answer>(() => {});
  const first = attachSigner({ port: host.port, identity, handle: stuck, name: 'phone' });
  await until(() => signers.list().length === 1, 'the phone is attached');
  await using second = attachSigner({ port: host.port, identity, handle: honest, name: 'desk' });
  await until(() => signers.list().length === 2, 'the desk is attached');
  await using shim = await FakeShim.open(socket, 'alice');
  await shim.ask(0, init);
  await until(() => second.handled.length === 1, 'the desk is initialised');
  t.false(second.session.standing.active);
  const { lease } = first.session.standing;
  shim.request(0, signMessage('hello'));
  await until(() => first.handled.length === 2, 'the phone has the request');
  t.is(second.handled.length, 1);
  await first[Symbol.asyncDispose]();
  t.deepEqual((await shim.next()).payload, signedMessage);
  t.true(second.session.standing.active);
  t.true(second.session.standing.lease > lease);
});

test('requests wait until a signer attaches', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  await using shim = await FakeShim.open(socket, 'alice');
  shim.request(0, init);
  await until(() => host.node('alice').relay.waiting().length === 1, 'the request waits');
  await using _signer = attachSigner({ port: host.port, identity: await authority.signer('alice'), handle: honest });
  t.deepEqual((await shim.next()).payload, initReply());
});

test('a deadline gives lightningd the no that hurts least, and says so on its status socket', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using _host = await openHost(authority, socket, { patienceFor: () => 50 });
  await using shim = await FakeShim.open(socket, 'alice');
  shim.request(0, preapproveInvoice);
  const status = await shim.next();
  t.is(messageType(status.payload), 0xfff0);
  t.regex(
    Buffer.from(status.payload).toString('latin1'),
    /preapprove_invoice: no answer: no signer answered within 0.05 s/,
  );
  t.deepEqual((await shim.next()).payload, notApproved);
});

test('a refused subdaemon loses its connection and lightningd hears of it', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  const refuse = (): Answer => ({ kind: 'refused', tag: 'policy-test', message: 'not today' });
  await using _signer = attachSigner({ port: host.port, identity: await authority.signer('alice'), handle: refuse });
  await using shim = await FakeShim.open(socket, 'alice');
  const conn = await shim.newClient(clientHsmfd(channeld(1n)));
  shim.request(conn, checkFutureSecret(1));
  t.is(messageType((await shim.next()).payload), 0xfff0);
  const bad = await shim.next();
  t.is(messageType(bad.payload), 1000);
  const text = Buffer.from(bad.payload).toString('latin1');
  t.regex(text, /refused by the signer: not today \(policy-test\)/);
  t.deepEqual([...bad.payload.subarray(-4)], [0, 2, 0, 22]);
  const { kind, conn: closed } = await shim.next();
  t.deepEqual({ kind, closed }, { kind: 'close', closed: conn });
});

test('connectd gets a random secret instead of a refusal, since lightningd would end with it', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  const refuse = (): Answer => ({ kind: 'refused', tag: 'policy-test', message: 'not today' });
  await using _signer = attachSigner({ port: host.port, identity: await authority.signer('alice'), handle: refuse });
  await using shim = await FakeShim.open(socket, 'alice');
  const conn = await shim.newClient(clientHsmfd(connectd));
  const [one, two] = [await shim.ask(conn, ecdh), await shim.ask(conn, ecdh)];
  t.is(messageType(one), calls.ecdh.reply.number);
  t.is(one.length, 34);
  t.notDeepEqual(one, two);
});

test('a request that hsmd would die of ends the shim, from lightningd itself', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using _host = await openHost(authority, socket);
  const notAPoint = { ...channeld(1n), nodeId: new Uint8Array(33) };
  for (const fatal of [
    Uint8Array.of(0, 100),
    preinit,
    clientHsmfd(notAPoint),
    clientHsmfd(channeld(1n)).subarray(0, 9),
  ]) {
    await using shim = await FakeShim.open(socket, 'alice');
    shim.request(0, fatal);
    t.deepEqual([(await shim.next()).kind, (await shim.next()).kind], ['status', 'close']);
    await shim[Symbol.asyncDispose]();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('a fourth client without a channel is fatal, lightningd counted, closed ones too', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using _host = await openHost(authority, socket);
  await using shim = await FakeShim.open(socket, 'alice');
  shim.closedBy(await shim.newClient(clientHsmfd(connectd)));
  await shim.newClient(clientHsmfd(connectd));
  shim.request(0, clientHsmfd(connectd));
  const { kind, conn } = await shim.nextOf('close');
  t.deepEqual({ kind, conn }, { kind: 'close', conn: 0 });
});

test('a new client of a channel closes the older one', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using _host = await openHost(authority, socket);
  await using shim = await FakeShim.open(socket, 'alice');
  const older = await shim.newClient(clientHsmfd(channeld(1n)));
  await shim.newClient(clientHsmfd(channeld(2n)));
  shim.request(0, clientHsmfd(channeld(1n)));
  const closed = await shim.next();
  t.is(closed.kind, 'close');
  t.is(closed.conn, older);
  t.is((await shim.next()).kind, 'replyFd');
});

test('a signer with another node’s keys is turned away and the request goes on waiting', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  const { signers } = host.node('alice').relay;
  const identity = await authority.signer('alice');
  await using shim = await FakeShim.open(socket, 'alice');
  {
    await using _right = attachSigner({ port: host.port, identity, handle: honest });
    await shim.ask(0, init);
  }
  await until(() => signers.list().length === 0, 'the signer left');
  const messages: string[] = [];
  const log: Log = (_level, message, fields) => {
    messages.push(`${message} ${Object.values(fields ?? {}).join(' ')}`);
  };
  const imposter = attachSigner({ port: host.port, identity, handle: () => reply(initReply(otherNodeId)), log });
  shim.request(0, signMessage('hello'));
  await until(() => messages.some((line) => /it holds the keys of another node/.test(line)), 'it was told why');
  t.is(imposter.handled.filter((bytes) => callOf(bytes) === 'signMessage').length, 0);
  await imposter[Symbol.asyncDispose]();
  await using _right = attachSigner({ port: host.port, identity, handle: honest });
  t.deepEqual((await shim.next()).payload, signedMessage);
});

test('a second shim of the same node is turned away while the first is there', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  await using _first = await FakeShim.open(socket, 'alice');
  await until(() => host.node('alice').attached !== undefined, 'the first is attached');
  await using second = await FakeShim.open(socket, 'alice');
  await t.throwsAsync(second.next(), { message: /the host ended the connection/ });
});
