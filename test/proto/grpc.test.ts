/** The glue to grpc-js, over a unix socket: every kind of method, cancellation, a slow reader, errors. */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Hsm, Node } from '../../proto/gen/greenlight/greenlight_pb.ts';
import { SignerLink } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { type Caller, Channel, GrpcServer, type Implementation, StatusError } from '../../proto/grpc.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import { silent } from '../../proto/log.ts';
import { Outbox } from '../../proto/outbox.ts';

type Attach = Implementation<typeof SignerLink>['attach'];
type Request = Implementation<typeof Hsm>['request'];
type Stream = Implementation<typeof Node>['streamHsmRequests'];

interface Parts {
  readonly attach?: Attach;
  readonly request?: Request;
  readonly stream?: Stream;
}

const unused = () => {
  throw new StatusError('UNIMPLEMENTED', 'not in this test');
};

async function serve(
  t: ExecutionContext,
  { attach = unused, request = unused, stream = unused }: Parts,
): Promise<Channel> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhold-'));
  const address = `unix:${join(directory, 's')}`;
  const server = new GrpcServer(silent);
  server.addService(SignerLink, { attach, fetchState: unused });
  server.addService(Hsm, { request, ping: async () => ({}) });
  server.addService(Node, { streamHsmRequests: stream, respondHsmRequest: async () => ({}) });
  await server.listen(address, undefined);
  const channel = new Channel(address, undefined);
  t.teardown(async () => {
    await channel[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  return channel;
}

const never = () => new AbortController().signal;

async function* goodbyes(count: number) {
  for (let i = 0; i < count; i++) yield { message: { case: 'goodbye' as const, value: { reason: String(i) } } };
}

test('a unary call brings the request there and the response back, bytes as plain arrays', async (t) => {
  const channel = await serve(t, {
    request: async ({ requestId, raw }) => {
      t.is(raw.constructor, Uint8Array);
      return { requestId, raw: raw.toReversed() };
    },
  });
  const { raw, requestId } = await channel
    .client(Hsm)
    .request({ requestId: 7, raw: Uint8Array.of(1, 2) }, { signal: never() });
  t.is(raw.constructor, Uint8Array);
  t.deepEqual({ raw, requestId }, { raw: Uint8Array.of(2, 1), requestId: 7 });
});

test('errors travel with their code, and what was not foreseen without its text', async (t) => {
  const errors = [
    new StatusError('FAILED_PRECONDITION', 'not now'),
    new WireError('bad byte', 3),
    new Error('a secret detail'),
  ];
  const channel = await serve(t, {
    request: async ({ requestId }) => {
      throw errors[requestId];
    },
    stream: async function* () {
      yield { requestId: 1 };
      throw errors[0];
    },
  });
  const hsm = channel.client(Hsm);
  const failing = (requestId: number) => hsm.request({ requestId }, { signal: never() });
  t.like(await t.throwsAsync(failing(0)), { code: 'FAILED_PRECONDITION', message: 'not now' });
  t.like(await t.throwsAsync(failing(1)), { code: 'INVALID_ARGUMENT', message: 'bad byte (at byte 3)' });
  t.like(await t.throwsAsync(failing(2)), { code: 'INTERNAL', message: 'internal error' });
  const stream = channel.client(Node).streamHsmRequests({}, { signal: never() })[Symbol.asyncIterator]();
  t.is((await stream.next()).value?.requestId, 1);
  t.like(await t.throwsAsync(stream.next()), { code: 'FAILED_PRECONDITION' });
});

test('a bidirectional stream goes on after the client has ended its half', async (t) => {
  const channel = await serve(t, {
    attach: async function* (requests) {
      let count = 0n;
      for await (const _ of requests) count += 1n;
      for (let lease = 1n; lease <= count; lease++) yield { message: { case: 'promote', value: { lease } } };
    },
  });
  const leases: bigint[] = [];
  for await (const { message } of channel.client(SignerLink).attach(goodbyes(3), { signal: never() }))
    if (message.case === 'promote') leases.push(message.value.lease);
  t.deepEqual(leases, [1n, 2n, 3n]);
});

test('neither side writes more than a reader that stands still can hold', async (t) => {
  let written = 0;
  const stop = new AbortController();
  const channel = await serve(t, {
    attach: async function* (_requests) {
      const reason = 'x'.repeat(100_000);
      for (; written < 10_000; written++) yield { message: { case: 'goodbye', value: { reason } } };
    },
  });
  const outbox = new Outbox<never>();
  const stream = channel.client(SignerLink).attach(outbox, { signal: stop.signal })[Symbol.asyncIterator]();
  await stream.next();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = written;
  t.true(before < 1000, `${before} of 100 kB each were written`);
  for (let i = 0; i < 50; i++) await stream.next();
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.true(written > before);
  stop.abort();
  outbox.close();
});

test('the caller’s abort reaches the server, in a unary call and in a stream', async (t) => {
  const callers: Caller[] = [];
  const seen = (caller: Caller) => {
    callers.push(caller);
    return new Promise<never>(() => {});
  };
  const channel = await serve(t, {
    request: (_request, caller) => seen(caller),
    attach: async function* (given, caller) {
      callers.push(caller);
      for await (const _ of given) yield {};
    },
  });
  const stop = new AbortController();
  const unary = channel.client(Hsm).request({}, { signal: stop.signal });
  const stream = channel
    .client(SignerLink)
    .attach(new Outbox<never>(), { signal: stop.signal })
    [Symbol.asyncIterator]();
  const first = stream.next();
  while (callers.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  t.like(await t.throwsAsync(unary), { code: 'CANCELLED' });
  t.like(await t.throwsAsync(first), { code: 'CANCELLED' });
  await Promise.all(callers.map(async ({ signal }) => signal.aborted || once(signal, 'abort')));
  t.pass();
});

test('a call that was aborted before it began is not made', async (t) => {
  const channel = await serve(t, { request: async () => t.fail() as never });
  await t.throwsAsync(channel.client(Hsm).request({}, { signal: AbortSignal.abort(new Error('too late')) }), {
    message: 'too late',
  });
});

test('only a unix socket may go without certificates', async (t) => {
  await using server = new GrpcServer(silent);
  t.throws(() => server.listen('127.0.0.1:0', undefined), { message: /expected a TLS identity/ });
});

test('nobody there is UNAVAILABLE', async (t) => {
  await using channel = new Channel('unix:/nonexistent/socket', undefined);
  t.like(await t.throwsAsync(channel.client(Hsm).ping({}, { signal: never() })), { code: 'UNAVAILABLE' });
});
