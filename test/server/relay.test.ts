/** The relay alone, with signers that answer when they are told to and time that passes when it is told to. */

import test from 'ava';
import type { LogFields } from '../../proto/log.ts';
import { patienceFor } from '../../server/refusal.ts';
import { lightningd, Relay, relayDefaults } from '../../server/relay.ts';
import { ManualClock, settled } from './manual_clock.ts';
import { MemoryPort } from './memory_port.ts';
import {
  approved,
  channeld,
  checkFutureSecret,
  correct,
  incorrect,
  init,
  initReply,
  nodeId,
  otherNodeId,
  preapproveInvoice,
  preinit,
  signedMessage,
  signMessage,
} from './messages.ts';

const never = () => new AbortController().signal;

function setUp() {
  const clock = new ManualClock();
  const lines: { readonly message: string; readonly fields: LogFields | undefined }[] = [];
  const log = (_level: string, message: string, fields?: LogFields) => lines.push({ message, fields });
  const relay = new Relay({ clock, log, patienceFor, ...relayDefaults });
  const said = (message: string) => lines.filter((line) => line.message === message);
  return { clock, relay, said };
}

async function attach(relay: Relay, port: MemoryPort): Promise<MemoryPort> {
  relay.signers.attach(port);
  await settled();
  return port;
}

test('a request goes to the signer and its reply comes back', async (t) => {
  const { relay } = setUp();
  const port = await attach(relay, new MemoryPort());
  const client = channeld(7n);
  const answer = relay.ask(relay.openLane(client), checkFutureSecret(1), never());
  await settled();
  t.deepEqual(port.offered(0).request.bytes, checkFutureSecret(1));
  t.is(port.offered(0).request.client, client);
  port.reply(0, correct);
  t.deepEqual(await answer, { kind: 'reply', bytes: correct });
  t.deepEqual(relay.waiting(), []);
  t.is(relay.counts.replied, 1);
});

test('one lane is in order, lanes run side by side', async (t) => {
  const { relay } = setUp();
  const port = await attach(relay, new MemoryPort());
  const [one, two] = [relay.openLane(channeld(1n)), relay.openLane(channeld(2n))];
  const answers = [
    relay.ask(one, checkFutureSecret(1), never()),
    relay.ask(one, checkFutureSecret(2), never()),
    relay.ask(two, checkFutureSecret(3), never()),
  ];
  await settled();
  const numbers = () => port.offers.map(({ request }) => request.bytes[9]);
  t.deepEqual(numbers(), [1, 3]);
  port.reply(1, incorrect);
  t.deepEqual(await answers[2], { kind: 'reply', bytes: incorrect });
  t.deepEqual(numbers(), [1, 3]);
  port.reply(0, correct);
  await answers[0];
  await settled();
  t.deepEqual(numbers(), [1, 3, 2]);
  port.reply(2, correct);
  await answers[1];
  t.is(port.offered(2).request.settledBelow, port.offered(2).request.id);
});

test('requests wait while no signer is attached, and the log says so every so often', async (t) => {
  const { relay, clock, said } = setUp();
  const answer = relay.ask(relay.openLane(lightningd), signMessage('hello'), never());
  await clock.pass(30_000);
  const reminders = said('requests wait for a signer');
  t.is(reminders.length, 3);
  t.deepEqual(reminders[2]?.fields, { waiting: 1, oldest: 'sign_message', oldest_ms: 30_000 });
  t.is(relay.waiting()[0]?.holder, undefined);
  const port = await attach(relay, new MemoryPort());
  port.reply(0, signedMessage);
  t.deepEqual(await answer, { kind: 'reply', bytes: signedMessage });
});

test('a request whose patience ends is settled, and the answer that comes later is dropped', async (t) => {
  const { relay, clock } = setUp();
  const port = await attach(relay, new MemoryPort());
  const answer = relay.ask(relay.openLane(lightningd), preapproveInvoice, never());
  await clock.pass(59_999);
  t.is(relay.waiting().length, 1);
  t.deepEqual(port.withdrawn, []);
  await clock.pass(1);
  t.deepEqual(await answer, { kind: 'unavailable', message: 'no signer answered within 60 s' });
  t.deepEqual(port.withdrawn, [port.offered(0).request.id]);
  port.reply(0, approved);
  await settled();
  t.is(relay.counts.replied, 0);
  t.is(relay.counts.unavailable, 1);
});

test('where a no would hurt the node the request waits for as long as it takes', async (t) => {
  const { relay, clock } = setUp();
  const answer = relay.ask(relay.openLane(lightningd), signMessage('hello'), never());
  await clock.pass(7 * 24 * 60 * 60 * 1000);
  const port = await attach(relay, new MemoryPort());
  port.reply(0, signedMessage);
  t.is((await answer).kind, 'reply');
});

