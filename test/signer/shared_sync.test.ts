/** Requests of several lanes over one state: their changes share a sync, and no reply leaves before its own is durable. */

import { sha256 } from '@noble/hashes/sha2.js';
import test from 'ava';
import { loadRecordings } from '../../cli/recordings.ts';
import type { Answer } from '../../proto/answer.ts';
import { systemClock } from '../../proto/clock.ts';
import { calls, lightningdCapabilities } from '../../proto/hsmd/calls.ts';
import { callOf, encodeMessage } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { approveAll } from '../../signer/policy/purpose.ts';
import { profiles } from '../../signer/policy/settings.ts';
import { validating } from '../../signer/policy/validating.ts';
import { GroupCommit } from '../../signer/store/group_commit.ts';
import { State } from '../../signer/store/state.ts';
import { emptySnapshot } from '../../signer/store/store.ts';
import { settled } from '../server/manual_clock.ts';
import { signerOf } from '../server/replayed.ts';

const lightningd = { nodeId: new Uint8Array(33), dbid: 0n, capabilities: lightningdCapabilities };

/** An approval: a change of the state that rests on nothing. */
const keysend = (n: number) =>
  encodeMessage(calls.preapproveKeysend.request, {
    destination: new Uint8Array(33).fill(2),
    paymentHash: new Uint8Array(32).fill(n),
    amountMsat: 1_000n,
  });

/** A signer whose disk is in the test's hands. */
async function setUp() {
  const syncs: { readonly commits: number; readonly done: () => void; readonly fail: (error: Error) => void }[] = [];
  let isHeld = false;
  const backend = {
    persist: (batch: readonly unknown[]) =>
      isHeld ? new Promise<void>((done, fail) => syncs.push({ commits: batch.length, done, fail })) : Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const store = new GroupCommit(new State(emptySnapshot), backend, sha256);
  const policy = validating({
    settings: profiles.test,
    approver: approveAll,
    openStore: () => Promise.resolve(store),
    clock: systemClock,
    log: silent,
    height: () => undefined,
  });
  const [session] = await loadRecordings(['test/vectors/hsmd/traces/everyday/l1.jsonl.gz']);
  const init = session?.requests.find(({ bytes }) => callOf(bytes) === 'init');
  if (session === undefined || init === undefined) throw new Error('no recorded init');
  const signer = signerOf(session, policy);
  await signer.handle(init.client, init.bytes);
  isHeld = true;
  const answered: Answer[] = [];
  const ask = (n: number) => void signer.handle(lightningd, keysend(n)).then((answer) => answered.push(answer));
  return { syncs, answered, ask };
}

test('what many lanes change while one sync is on its way shares the next, and each waits for its own', async (t) => {
  const { syncs, answered, ask } = await setUp();
  ask(0);
  await settled();
  t.deepEqual(
    syncs.map(({ commits }) => commits),
    [1],
  );
  for (let n = 1; n <= 20; n++) ask(n);
  await settled();
  t.is(syncs.length, 1);
  t.is(answered.length, 0);
  syncs[0]?.done();
  await settled();
  t.deepEqual(
    answered.map(({ kind }) => kind),
    ['reply'],
  );
  t.deepEqual(
    syncs.map(({ commits }) => commits),
    [1, 20],
  );
  syncs[1]?.done();
  await settled();
  t.is(answered.length, 21);
  t.true(answered.every(({ kind }) => kind === 'reply'));
});

test('a sync that fails gives none of those who share it a reply, and none to who comes later', async (t) => {
  const { syncs, answered, ask } = await setUp();
  ask(0);
  await settled();
  for (const n of [1, 2, 3]) ask(n);
  await settled();
  syncs[0]?.done();
  await settled();
  t.deepEqual(
    answered.map(({ kind }) => kind),
    ['reply'],
  );
  syncs[1]?.fail(new Error('no space left'));
  await settled();
  ask(4);
  await settled();
  t.deepEqual(
    answered.map(({ kind }) => kind),
    ['reply', 'unavailable', 'unavailable', 'unavailable', 'unavailable'],
  );
  t.is(syncs.length, 2);
});
