/** A signer with a good certificate that keeps to nothing else: it speaks out of turn, of what it was not asked, twice. */

import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { systemEntropy } from '../../proto/entropy.ts';
import { SignerLink, type ToSigner } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { Channel, type StatusError } from '../../proto/grpc.ts';
import { type FromSignerInit, linkProtocol } from '../../proto/link.ts';
import { Outbox } from '../../proto/outbox.ts';
import type { Host } from '../../server/host.ts';
import { FakeShim } from './fake_shim.ts';
import { Authority, openHost, temporaryDirectory, until } from './host_under_test.ts';
import { channeld, checkFutureSecret, clientHsmfd, correct, incorrect, signedMessage } from './messages.ts';

const test = anyTest as TestFn<{ authority: Authority }>;

test.before(async (t) => {
  t.context.authority = await Authority.create();
});

/** The bare stream, for saying anything at all. */
class RawSigner {
  readonly received: ToSigner[] = [];
  readonly #outbox = new Outbox<FromSignerInit>();
  readonly #channel: Channel;
  readonly #stop = new AbortController();
  readonly ended: Promise<string>;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.ended = this.#read();
  }

  send(message: FromSignerInit['message']): void {
    this.#outbox.push(message === undefined ? {} : { message });
  }

  hello(change: { readonly protocol?: number; readonly session?: Uint8Array } = {}): void {
    const hello = { protocol: linkProtocol, session: systemEntropy(16), name: 'raw', software: 'test', ...change };
    this.send({ case: 'hello', value: hello });
  }

  reply(id: bigint, bytes: Uint8Array): void {
    this.send({ case: 'answer', value: { id, outcome: { case: 'reply', value: bytes } } });
  }

  /** The requests so far. */
  requests() {
    return this.received.flatMap(({ message }) => (message.case === 'request' ? [message.value] : []));
  }

  async request(index: number) {
    await until(() => this.requests().length > index, `request ${index} is there`);
    const request = this.requests()[index];
    if (request === undefined) throw new RangeError(`expected a request ${index}`);
    return request;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.ended;
    await this.#channel[Symbol.asyncDispose]();
  }

  async #read(): Promise<string> {
    try {
      for await (const message of this.#channel.client(SignerLink).attach(this.#outbox, { signal: this.#stop.signal }))
        this.received.push(message);
      return 'OK';
    } catch (error: unknown) {
      const { code, message } = error as StatusError;
      return `${code}: ${message}`;
    }
  }
}

interface Stage extends AsyncDisposable {
  readonly host: Host;
  readonly shim: FakeShim;
  readonly conn: number;
  readonly signer: RawSigner;
}

