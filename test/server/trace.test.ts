/** What whoever looks on is told of requests, how little that costs, and who may look. */

import { join } from 'node:path';
import test from 'ava';
import type { Answer, ClientIdentity } from '../../proto/answer.ts';
import { Answered, Host as HostService, type TracedRequest } from '../../proto/gen/keyhold/v1/host_pb.ts';
import { Channel, StatusError, type TlsIdentity } from '../../proto/grpc.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { patienceFor } from '../../server/refusal.ts';
import { lightningd, Relay, relayDefaults } from '../../server/relay.ts';
import { mostWaiting, Trace, type TracedBatch } from '../../server/trace.ts';
import { FakeShim } from './fake_shim.ts';
import { Authority, attachSigner, openHost, temporaryDirectory, until } from './host_under_test.ts';
import { ManualClock, settled } from './manual_clock.ts';
import { MemoryPort } from './memory_port.ts';
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

const never = () => new AbortController().signal;

/** A relay whose requests are traced, and what a reader that never waits has got so far. */
async function setUp() {
  const clock = new ManualClock();
  const trace = new Trace(clock);
  const stop = new AbortController();
  const batches: TracedBatch[] = [];
  const reading = (async () => {
    for await (const batch of trace.read(undefined, stop.signal)) batches.push(batch);
  })();
  await settled();
  const relay = new Relay({
    clock,
    log: silent,
    patienceFor,
    ...relayDefaults,
    trace: (lane, bytes) => trace.begin('alice', lane, bytes),
  });
  const port = new MemoryPort();
  relay.signers.attach(port);
  await settled();
  return { clock, trace, relay, port, stop, reading, seen: () => batches.flatMap(({ requests }) => requests) };
}

test('a request is told of with how long it waited, and how long of that no signer had it', async (t) => {
  const { clock, relay, port, seen } = await setUp();
  const lane = relay.openLane(channeld(7n));
  const answers = [1, 2].map((n) => relay.ask(lane, checkFutureSecret(n), never()));
  await clock.pass(40);
  port.reply(0, correct);
  await clock.pass(60);
  port.offered(1).answer({ kind: 'refused', tag: 'policy-test', message: 'no' });
  await Promise.all(answers);
  await settled();
  const about = { node: 'alice', lane: lane.number, client: channeld(7n), call: 'check_future_secret' };
  t.deepEqual(seen(), [
    { ...about, outcome: 'asked', timeMs: 1_700_000_000_040, waitedMs: 40, heldMs: 0 },
    { ...about, outcome: 'refused', timeMs: 1_700_000_000_100, waitedMs: 100, heldMs: 40 },
  ]);
});

test('what is no request is told of as such', async (t) => {
  const { relay, seen } = await setUp();
  await relay.ask(relay.openLane(lightningd), Uint8Array.of(0xff, 0xff), never());
  await settled();
  t.deepEqual(
    seen().map(({ call, outcome }) => [call, outcome]),
    [['', 'malformed']],
  );
});

test('nothing is noted before somebody looks, and after', async (t) => {
  const { trace, relay, stop, reading } = await setUp();
  const lane = relay.openLane(lightningd);
  t.not(trace.begin('alice', lane, init), undefined);
  stop.abort();
  await reading;
  t.is(trace.begin('alice', lane, init), undefined);
});

test('a reader that does not read costs no more than its bound, and is told what it missed', async (t) => {
  const trace = new Trace(new ManualClock());
  const stop = new AbortController();
  const reader = trace.read('alice', stop.signal);
  const first = reader.next();
  const { relay } = await setUp();
  const lane = relay.openLane(lightningd);
  const pass = (node: string) => trace.begin(node, lane, init)?.answered('asked');
  pass('bob');
  pass('alice');
  t.like((await first).value, { missed: 0, requests: { length: 1 } });
  for (let i = 0; i < mostWaiting + 5; i++) pass('alice');
  t.like((await reader.next()).value, { missed: 5, requests: { length: mostWaiting } });
  pass('alice');
  t.like((await reader.next()).value, { missed: 0, requests: { length: 1 } });
  await reader.return();
});

function honest(_client: ClientIdentity, bytes: Uint8Array): Answer {
  const call = callOf(bytes);
  if (call === 'init') return { kind: 'reply', bytes: initReply() };
  return { kind: 'reply', bytes: call === 'signMessage' ? signedMessage : correct };
}

