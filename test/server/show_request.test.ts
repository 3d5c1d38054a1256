/** Requests of clients on their way to the signer: shown at once, to whoever is asked, by the relay and over the wire. */

import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { Hsm, Node } from '../../proto/gen/greenlight/greenlight_pb.ts';
import { Host as HostService } from '../../proto/gen/keyhold/v1/host_pb.ts';
import { type CallOptions, Channel, largestMessage, StatusError } from '../../proto/grpc.ts';
import { silent } from '../../proto/log.ts';
import type { SignedRequest } from '../../proto/signed_request.ts';
import { patienceFor } from '../../server/refusal.ts';
import { lightningd, Relay, relayDefaults } from '../../server/relay.ts';
import { FakeShim } from './fake_shim.ts';
import { Authority, attachSigner, openHost, temporaryDirectory, until } from './host_under_test.ts';
import { ManualClock, settled } from './manual_clock.ts';
import { MemoryPort } from './memory_port.ts';
import { approved, init, initReply, preapproveInvoice } from './messages.ts';

const test = anyTest as TestFn<{ authority: Authority }>;

test.before(async (t) => {
  t.context.authority = await Authority.create();
});

const never = () => new AbortController().signal;
const calling = (): CallOptions => ({ signal: never() });

const request = (n: number, length = 10): SignedRequest => ({
  request: new Uint8Array(length).fill(n),
  uri: '/cln.Node/Pay',
  signature: new Uint8Array(64).fill(n),
  pubkey: new Uint8Array(65).fill(4),
  timestamp: 1_700_000_000_000n,
  rune: new Uint8Array(40).fill(7),
  bound: { signature: new Uint8Array(64).fill(8), nonce: new Uint8Array(16).fill(9) },
});

/** A relay whose signer has answered init. */
async function started() {
  const clock = new ManualClock();
  const relay = new Relay({ clock, log: silent, patienceFor, ...relayDefaults });
  const port = new MemoryPort('first');
  relay.signers.attach(port);
  const reply = relay.ask(relay.openLane(lightningd), init, never());
  await settled();
  return { clock, relay, port, reply };
}

test('a request is shown to the signer at once, and once', async (t) => {
  const { relay, port, reply } = await started();
  port.reply(0, initReply());
  await reply;
  relay.show(request(1));
  relay.show(request(1));
  relay.show(request(2));
  t.deepEqual(port.shown, [request(1), request(2)]);
});

test('a signer that has no keys yet is shown requests when it has', async (t) => {
  const { relay, port, reply } = await started();
  relay.show(request(1));
  t.deepEqual(port.shown, []);
  port.reply(0, initReply());
  await reply;
  t.deepEqual(port.shown, [request(1)]);
});

test('whoever takes over is shown what may still count, before it is asked', async (t) => {
  const { relay, port, reply, clock } = await started();
  port.reply(0, initReply());
  await reply;
  relay.show(request(1));
  await clock.pass(5 * 60_000);
  relay.show(request(2));
  relay.signers.detach(port, 'goodbye');
  await clock.pass(5 * 60_000);
  const next = new MemoryPort('next');
  relay.signers.attach(next);
  await settled();
  t.deepEqual(next.shown, []);
  next.reply(0, initReply());
  await settled();
  t.deepEqual(next.shown, [request(2)], 'the first is too old');
});

test('no more is kept than a host can bear', async (t) => {
  const { relay, port, reply } = await started();
  port.reply(0, initReply());
  await reply;
  for (let n = 0; n < 6; n++) relay.show(request(n, 1 << 20));
  const next = new MemoryPort('next');
  relay.signers.detach(port, 'goodbye');
  relay.signers.attach(next);
  await settled();
  next.reply(0, initReply());
  await settled();
  t.is(next.shown.length, 4);
});

test('an operator shows a request, and the signer gets it as it was', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  const shown: SignedRequest[] = [];
  await using _signer = attachSigner({
    port: host.port,
    identity: await authority.signer('alice'),
    handle: () => ({ kind: 'reply', bytes: initReply() }),
    show: (each) => shown.push(each),
  });
  await using shim = await FakeShim.open(socket, 'alice');
  shim.request(0, init);
  await shim.next();
  await using channel = new Channel(`127.0.0.1:${host.port}`, await authority.operator());
  const client = channel.client(HostService);
  await client.show({ node: 'alice', evidence: request(1) }, calling());
  await until(() => shown.length === 1, 'it is shown');
  const { bound, ...rest } = request(1);
  t.like(shown[0], rest);
  t.like(shown[0]?.bound, bound ?? {});
  const large = { ...request(2), request: new Uint8Array(largestMessage - 700) };
  await client.show({ node: 'alice', evidence: large }, calling());
  await client.show({ node: 'alice', evidence: request(3) }, calling());
  await until(() => shown.length === 2, 'the next is shown, but not the one that fits into no message');
  await t.throwsAsync(client.show({ node: 'bob', evidence: request(1) }, calling()), { message: /has no node bob/ });
  await t.throwsAsync(client.show({ node: 'alice' }, calling()), { message: /expected evidence/ });
});

test('a signer’s certificate shows nothing', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  await using channel = new Channel(`127.0.0.1:${host.port}`, await authority.signer('alice'));
  const shown = channel.client(HostService).show({ node: 'alice', evidence: request(1) }, calling());
  const error = await t.throwsAsync(shown, { instanceOf: StatusError });
  t.is(error.code, 'PERMISSION_DENIED');
});

test('what a Greenlight stand-in sends along goes with the requests to a Greenlight signer', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  await using channel = new Channel(`127.0.0.1:${host.port}`, await authority.signer('alice'));
  const node = channel.client(Node);
  const stream = node.streamHsmRequests({}, calling())[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await stream.next();
    if (done === true) throw new Error('the stream is over');
    return value;
  };
  await next();
  const hsm = channel.client(Hsm);
  const ask = async (raw: Uint8Array, reply: Uint8Array, requests: SignedRequest[]) => {
    const answer = hsm.request({ requestId: 1, raw, requests }, calling());
    const got = await next();
    await node.respondHsmRequest({ requestId: got.requestId, raw: reply }, calling());
    await answer;
    return got;
  };
  await ask(init, initReply(), []);
  const { bound: _dropped, ...stock } = request(1);
  const got = await ask(preapproveInvoice, approved, [stock]);
  t.is(got.requests.length, 1);
  t.like(got.requests[0], stock);
  await stream.return?.(undefined);
});