async function setUp(t: ExecutionContext<{ authority: Authority }>): Promise<Stage> {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  const host = await openHost(authority, socket);
  const shim = await FakeShim.open(socket, 'alice');
  const conn = await shim.newClient(clientHsmfd(channeld(1n)));
  const signer = new RawSigner(new Channel(`127.0.0.1:${host.port}`, await authority.signer('alice')));
  return {
    host,
    shim,
    conn,
    signer,
    async [Symbol.asyncDispose]() {
      await signer[Symbol.asyncDispose]();
      await shim[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

test('an answer given twice settles one request once', async (t) => {
  await using stage = await setUp(t);
  const { signer, shim, conn } = stage;
  signer.hello();
  shim.request(conn, checkFutureSecret(1));
  const { id } = await signer.request(0);
  signer.reply(id, correct);
  signer.reply(id, incorrect);
  t.deepEqual((await shim.next()).payload, correct);
  shim.request(conn, checkFutureSecret(2));
  const second = await signer.request(1);
  t.true(second.id > id);
  signer.reply(id, incorrect);
  signer.reply(second.id, correct);
  t.deepEqual((await shim.next()).payload, correct);
  t.is(shim.waiting.length, 0);
});

test('an answer to another request than any that waits is dropped', async (t) => {
  await using stage = await setUp(t);
  const { signer, shim, conn } = stage;
  signer.hello();
  shim.request(conn, checkFutureSecret(1));
  const { id } = await signer.request(0);
  for (const wrong of [0n, id - 1n, id + 1n, 2n ** 64n - 1n]) signer.reply(wrong, incorrect);
  signer.reply(id, correct);
  t.deepEqual((await shim.next()).payload, correct);
  t.is(shim.waiting.length, 0);
});

test('an answer of another kind, or without any outcome, closes the connection it was for and nothing else', async (t) => {
  await using stage = await setUp(t);
  const { signer, shim, conn, host } = stage;
  signer.hello();
  shim.request(conn, checkFutureSecret(1));
  signer.reply((await signer.request(0)).id, signedMessage);
  t.is((await shim.nextOf('close')).conn, conn);
  const next = await shim.newClient(clientHsmfd(channeld(2n)));
  shim.request(next, checkFutureSecret(1));
  signer.send({ case: 'answer', value: { id: (await signer.request(1)).id } });
  t.is((await shim.nextOf('close')).conn, next);
  t.is(host.node('alice').relay.signers.list().length, 1);
});

test('an answer after the deadline is dropped', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket, { patienceFor: () => 1_000 });
  await using signer = new RawSigner(new Channel(`127.0.0.1:${host.port}`, await authority.signer('alice')));
  signer.hello();
  await using shim = await FakeShim.open(socket, 'alice');
  const conn = await shim.newClient(clientHsmfd(channeld(1n)));
  await until(() => signer.received.length > 0, 'the signer is welcome');
  shim.request(conn, checkFutureSecret(1));
  const { id } = await signer.request(0);
  await shim.nextOf('close');
  signer.reply(id, correct);
  const next = await shim.newClient(clientHsmfd(channeld(2n)));
  shim.request(next, checkFutureSecret(2));
  signer.reply((await signer.request(1)).id, incorrect);
  t.deepEqual((await shim.next()).payload, incorrect);
});

test('a signer that is killed while it has a request leaves it to the one that comes after', async (t) => {
  await using stage = await setUp(t);
  const { signer, shim, conn, host } = stage;
  signer.hello();
  shim.request(conn, checkFutureSecret(1));
  const { id } = await signer.request(0);
  await signer[Symbol.asyncDispose]();
  const identity = await t.context.authority.signer('alice');
  await using next = new RawSigner(new Channel(`127.0.0.1:${host.port}`, identity));
  next.hello();
  const again = await next.request(0);
  t.is(again.id, id);
  t.deepEqual(again.message, checkFutureSecret(1));
  next.reply(id, correct);
  t.deepEqual((await shim.next()).payload, correct);
});

test('who does not begin with a hello of this protocol is told what was expected', async (t) => {
  const { authority } = t.context;
  await using host = await openHost(authority, join(await temporaryDirectory(t), 's'));
  const identity = await authority.signer('alice');
  const cases: readonly (readonly [(signer: RawSigner) => void, RegExp])[] = [
    [(signer) => signer.reply(1n, correct), /INVALID_ARGUMENT: expected a hello first, got answer/],
    [(signer) => signer.send(undefined), /INVALID_ARGUMENT: expected a hello first, got nothing/],
    [(signer) => signer.hello({ protocol: 2 }), /FAILED_PRECONDITION: expected protocol 1, got 2/],
    [
      (signer) => signer.hello({ session: new Uint8Array(3) }),
      /INVALID_ARGUMENT: expected a session of 16 bytes, got 3/,
    ],
  ];
  for (const [speak, expected] of cases) {
    await using signer = new RawSigner(new Channel(`127.0.0.1:${host.port}`, identity));
    speak(signer);
    t.regex(await signer.ended, expected);
  }
});

test('a second hello ends the stream', async (t) => {
  await using stage = await setUp(t);
  const { signer, host } = stage;
  signer.hello();
  await until(() => signer.received.length > 0, 'it is welcome');
  signer.hello();
  t.regex(await signer.ended, /INVALID_ARGUMENT: expected one hello/);
  t.is(host.node('alice').relay.signers.list().length, 0);
});

test('a signer that falls silent is given up', async (t) => {
  const { authority } = t.context;
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket, { heartbeatMs: 30 });
  await using signer = new RawSigner(new Channel(`127.0.0.1:${host.port}`, await authority.signer('alice')));
  signer.hello();
  t.regex(await signer.ended, /DEADLINE_EXCEEDED: the signer has fallen silent/);
  t.is(host.node('alice').relay.signers.list().length, 0);
});

test('names and reasons of any length are cut before they reach a log', async (t) => {
  await using stage = await setUp(t);
  const { signer, shim, conn } = stage;
  signer.hello();
  shim.request(conn, checkFutureSecret(1));
  const { id } = await signer.request(0);
  const reason = 'x'.repeat(100_000);
  signer.send({ case: 'answer', value: { id, outcome: { case: 'refused', value: { tag: 'a\nb\0c', reason } } } });
  const { payload } = await shim.nextOf('status');
  t.true(payload.length < 1000);
  t.false(payload.subarray(3 + 34, -1).some((byte) => byte < 0x20));
});