/** Looks on over the host's port; `requests` grows. */
function watch(port: number, identity: TlsIdentity, node: string) {
  const channel = new Channel(`127.0.0.1:${port}`, identity);
  const stop = new AbortController();
  const requests: TracedRequest[] = [];
  const over = (async () => {
    for await (const batch of channel.client(HostService).trace({ node }, { signal: stop.signal }))
      requests.push(...batch.requests);
  })().catch((error: unknown) => error);
  return {
    requests,
    over,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await over;
      await channel[Symbol.asyncDispose]();
    },
  };
}

test('over the host’s port an operator sees every node, a signer its own, and nobody a payload', async (t) => {
  const authority = await Authority.create();
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  const [alice, bob] = [await authority.signer('alice'), await authority.signer('bob')];
  await using _a = attachSigner({ port: host.port, identity: alice, handle: honest });
  await using _b = attachSigner({ port: host.port, identity: bob, handle: honest });
  await until(() => ['alice', 'bob'].every((node) => host.node(node).relay.signers.current !== undefined), 'attached');
  await using operator = watch(host.port, await authority.operator(), '');
  await using own = watch(host.port, alice, '');
  await using one = await FakeShim.open(socket, 'alice');
  await using two = await FakeShim.open(socket, 'bob');
  const { relay } = host.node('alice');
  const nudge = Uint8Array.of(0xff, 0xff); // which is no request, and is left out below
  await until(() => {
    relay.trace?.(relay.openLane(lightningd), nudge)?.answered('malformed');
    return operator.requests.length > 0 && own.requests.length > 0;
  }, 'both look on');
  await one.ask(0, init);
  await two.ask(0, init);
  await one.newClient(clientHsmfd(channeld(3n)));
  await one.ask(1, checkFutureSecret(1));
  await two.ask(0, signMessage('the secret of the night'));
  const about = ({ node, call, answered, dbid }: TracedRequest) => [node, call, answered, dbid];
  const ofAlice = [
    ['alice', 'init', Answered.ASKED, 0n],
    ['alice', 'client_hsmfd', Answered.HOST, 0n],
    ['alice', 'check_future_secret', Answered.ASKED, 3n],
  ];
  const real = ({ requests }: { readonly requests: readonly TracedRequest[] }) =>
    requests.filter(({ call }) => call !== '');
  await until(() => real(operator).length === 5 && real(own).length === 3, 'everything is told');
  t.deepEqual(real(own).map(about), ofAlice);
  t.deepEqual(
    real(operator)
      .filter(({ node }) => node === 'bob')
      .map(({ call }) => call),
    ['init', 'sign_message'],
  );
  const told = JSON.stringify(
    operator.requests,
    (_key, value: unknown) => String(value) && (typeof value === 'bigint' ? String(value) : value),
  );
  t.false(told.includes('night'));

  await using foreign = watch(host.port, alice, 'bob');
  t.like(await foreign.over, { code: 'PERMISSION_DENIED' });
  await using mistyped = watch(host.port, await authority.operator(), 'carol');
  const error = await mistyped.over;
  t.true(error instanceof StatusError && error.code === 'NOT_FOUND');
});

test('a reader that stops reading does not hold up the node', async (t) => {
  const authority = await Authority.create();
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  await using _signer = attachSigner({ port: host.port, identity: await authority.signer('alice'), handle: honest });
  await using shim = await FakeShim.open(socket, 'alice');
  await shim.ask(0, init);
  await using channel = new Channel(`127.0.0.1:${host.port}`, await authority.operator());
  const stop = new AbortController();
  const stream = channel.client(HostService).trace({ node: '' }, { signal: stop.signal })[Symbol.asyncIterator]();
  const first = stream.next();
  const begin = () => host.node('alice').relay.trace?.(host.node('alice').relay.openLane(lightningd), init);
  await until(() => begin() !== undefined, 'it looks on');
  begin()?.answered('asked');
  await first;
  let told = 1;
  let missed = 0;
  for (let i = 0; i < 200_000; i++) {
    begin()?.answered('asked');
    if (i % 1000 === 0) await settled();
  }
  t.deepEqual(await shim.ask(0, signMessage('hello')), signedMessage);
  while (told + missed < 200_002) {
    const { value, done } = await stream.next();
    if (done === true) break;
    told += value.requests.length;
    missed += Number(value.missed);
  }
  t.true(missed > 0, 'it was too slow');
  t.is(told + missed, 200_002, 'and nothing is left uncounted');
  stop.abort();
});
