/** A channel's announcement, which lightningd has signed twice: without signatures in it, and with the peer's. */

import test from 'ava';
import { loadRecordings } from '../../cli/recordings.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { callOf, decodeMessage, encodeMessage } from '../../proto/hsmd/message.ts';
import { Shortcuts } from '../../server/shortcuts.ts';

const call = 'signAnyCannouncement';

/** A recorded opener's start and its requests for one announcement, with the replies of the real hsmd. */
async function announced() {
  const [session] = await loadRecordings(['test/vectors/hsmd/traces/everyday/l1.jsonl.gz']);
  const rows = (session?.requests ?? []).flatMap(({ client, bytes, expected }) =>
    expected instanceof Uint8Array ? [{ client, bytes, expected }] : [],
  );
  const init = rows.find(({ bytes }) => callOf(bytes) === 'init');
  const [bare, full] = rows.filter(({ bytes }) => callOf(bytes) === call);
  if (init === undefined || bare === undefined || full === undefined) throw new Error('expected two in the recording');
  const shortcuts = new Shortcuts();
  shortcuts.learn(init.client, 'init', init.bytes, { kind: 'reply', bytes: init.expected });
  shortcuts.learn(bare.client, call, bare.bytes, { kind: 'reply', bytes: bare.expected });
  const ask = (bytes: Uint8Array) => shortcuts.answer(bare.client, call, bytes);
  return { bare, full, ask, fields: decodeMessage(calls[call].request, full.bytes) };
}

test('with the peer’s signatures in it the answer is the one that was given without, as hsmd gives it', async (t) => {
  const { bare, full, ask } = await announced();
  t.notDeepEqual(full.bytes, bare.bytes);
  t.deepEqual(ask(full.bytes), { answer: { kind: 'reply', bytes: full.expected }, by: 'known' });
  t.deepEqual(ask(full.bytes)?.answer, ask(bare.bytes)?.answer);
});

test('another byte outside the signatures, another channel, or less than an announcement is asked', async (t) => {
  const { ask, fields } = await announced();
  const request = (more: Partial<typeof fields>) => encodeMessage(calls[call].request, { ...fields, ...more });
  const changed = (at: number) => fields.ca.map((byte, i) => (i === at ? byte ^ 1 : byte));
  t.not(ask(request({ ca: changed(2) })), undefined);
  t.not(ask(request({ ca: changed(257) })), undefined);
  for (const at of [0, 1, 258, fields.ca.length - 1]) t.is(ask(request({ ca: changed(at) })), undefined, `byte ${at}`);
  t.is(ask(request({ dbid: fields.dbid + 1n })), undefined);
  t.is(ask(request({ ca: fields.ca.slice(0, 200) })), undefined);
});
