/** Wallet keys that the host checks itself, against the keys of the recorded nodes. */

import { fileURLToPath } from 'node:url';
import test from 'ava';
import { loadRecordings } from '../../cli/recordings.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { callOf, decodeMessage, encodeMessage } from '../../proto/hsmd/message.ts';
import { PublicAnswers } from '../../server/public_answers.ts';
import { initReply, nodeId } from './messages.ts';

const traces = fileURLToPath(new URL('../../../test/vectors/hsmd/traces', import.meta.url));

/** The first start of a recorded node. */
async function started(trace: string) {
  const [session] = await loadRecordings([`${traces}/${trace}.jsonl.gz`]);
  const init = session?.requests.find(({ bytes }) => callOf(bytes) === 'init');
  if (session === undefined || !(init?.expected instanceof Uint8Array)) throw new Error(`no start in ${trace}`);
  const answers = PublicAnswers.from(init.expected);
  if (answers === undefined) throw new Error('init failed');
  return { session, answers };
}

for (const [trace, call] of [
  ['everyday/l1', 'checkBip86Pubkey'],
  ['everyday_legacy/l1', 'checkPubkey'],
] as const)
  test(`every ${call} of ${trace} is answered as hsmd did`, async (t) => {
    const { session, answers } = await started(trace);
    const asked = session.requests.filter(({ bytes }) => callOf(bytes) === call);
    t.true(asked.length > 50);
    for (const { bytes, expected } of asked)
      t.deepEqual(answers.answer(call, bytes), expected instanceof Uint8Array && { kind: 'reply', bytes: expected });
  });

test('another key, or the right one at another index, is refused as hsmd refuses it', async (t) => {
  const { session, answers } = await started('everyday/l1');
  const [first] = session.requests.filter(({ bytes }) => callOf(bytes) === 'checkBip86Pubkey');
  const { index, pubkey } = decodeMessage(calls.checkBip86Pubkey.request, first?.bytes ?? new Uint8Array());
  const check = (at: number, key: Uint8Array) =>
    answers.answer('checkBip86Pubkey', encodeMessage(calls.checkBip86Pubkey.request, { index: at, pubkey: key }));
  t.is(check(index, pubkey)?.kind, 'reply');
  t.deepEqual(check(index + 1, pubkey), {
    kind: 'malformed',
    message: `lightningd derived another key for index ${index + 1}`,
  });
  t.is(check(index, nodeId)?.kind, 'malformed');
  // A BIP 86 key is no BIP 32 key.
  t.is(answers.answer('checkPubkey', encodeMessage(calls.checkPubkey.request, { index, pubkey }))?.kind, 'malformed');
});

test('what the host cannot say it leaves to the signer', async (t) => {
  const { answers } = await started('everyday/l1');
  const legacy = (await started('everyday_legacy/l1')).answers;
  const ask = (from: PublicAnswers, index: number) =>
    from.answer('checkBip86Pubkey', encodeMessage(calls.checkBip86Pubkey.request, { index, pubkey: nodeId }));
  t.is(ask(legacy, 0), undefined, 'no BIP 86 keys');
  t.is(ask(answers, 0x80000000), undefined, 'a hardened index');
  t.is(answers.answer('checkBip86Pubkey', Uint8Array.of(0, 56, 0)), undefined, 'cut short');
  t.is(answers.answer('signMessage', Uint8Array.of(0, 23)), undefined, 'another call');
  const without = PublicAnswers.from(initReply());
  t.is(without && ask(without, 0), undefined, 'extended keys that are none');
  t.is(PublicAnswers.from(Uint8Array.of(0, 115)), undefined, 'init failed');
});
