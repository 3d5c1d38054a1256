/** Commitments with many HTLCs over a link: how often the node waits, and what happens when something stops in between. */

import test from 'ava';
import type { Answer, ClientIdentity } from '../../proto/answer.ts';
import type { Relay } from '../../server/relay.ts';
import { noPolicy } from '../../signer/policy/policy.ts';
import { join, makeRelay, makeSession } from './joined.ts';
import { type LargeCommitment, largeCommitment } from './large_commitment.ts';
import { Replayed, signerOf } from './replayed.ts';

const never = () => new AbortController().signal;

/** A relay whose node has opened its channel, and a session that signs for it. */
async function opened({ session, before }: LargeCommitment) {
  const relay = makeRelay();
  const signer = signerOf(session);
  const stream = await join(relay, makeSession(signer));
  const node = new Replayed(relay);
  for (const request of before) await node.ask(request);
  return { relay, stream, signer };
}

function asking(relay: Relay, client: ClientIdentity) {
  const lane = relay.openLane(client);
  return (bytes: Uint8Array): Promise<Answer> => relay.ask(lane, bytes, never());
}

/** The signatures that a signer gives which is asked for each. */
async function oneByOne({ session, before, client, htlcs }: LargeCommitment): Promise<readonly Answer[]> {
  const signer = signerOf(session, noPolicy);
  for (const request of before) await signer.handle(request.client, request.bytes);
  return Promise.all(htlcs.map((bytes) => signer.handle(client, bytes)));
}

test('a commitment with 483 HTLCs is one round trip', async (t) => {
  const large = await largeCommitment(483);
  t.is(large.htlcs.length, 483);
  const { relay } = await opened(large);
  const ask = asking(relay, large.client);
  const before = relay.tally.total('asked');
  t.is((await ask(large.commitment)).kind, 'reply');
  const answers: Answer[] = [];
  for (const bytes of large.htlcs) answers.push(await ask(bytes));
  t.is(relay.tally.total('asked') - before, 1);
  t.deepEqual(answers, await oneByOne(large));
});

test('asked in another order than foreseen, or only some of them, each gets its own signature', async (t) => {
  const large = await largeCommitment(30);
  const { relay } = await opened(large);
  const ask = asking(relay, large.client);
  await ask(large.commitment);
  const expected = await oneByOne(large);
  for (const index of [29, 3, 17, 0]) {
    const bytes = large.htlcs[index];
    if (bytes !== undefined) t.deepEqual(await ask(bytes), expected[index]);
  }
  t.like(relay.tally.byCall().get('signRemoteHtlcTx'), { ahead: 4, asked: 0 });
});

test('the signer restarts in the middle of a commitment with 30 HTLCs: the rest is asked of the new one', async (t) => {
  const large = await largeCommitment(30);
  const { relay, stream } = await opened(large);
  const ask = asking(relay, large.client);
  await ask(large.commitment);
  const answers: Answer[] = [];
  for (const bytes of large.htlcs.slice(0, 10)) answers.push(await ask(bytes));
  relay.signers.detach(stream.port, 'goodbye');
  await stream.cut();
  await join(relay, makeSession(signerOf(large.session), new Uint8Array(16).fill(9)));
  for (const bytes of large.htlcs.slice(10)) answers.push(await ask(bytes));
  t.deepEqual(answers, await oneByOne(large));
  t.like(relay.tally.byCall().get('signRemoteHtlcTx'), { ahead: 10, asked: 20 });
});

test('the link cut in the middle of a commitment with 30 HTLCs changes nothing', async (t) => {
  const large = await largeCommitment(30);
  const relay = makeRelay();
  const session = makeSession(signerOf(large.session));
  const stream = await join(relay, session);
  const node = new Replayed(relay);
  for (const request of large.before) await node.ask(request);
  const ask = asking(relay, large.client);
  await ask(large.commitment);
  const answers: Answer[] = [];
  for (const bytes of large.htlcs.slice(0, 10)) answers.push(await ask(bytes));
  await stream.cut();
  for (const bytes of large.htlcs.slice(10, 20)) answers.push(await ask(bytes));
  await join(relay, session);
  for (const bytes of large.htlcs.slice(20)) answers.push(await ask(bytes));
  t.deepEqual(answers, await oneByOne(large));
  t.like(relay.tally.byCall().get('signRemoteHtlcTx'), { ahead: 30, asked: 0 });
});
