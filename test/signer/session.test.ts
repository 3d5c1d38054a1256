/** The signer's end of the link alone: a host that is played here, and time that passes when it is told to. */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import test from 'ava';
import type { Answer, ClientIdentity } from '../../proto/answer.ts';
import type { ToSigner } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { FromSignerSchema, ToSignerSchema, type Welcome } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import type { FromSignerInit } from '../../proto/link.ts';
import { silent } from '../../proto/log.ts';
import { Outbox } from '../../proto/outbox.ts';
import { type Link, Session } from '../../signer/session.ts';
import { ManualClock, settled } from '../server/manual_clock.ts';
import { channeld, checkFutureSecret, correct, init, initReply, signMessage } from '../server/messages.ts';

type Message = NonNullable<MessageInitShape<typeof ToSignerSchema>['message']>;

/** One stream to the session under test. */
class Stream implements Link {
  readonly received = new Outbox<ToSigner>();
  readonly sent: FromSignerInit[] = [];
  abandoned: string | undefined;

  send(message: FromSignerInit): void {
    this.sent.push(message);
  }

  abandon(reason: string): void {
    this.abandoned = reason;
    this.received.fail(new Error(reason));
  }

  say(message: Message): void {
    this.received.push(create(ToSignerSchema, { message }));
  }

  welcome(change: Partial<Welcome> = {}): void {
    const boot = new Uint8Array(16).fill(1);
    this.say({
      case: 'welcome',
      value: { protocol: 1, boot, node: 'alice', lease: 5n, active: true, heartbeatMs: 1000, ...change },
    });
  }

  ask(id: bigint, message: Uint8Array, more: { readonly lane?: bigint; readonly settledBelow?: bigint } = {}): void {
    this.say({ case: 'request', value: { id, lane: 1n, client: channeld(1n), message, settledBelow: 0n, ...more } });
  }

  /** Everything of one kind that the session said. */
  said<C extends 'hello' | 'answer' | 'heartbeat'>(kind: C) {
    return this.sent.flatMap((each) => {
      const { message } = create(FromSignerSchema, each);
      return message.case === kind ? [message.value as Extract<typeof message, { case: C }>['value']] : [];
    });
  }
}

interface Handled {
  readonly client: ClientIdentity;
  readonly bytes: Uint8Array;
  readonly answer: (answer: Answer) => void;
  readonly fail: (error: unknown) => void;
}

function setUp() {
  const clock = new ManualClock();
  const handled: Handled[] = [];
  const signer = {
    handle: (client: ClientIdentity, bytes: Uint8Array) =>
      new Promise<Answer>((answer, fail) => handled.push({ client, bytes, answer, fail })),
  };
  const id = new Uint8Array(16).fill(7);
  const { signal } = new AbortController();
  const session = new Session({ signer, id, name: 'phone', software: 'test', clock, log: silent, signal });
  const open = () => {
    const stream = new Stream();
    const over = session.run(stream, () => {});
    return { stream, over };
  };
  const reply = (index: number, bytes = correct) => handled[index]?.answer({ kind: 'reply', bytes });
  return { clock, handled, session, open, reply };
}

test('says who it is, then answers requests by their ids', async (t) => {
  const { open, handled, reply } = setUp();
  const { stream } = open();
  await settled();
  t.like(stream.said('hello')[0], { protocol: 1, name: 'phone', software: 'test' });
  stream.welcome();
  stream.ask(1000n, checkFutureSecret(1));
  await settled();
  t.deepEqual(handled[0]?.bytes, checkFutureSecret(1));
  t.like(handled[0]?.client, { dbid: 1n, capabilities: 447n });
  reply(0);
  await settled();
  t.like(stream.said('answer')[0], { id: 1000n, outcome: { case: 'reply', value: correct } });
});

test('one lane is carried out in order, lanes side by side', async (t) => {
  const { open, handled, reply } = setUp();
  const { stream } = open();
  stream.welcome();
  stream.ask(1n, checkFutureSecret(1));
  stream.ask(2n, checkFutureSecret(2));
  stream.ask(3n, checkFutureSecret(3), { lane: 2n });
  await settled();
  const numbers = () => handled.map(({ bytes }) => bytes[9]);
  t.deepEqual(numbers(), [1, 3]);
  reply(1);
  await settled();
  t.deepEqual(numbers(), [1, 3]);
  handled[0]?.fail(new Error('broken'));
  await settled();
  t.deepEqual(numbers(), [1, 3, 2]);
  reply(2);
  await settled();
  t.deepEqual(
    stream.said('answer').map(({ id, outcome }) => [id, outcome.case]),
    [
      [3n, 'reply'],
      [1n, 'unavailable'],
      [2n, 'reply'],
    ],
  );
});

test('what is asked again after the link broke is answered again, not carried out again', async (t) => {
  const { open, handled, reply } = setUp();
  const first = open();
  first.stream.welcome();
  first.stream.ask(1n, checkFutureSecret(1));
  first.stream.ask(2n, checkFutureSecret(2), { lane: 2n });
  await settled();
  reply(0);
  first.stream.received.fail(new Error('cut'));
  await t.throwsAsync(first.over, { message: 'cut' });
  const { stream } = open();
  stream.welcome();
  stream.ask(1n, checkFutureSecret(1));
  stream.ask(2n, checkFutureSecret(2), { lane: 2n });
  await settled();
  t.deepEqual(
    stream.said('answer').map(({ id }) => id),
    [1n],
  );
  reply(1);
  await settled();
  t.deepEqual(
    stream.said('answer').map(({ id }) => id),
    [1n, 2n],
  );
  t.is(handled.length, 2);
});

