/** What a host keeps of answers that nobody asked for yet. */

import test from 'ava';
import type { AnswerAhead } from '../../proto/answer.ts';
import { KnownReplies, requestSha256 } from '../../server/ahead.ts';
import { channeld, nodeId, otherNodeId } from './messages.ts';

const bytes = (...values: number[]) => Uint8Array.of(...values);
const request = bytes(0, 18, 1);
const reply = bytes(0, 118, 9);
const client = channeld(1n);

function answer(to: Uint8Array, more: Partial<AnswerAhead> = {}): AnswerAhead {
  return { requestSha256: requestSha256(to), reply, stays: false, ...more };
}

test('a reply goes to the very bytes of the very client, and only once', (t) => {
  const known = new KnownReplies();
  known.keep(client, [answer(request)]);
  t.is(known.take(client, bytes(0, 18, 2)), undefined);
  t.is(known.take(client, bytes(0, 18, 1, 0)), undefined);
  t.is(known.take(client, bytes(0, 18)), undefined);
  t.is(known.take(channeld(2n), request), undefined);
  t.is(known.take({ nodeId: otherNodeId, dbid: 1n }, request), undefined);
  t.deepEqual(known.take(client, request), reply);
  t.is(known.take(client, request), undefined);
  t.is(known.size, 0);
});

test('a reply that stays is given again, whatever is asked in between; another one is dropped then', (t) => {
  const known = new KnownReplies();
  const other = bytes(0, 20, 1);
  known.keep(client, [answer(request, { stays: true }), answer(other)]);
  known.moveOn(client);
  t.is(known.take(client, other), undefined);
  t.deepEqual(known.take(client, request), reply);
  t.deepEqual(known.take(client, request), reply);
});

test('one client moving on leaves what is for another', (t) => {
  const known = new KnownReplies();
  known.keep(client, [answer(request), answer(request, { client: { nodeId, dbid: 2n } })]);
  known.moveOn(client);
  t.is(known.take(client, request), undefined);
  t.deepEqual(known.take(channeld(2n), request), reply);
});

test('what is kept is a copy, and what cannot be an answer is not kept', (t) => {
  const known = new KnownReplies();
  const mine = Uint8Array.from(reply);
  known.keep(client, [answer(request, { reply: mine })]);
  mine.fill(0);
  t.deepEqual(known.take(client, request), reply);
  known.keep(client, [
    answer(request, { requestSha256: new Uint8Array(31) }),
    answer(request, { reply: new Uint8Array(65_537) }),
  ]);
  t.is(known.size, 0);
});

test('a flood stays within its bound, for one client and for thousands', (t) => {
  const most = 100_000;
  const known = new KnownReplies(most);
  const numbered = (i: number) => bytes(0, 20, i >> 8, i & 255);
  known.keep(channeld(7n), [answer(request, { stays: true })]);
  for (let i = 0; i < 2_000; i++) {
    known.keep(client, [answer(numbered(i))]);
    t.true(known.size <= most);
  }
  for (let i = 0; i < 2_000; i++) {
    known.keep(channeld(BigInt(i + 10)), [answer(request)]);
    t.true(known.size <= most);
  }
  t.is(known.take(channeld(7n), request), undefined);
  t.deepEqual(known.take(channeld(2_009n), request), reply);
  known.keep(
    client,
    Array.from({ length: 5_000 }, (_, i) => answer(numbered(i))),
  );
  t.true(known.size <= most);
});

test('of what stays a channel keeps the latest few, and using one keeps it', (t) => {
  const known = new KnownReplies();
  const numbered = (i: number) => bytes(0, 18, i);
  for (let i = 0; i < 40; i++) {
    known.keep(client, [answer(numbered(i), { stays: true })]);
    known.take(client, numbered(0));
  }
  t.deepEqual(known.take(client, numbered(0)), reply);
  t.is(known.take(client, numbered(1)), undefined);
  t.deepEqual(known.take(client, numbered(39)), reply);
});
