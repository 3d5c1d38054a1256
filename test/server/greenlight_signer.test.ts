/** The state that Greenlight's signers keep with a host: stored before the reply goes on, and given back to the next. */

import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { utf8 } from '../../proto/bytes.ts';
import { type HsmRequest, Node } from '../../proto/gen/greenlight/greenlight_pb.ts';
import { type CallOptions, Channel, type TlsIdentity } from '../../proto/grpc.ts';
import type { Host } from '../../server/host.ts';
import { FakeShim } from './fake_shim.ts';
import { Authority, openHost, temporaryDirectory } from './host_under_test.ts';
import { init, initReply, signedMessage, signMessage } from './messages.ts';

const test = anyTest as TestFn<{ authority: Authority }>;

test.before(async (t) => {
  t.context.authority = await Authority.create();
});

const calling = (): CallOptions => ({ signal: new AbortController().signal });

interface Entry {
  readonly key: string;
  readonly version: bigint;
  readonly value: Uint8Array;
  readonly signature: Uint8Array;
}

const entry = (key: string, version: bigint, value: string): Entry => ({
  key,
  version,
  value: utf8(value),
  signature: new Uint8Array(64).fill(1),
});

const shown = ({ signerState }: HsmRequest) =>
  signerState.map(({ key, version, value }) => `${key} ${version} ${Buffer.from(value).toString()}`).sort();

/** A signer that says what it is told to; the stream ends with the test. */
async function signerOf(t: ExecutionContext, host: Host, identity: TlsIdentity) {
  const channel = new Channel(`127.0.0.1:${host.port}`, identity);
  t.teardown(() => channel[Symbol.asyncDispose]());
  const node = channel.client(Node);
  const requests = node.streamHsmRequests({}, calling())[Symbol.asyncIterator]();
  const next = async (): Promise<HsmRequest> => {
    const { value, done } = await requests.next();
    if (done === true) throw new Error('the stream is over');
    return value;
  };
  const respond = (requestId: number, raw: Uint8Array, signerState: readonly Entry[] = []) =>
    node.respondHsmRequest({ requestId, raw, signerState: [...signerState] }, calling());
  return { next, respond, leave: async () => void (await requests.return?.(undefined)) };
}

test('entries come back with the first request of the next stream, and only changes in between', async (t) => {
  const { authority } = t.context;
  const folder = await temporaryDirectory(t);
  const socket = join(folder, 's');
  const identity = await authority.signer('alice');
  const copies = join(folder, 'copies');
  {
    await using host = await openHost(authority, socket, { copies });
    await using shim = await FakeShim.open(socket, 'alice');
    const one = await signerOf(t, host, identity);
    t.deepEqual(shown(await one.next()), []);
    shim.request(0, init);
    const first = await one.next();
    await one.respond(first.requestId, initReply(), [entry('nodes/02', 1n, '{"a":1}'), entry('channels/1', 1n, '{}')]);
    t.deepEqual((await shim.next()).payload, initReply());

    const two = await signerOf(t, host, identity);
    t.deepEqual(shown(await two.next()), ['channels/1 1 {}', 'nodes/02 1 {"a":1}']);
    shim.request(0, signMessage('hello'));
    const asked = await one.next();
    t.deepEqual(shown(asked), [], 'what it said itself it is not told');
    await two.respond(0, Uint8Array.of(0x08, 0x3c), [
      entry('channels/1', 2n, '{"n":2}'),
      entry('nodes/02', 1n, '{"a":1}'),
    ]);
    await one.respond(asked.requestId, signedMessage);
    t.deepEqual((await shim.next()).payload, signedMessage);
    shim.request(0, signMessage('again'));
    const later = await one.next();
    t.deepEqual(shown(later), ['channels/1 2 {"n":2}'], 'what the other said it is');
    await one.respond(later.requestId, signedMessage, [entry('channels/1', 1n, 'stale')]);
    t.deepEqual((await shim.next()).payload, signedMessage);
    await one.leave();
    await two.leave();
  }
  await using host = await openHost(authority, socket, { copies });
  const three = await signerOf(t, host, identity);
  t.deepEqual(shown(await three.next()), ['channels/1 2 {"n":2}', 'nodes/02 1 {"a":1}']);
  await three.leave();
});

test('a reply whose state cannot be stored does not go on', async (t) => {
  const { authority } = t.context;
  const folder = await temporaryDirectory(t);
  const socket = join(folder, 's');
  await using host = await openHost(authority, socket, { copies: join(folder, 'copies') });
  await using shim = await FakeShim.open(socket, 'alice');
  const signer = await signerOf(t, host, await authority.signer('alice'));
  await signer.next();
  shim.request(0, signMessage('hello'));
  const asked = await signer.next();
  await signer.respond(asked.requestId, signedMessage, [entry('k'.repeat(2000), 1n, '{}')]);
  const status = await shim.next();
  t.regex(Buffer.from(status.payload).toString('latin1'), /the host could not store the state/);
  await signer.leave();
});