test('a request that there was no answer to is carried out when it is asked again', async (t) => {
  const { open, handled, reply } = setUp();
  const { stream } = open();
  stream.welcome();
  stream.ask(1n, checkFutureSecret(1));
  await settled();
  handled[0]?.answer({ kind: 'unavailable', message: 'locked' });
  await settled();
  stream.ask(1n, checkFutureSecret(1));
  await settled();
  t.is(handled.length, 2);
  reply(1);
  await settled();
  t.deepEqual(
    stream.said('answer').map(({ id, outcome }) => [id, outcome.case]),
    [
      [1n, 'unavailable'],
      [1n, 'reply'],
    ],
  );
});

test('an id that comes back with other bytes is neither carried out nor answered with the first reply', async (t) => {
  const { open, handled, reply } = setUp();
  const { stream } = open();
  stream.welcome();
  stream.ask(1n, checkFutureSecret(1));
  await settled();
  reply(0);
  await settled();
  stream.ask(1n, checkFutureSecret(2));
  await settled();
  t.is(handled.length, 1);
  t.deepEqual(
    stream.said('answer').map(({ outcome }) => outcome.case),
    ['reply', 'unavailable'],
  );
});

test('what the host has settled is forgotten, and everything when the host was started again', async (t) => {
  const { open, handled, reply } = setUp();
  const first = open();
  first.stream.welcome();
  first.stream.ask(1n, checkFutureSecret(1));
  await settled();
  reply(0);
  await settled();
  first.stream.ask(2n, checkFutureSecret(2), { settledBelow: 2n });
  await settled();
  reply(1);
  await settled();
  first.stream.ask(1n, checkFutureSecret(1), { settledBelow: 2n });
  await settled();
  t.is(handled.length, 3);
  first.stream.received.close();
  await first.over;
  const { stream } = open();
  stream.welcome({ boot: new Uint8Array(16).fill(2) });
  stream.ask(2n, checkFutureSecret(2));
  await settled();
  t.is(handled.length, 4);
});

test('standing by it does nothing but initialise, until it is promoted under a higher number', async (t) => {
  const { open, handled, reply, session } = setUp();
  const { stream } = open();
  stream.welcome({ active: false, lease: 5n });
  stream.ask(1n, init);
  stream.ask(2n, signMessage('hello'));
  await settled();
  t.is(handled.length, 1);
  reply(0, initReply());
  await settled();
  t.deepEqual(
    stream.said('answer').map(({ outcome }) => outcome.case),
    ['unavailable', 'reply'],
  );
  stream.say({ case: 'promote', value: { lease: 5n } });
  await settled();
  t.false(session.standing.active);
  stream.say({ case: 'promote', value: { lease: 6n } });
  stream.ask(3n, signMessage('hello'));
  await settled();
  t.deepEqual(session.standing, { active: true, lease: 6n });
  t.is(handled.length, 2);
});

test('it asks whether the host lives, answers when asked, and gives up a host that is silent', async (t) => {
  const { open, clock } = setUp();
  const { stream, over } = open();
  stream.welcome({ heartbeatMs: 1000 });
  await settled();
  t.is(stream.said('heartbeat')[0]?.ping, 1n);
  stream.say({ case: 'heartbeat', value: { ping: 9n } });
  stream.say({ case: 'heartbeat', value: { pong: 1n } });
  await settled();
  t.is(stream.said('heartbeat')[1]?.pong, 9n);
  await clock.pass(2_999);
  t.is(stream.abandoned, undefined);
  await clock.pass(1);
  t.is(stream.abandoned, 'the host has fallen silent');
  await t.throwsAsync(over, { message: /silent/ });
});

test('a host that never says its welcome is given up', async (t) => {
  const { open, clock } = setUp();
  const { stream, over } = open();
  await clock.pass(29_999);
  t.is(stream.abandoned, undefined);
  await clock.pass(1);
  t.is(stream.abandoned, 'the host says no welcome');
  await t.throwsAsync(over, { message: /welcome/ });
  const later = open();
  later.stream.welcome({ heartbeatMs: 60_000 });
  await clock.pass(31_000);
  t.is(later.stream.abandoned, undefined);
});

test('a goodbye ends the stream and says why', async (t) => {
  const { open, session } = setUp();
  const { stream, over } = open();
  stream.welcome();
  const value = { reason: 'it holds the keys of another node', unfit: true };
  stream.say({ case: 'goodbye', value });
  t.deepEqual(await over, value);
  t.false(session.standing.active);
});

test('a host of another protocol, or that asks before its welcome, is not served', async (t) => {
  const { open, handled } = setUp();
  const other = open();
  other.stream.welcome({ protocol: 2 });
  await t.throwsAsync(other.over, { message: /expected protocol 1 of the host, got 2/ });
  const early = open();
  early.stream.ask(1n, checkFutureSecret(1));
  await t.throwsAsync(early.over, { message: /expected a welcome before the first request/ });
  t.is(handled.length, 0);
});
