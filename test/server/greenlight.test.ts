/** The relay as Greenlight's protocol shows it, to a signer and to a stand-in for lightning_hsmd. */

import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { Hsm, type HsmRequest, Node } from '../../proto/gen/greenlight/greenlight_pb.ts';
import { type CallOptions, Channel } from '../../proto/grpc.ts';
import { FakeShim } from './fake_shim.ts';
import { Authority, attachSigner, openHost, temporaryDirectory, until } from './host_under_test.ts';
import {
  approved,
  channeld,
  checkFutureSecret,
  clientHsmfd,
  correct,
  init,
  initReply,
  nodeId,
  notApproved,
  preapproveInvoice,
  signedMessage,
  signMessage,
} from './messages.ts';

const test = anyTest as TestFn<{ authority: Authority }>;

test.before(async (t) => {
  t.context.authority = await Authority.create();
});

const calling = (): CallOptions => ({ signal: new AbortController().signal });

test('a Greenlight signer gets a sign of life first, then the requests, and answers by call', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  await using shim = await FakeShim.open(socket, 'alice');
  shim.request(0, init);
  await using channel = new Channel(`127.0.0.1:${host.port}`, await authority.signer('alice'));
  const node = channel.client(Node);
  const requests: AsyncIterator<HsmRequest> = node.streamHsmRequests({}, calling())[Symbol.asyncIterator]();
  const next = async () => {
    const { value } = (await requests.next()) as { value: HsmRequest };
    return value;
  };

  const life = await next();
  t.is(life.requestId, 0);
  t.deepEqual(life.raw, Uint8Array.of(0x07, 0xd8));
  await node.respondHsmRequest({ requestId: 0, raw: Uint8Array.of(0x08, 0x3c) }, calling());

  const first = await next();
  t.true(first.requestId >= 1000);
  t.is(first.context, undefined);
  t.deepEqual(first.raw, init);
  await node.respondHsmRequest({ requestId: first.requestId, raw: initReply() }, calling());
  t.deepEqual((await shim.next()).payload, initReply());

  const conn = await shim.newClient(clientHsmfd(channeld(9n)));
  shim.request(conn, checkFutureSecret(1));
  const second = await next();
  t.like(second.context, { dbid: 9n, capabilities: 447n });
  t.deepEqual(second.context?.nodeId, nodeId);
  for (const raw of [correct, signedMessage])
    await node.respondHsmRequest({ requestId: second.requestId, raw }, calling());
  t.deepEqual((await shim.next()).payload, correct);

  shim.request(0, preapproveInvoice);
  const third = await next();
  await node.respondHsmRequest({ requestId: third.requestId, error: 'policy failure: unknown payee' }, calling());
  const status = await shim.next();
  t.regex(Buffer.from(status.payload).toString('latin1'), /policy failure: unknown payee/);
  t.deepEqual((await shim.next()).payload, notApproved);
  await requests.return?.(undefined);
  await until(() => host.node('alice').relay.signers.list().length === 0, 'its stream is over');
});

test('a Greenlight stand-in asks by call, for lightningd and for clients', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  const identity = await authority.signer('alice');
  const clients: bigint[] = [];
  await using _signer = attachSigner({
    port: host.port,
    identity,
    handle: ({ dbid, capabilities }, bytes) => {
      clients.push(dbid, capabilities);
      if (bytes[1] === 38) return { kind: 'reply', bytes: approved };
      if (bytes[1] === 22) return { kind: 'reply', bytes: correct };
      return { kind: 'refused', tag: 'policy-test', message: 'not today' };
    },
  });
  await using channel = new Channel(`127.0.0.1:${host.port}`, identity);
  const hsm = channel.client(Hsm);
  t.deepEqual({ ...(await hsm.ping({}, calling())) }, { $typeName: 'greenlight.Empty' });
  const own = await hsm.request({ requestId: 1000, raw: preapproveInvoice }, calling());
  t.is(own.requestId, 1000);
  t.deepEqual(own.raw, approved);
  const context = channeld(9n);
  const of = await hsm.request({ requestId: 1001, raw: checkFutureSecret(1), context }, calling());
  t.deepEqual(of.raw, correct);
  t.deepEqual(clients, [0n, 1027n, 9n, 447n]);

  const zero = await hsm.request({ requestId: 1002, raw: signMessage('hello') }, calling());
  t.deepEqual(zero.raw, Uint8Array.of(0, 123, ...new Uint8Array(65)));
  const unknown = hsm.request({ requestId: 1003, raw: Uint8Array.of(0, 100) }, calling());
  await t.throwsAsync(unknown, { message: /unknown request type 100/ });
  const short = hsm.request(
    { requestId: 1004, raw: signMessage(''), context: { nodeId: new Uint8Array(3) } },
    calling(),
  );
  await t.throwsAsync(short, { message: /expected a node id of 33 bytes, got 3/ });
});

test('Greenlight’s services too are for the node of the certificate', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  await using channel = new Channel(`127.0.0.1:${host.port}`, await authority.operator());
  await t.throwsAsync(channel.client(Hsm).request({ raw: init }, calling()), { message: /for no node/ });
  await t.throwsAsync(channel.client(Node).respondHsmRequest({ requestId: 1000 }, calling()), {
    message: /for no node/,
  });
  const stream = channel.client(Node).streamHsmRequests({}, calling())[Symbol.asyncIterator]();
  await t.throwsAsync(stream.next(), { message: /for no node/ });
});