test('where a no would hurt the node a signer that has no answer now is asked again', async (t) => {
  const { relay, clock } = setUp();
  const port = await attach(relay, new MemoryPort());
  const answer = relay.ask(relay.openLane(lightningd), signMessage('hello'), never());
  await settled();
  port.offered(0).answer({ kind: 'unavailable', message: 'the card is not there' });
  await clock.pass(4_999);
  t.is(port.offers.length, 1);
  await clock.pass(1);
  t.is(port.offered(1).request.id, port.offered(0).request.id);
  port.reply(1, signedMessage);
  t.is((await answer).kind, 'reply');
});

test('an answer of another kind than the request asks for never reaches lightningd, and is logged once', async (t) => {
  const { relay, said } = setUp();
  const port = await attach(relay, new MemoryPort());
  const lane = relay.openLane(channeld(1n));
  for (const [i, garbage] of [
    signedMessage,
    correct.subarray(0, 2),
    new Uint8Array(),
    Uint8Array.of(0, 122, 2),
  ].entries()) {
    const answer = relay.ask(lane, checkFutureSecret(1), never());
    await settled();
    port.reply(i, garbage);
    t.deepEqual(await answer, { kind: 'unavailable', message: 'the signer gave an answer of another kind' });
  }
  const silence = relay.ask(lane, checkFutureSecret(1), never());
  await settled();
  port.offered(4).answer({ kind: 'silent' });
  t.is((await silence).kind, 'unavailable');
  t.is(said('signer gave an unfit answer').length, 1);
});

test('a refusal and a malformed request are passed on as they are', async (t) => {
  const { relay } = setUp();
  const port = await attach(relay, new MemoryPort());
  const lane = relay.openLane(channeld(1n));
  for (const [i, given] of [
    { kind: 'refused', tag: 'policy-test', message: 'no' } as const,
    { kind: 'malformed', message: 'bad' } as const,
  ].entries()) {
    const answer = relay.ask(lane, checkFutureSecret(1), never());
    await settled();
    port.offered(i).answer(given);
    t.deepEqual(await answer, given);
  }
  t.like(relay.counts, { refused: 1, malformed: 1, replied: 0 });
});

test('what the signer had when its connection broke is offered to the next with the same id', async (t) => {
  const { relay } = setUp();
  const first = await attach(relay, new MemoryPort('phone', 'same'));
  const answers = [1, 2].map((n) => relay.ask(relay.openLane(channeld(BigInt(n))), checkFutureSecret(n), never()));
  await settled();
  relay.signers.detach(first, 'lost');
  first.break();
  await settled();
  const second = await attach(relay, new MemoryPort('phone', 'same'));
  t.true(second.active);
  t.true(second.lease > first.lease);
  t.deepEqual(
    second.offers.map(({ request }) => request.id),
    first.offers.map(({ request }) => request.id),
  );
  for (const i of [0, 1]) second.reply(i, correct);
  await Promise.all(answers);
  t.is(relay.counts.replied, 2);
});

test('the same signer attached again replaces its older connection, before or after that breaks', async (t) => {
  const { relay } = setUp();
  const first = await attach(relay, new MemoryPort('phone', 'same'));
  const answer = relay.ask(relay.openLane(channeld(1n)), checkFutureSecret(1), never());
  await settled();
  const second = await attach(relay, new MemoryPort('phone', 'same'));
  t.is(first.dismissed, 'this signer attached again');
  t.true(second.active);
  t.is(second.offers.length, 0);
  first.break();
  await settled();
  second.reply(0, correct);
  t.is((await answer).kind, 'reply');
  t.is(relay.signers.list().length, 1);
});

test('a second signer stands by and takes over with a higher fencing number when the first does not come back', async (t) => {
  const { relay, clock } = setUp();
  const first = await attach(relay, new MemoryPort('phone'));
  const second = await attach(relay, new MemoryPort('desk'));
  t.false(second.active);
  const answer = relay.ask(relay.openLane(channeld(1n)), checkFutureSecret(1), never());
  await settled();
  t.is(second.offers.length, 0);
  relay.signers.detach(first, 'lost');
  first.break();
  await clock.pass(2_999);
  t.is(second.offers.length, 0);
  await clock.pass(1);
  t.true(second.active);
  t.true(second.lease > first.lease);
  first.reply(0, incorrect);
  second.reply(0, correct);
  t.deepEqual(await answer, { kind: 'reply', bytes: correct });
});

test('a lost signer that comes back in time keeps its place', async (t) => {
  const { relay, clock } = setUp();
  const first = await attach(relay, new MemoryPort('phone', 'p'));
  const second = await attach(relay, new MemoryPort('desk', 'd'));
  relay.signers.detach(first, 'lost');
  await clock.pass(1_000);
  const again = await attach(relay, new MemoryPort('phone', 'p'));
  await clock.pass(10_000);
  t.true(again.active);
  t.false(second.active);
});

test('an active signer that says it signs nothing is not asked, and gives way to the next that can start', async (t) => {
  const { relay, clock } = setUp();
  relay.restart({ preinit: undefined, init, nodeId });
  const first = await attach(relay, new MemoryPort('phone'));
  const unavailable = { kind: 'unavailable', message: 'its state is behind' } as const;
  first.reply(0, initReply());
  await settled();
  const answer = relay.ask(relay.openLane(channeld(1n)), checkFutureSecret(1), never());
  await settled();
  relay.signers.doubt(first);
  first.offered(1).answer(unavailable);
  first.offered(2).answer(unavailable);
  await clock.pass(4_000);
  t.is(relay.waiting().length, 1, 'a no would end channeld');
  const second = await attach(relay, new MemoryPort('desk'));
  relay.signers.doubt(second);
  second.reply(0, initReply());
  await clock.pass(1_000);
  t.deepEqual(first.offered(3).request.bytes, init);
  first.offered(3).answer(unavailable);
  await settled();
  t.regex(first.dismissed ?? '', /another signer can/);
  t.true(second.active);
  t.true(second.lease > first.lease);
  second.reply(1, correct);
  t.deepEqual(await answer, { kind: 'reply', bytes: correct });
});

test('after a goodbye the next signer takes over at once', async (t) => {
  const { relay } = setUp();
  const first = await attach(relay, new MemoryPort('phone'));
  const second = await attach(relay, new MemoryPort('desk'));
  relay.signers.detach(first, 'goodbye');
  t.true(second.active);
});

test('lightningd is initialised once, every signer that attaches later too, before it is asked anything', async (t) => {
  const { relay } = setUp();
  relay.restart(undefined);
  relay.preinit = preinit;
  const first = await attach(relay, new MemoryPort('phone', 'p'));
  const lane = relay.openLane(lightningd);
  const started = relay.ask(lane, init, never());
  await settled();
  t.deepEqual(first.offered(0).request.bytes, preinit);
  first.offered(0).answer({ kind: 'silent' });
  await settled();
  t.deepEqual(first.offered(1).request.bytes, init);
  first.reply(1, initReply());
  t.deepEqual(await started, { kind: 'reply', bytes: initReply() });

  relay.signers.detach(first, 'lost');
  const answer = relay.ask(lane, signMessage('hello'), never());
  const second = await attach(relay, new MemoryPort('phone', 'p'));
  second.offered(0).answer({ kind: 'silent' });
  await settled();
  t.is(second.offers.length, 2);
  second.reply(1, initReply());
  await settled();
  t.deepEqual(second.offered(2).request.bytes, signMessage('hello'));
  second.reply(2, signedMessage);
  t.is((await answer).kind, 'reply');
});

test('a signer with the keys of another node is sent away', async (t) => {
  const { relay, said } = setUp();
  relay.restart({ preinit: undefined, init, nodeId: initReply().subarray(12, 45) });
  const wrong = await attach(relay, new MemoryPort('wrong'));
  const right = await attach(relay, new MemoryPort('right'));
  wrong.reply(0, initReply(otherNodeId));
  right.reply(0, initReply());
  await settled();
  t.regex(wrong.dismissed ?? '', /holds the keys of another node/);
  t.is(said('signer sent away').length, 1);
  t.is(relay.signers.current, right);
  t.deepEqual(
    relay.signers.list().map(({ port }) => port),
    [right],
  );
});

test('a signer that cannot initialise yet is asked again', async (t) => {
  const { relay, clock } = setUp();
  relay.restart({ preinit: undefined, init, nodeId: initReply().subarray(12, 45) });
  const port = await attach(relay, new MemoryPort());
  port.offered(0).answer({ kind: 'unavailable', message: 'locked' });
  await clock.pass(5_000);
  t.is(relay.signers.current, undefined);
  port.reply(1, initReply());
  await settled();
  t.is(relay.signers.current, port);
});

test('a connection that closes takes its request with it', async (t) => {
  const { relay } = setUp();
  const port = await attach(relay, new MemoryPort());
  const closed = new AbortController();
  const answer = relay.ask(relay.openLane(channeld(1n)), checkFutureSecret(1), closed.signal);
  await settled();
  closed.abort();
  await t.throwsAsync(answer, { any: true });
  t.deepEqual(port.withdrawn, [port.offered(0).request.id]);
  t.deepEqual(relay.waiting(), []);
});

test('the answer to an init that nobody waits for any more does not count as lightningd’s start', async (t) => {
  const { relay } = setUp();
  const port = await attach(relay, new MemoryPort());
  const gone = new AbortController();
  const started = relay.ask(relay.openLane(lightningd), init, gone.signal);
  await settled();
  gone.abort();
  await t.throwsAsync(started, { any: true });
  port.reply(0, initReply());
  await settled();
  t.is(relay.start, undefined);
});

test('a request of no known type is malformed, and no signer sees it', async (t) => {
  const { relay } = setUp();
  const port = await attach(relay, new MemoryPort());
  for (const bytes of [new Uint8Array(), Uint8Array.of(0), Uint8Array.of(0, 100), Uint8Array.of(255, 255)])
    t.is((await relay.ask(relay.openLane(lightningd), bytes, never())).kind, 'malformed');
  t.is(port.offers.length, 0);
});
