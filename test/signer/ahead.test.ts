/** What a signer foresees: compared with what recorded nodes really asked, and kept from giving away what must be asked for. */

import test from 'ava';
import { loadRecordings, type RecordedSession } from '../../cli/recordings.ts';
import type { AnswerAhead, ClientIdentity } from '../../proto/answer.ts';
import { equalBytes, toHex } from '../../proto/bytes.ts';
import { type Call, calls } from '../../proto/hsmd/calls.ts';
import { callOf, decodeMessage, messageType } from '../../proto/hsmd/message.ts';
import { requestSha256 } from '../../server/ahead.ts';
import { noPolicy, type Policy } from '../../signer/policy/policy.ts';
import { Refusal } from '../../signer/refusal.ts';
import { signerOf } from '../server/replayed.ts';

const sessions = await loadRecordings(['test/vectors/hsmd/traces']);

interface Played {
  /** What was given ahead before each request, for its client and bytes. */
  readonly foreseen: readonly (Uint8Array | undefined)[];
  readonly given: readonly AnswerAhead[];
}

/** A recorded session, and what its signer sends ahead. */
async function play(session: RecordedSession, policy?: Policy): Promise<Played> {
  const signer = signerOf(session, policy);
  const known = new Map<string, Uint8Array>();
  const foreseen: (Uint8Array | undefined)[] = [];
  const given: AnswerAhead[] = [];
  const nameOf = ({ nodeId, dbid }: Pick<ClientIdentity, 'nodeId' | 'dbid'>, digest: Uint8Array) =>
    `${toHex(nodeId)}/${dbid}/${toHex(digest)}`;
  for (const { client, bytes } of session.requests) {
    foreseen.push(known.get(nameOf(client, requestSha256(bytes))));
    const answer = await signer.handle(client, bytes);
    if (answer.kind !== 'reply') continue;
    const ahead = await signer.ahead(client, bytes, answer.bytes);
    given.push(...ahead);
    for (const each of ahead) known.set(nameOf(each.client ?? client, each.requestSha256), each.reply);
  }
  return { foreseen, given };
}

const everything = Promise.all(sessions.map(async (session) => ({ session, ...(await play(session)) })));

/** How many recorded requests of a kind there are, and how many of them were foreseen with hsmd's own reply. */
async function counted(call: Call) {
  let [all, right, wrong] = [0, 0, 0];
  for (const { session, foreseen } of await everything)
    for (const [row, { bytes, expected }] of session.requests.entries()) {
      if (callOf(bytes) !== call) continue;
      all++;
      const reply = foreseen[row];
      if (reply === undefined) continue;
      if (expected instanceof Uint8Array && equalBytes(reply, expected)) right++;
      else wrong++;
    }
  return { all, right, wrong };
}

test('every HTLC transaction that a recorded node asked about was foreseen, where its channel was set up in sight', async (t) => {
  const { all, right, wrong } = await counted('signRemoteHtlcTx');
  t.is(wrong, 0);
  t.true(all > 500);
  // After a restart a signer without state does not know the channel.
  let unseen = 0;
  for (const { session } of await everything) {
    const ofChannel = ({ nodeId, dbid }: ClientIdentity) => `${toHex(nodeId)}/${dbid}`;
    const of = (call: Call) =>
      session.requests.filter(({ bytes }) => callOf(bytes) === call).map(({ client }) => ofChannel(client));
    const opened = new Set(of('setupChannel'));
    unseen += of('signRemoteHtlcTx').filter((channel) => !opened.has(channel)).length;
  }
  t.is(right + unseen, all);
});

test('what a start asks, the basepoints and points of an opening, outpoints to lock and agreed closes were foreseen', async (t) => {
  const secrets = await counted('deriveSecret');
  t.deepEqual([secrets.all - secrets.right, secrets.wrong], [2, 0], 'all but two that a person asked for');
  const closes = await counted('signCommitmentTx');
  t.is(closes.wrong, 0);
  t.true(closes.right > 10, `${closes.right} of ${closes.all}`);
  for (const call of ['getChannelBasepoints', 'lockOutpoint'] as const) {
    const { all, right } = await counted(call);
    t.is(right, all, call);
  }
  const { all, right, wrong } = await counted('getPerCommitmentPoint');
  t.is(wrong, 0);
  t.true(right > all * 0.6, `${right} of ${all}`);
});

test('the penalties behind a recorded node’s revocations were foreseen, but for a channel’s first and those with another fee', async (t) => {
  const { all, right, wrong } = await counted('signPenaltyToUs');
  t.is(wrong, 0);
  t.deepEqual([all, right], [412, 369]);
});

test('nothing that is given ahead is a secret that revokes, a signature of a commitment, or a shared secret', async (t) => {
  const allowed = new Set<number | undefined>([
    calls.getChannelBasepoints.reply.number,
    calls.getPerCommitmentPoint.reply.number,
    calls.deriveSecret.reply.number,
    calls.signRemoteHtlcTx.reply.number,
    calls.signCommitmentTx.reply.number,
    calls.signPenaltyToUs.reply.number,
    calls.lockOutpoint.reply.number,
  ]);
  const revoked = new Set<string>();
  const commitments = new Set<string>();
  for (const { session } of await everything)
    for (const { bytes, expected } of session.requests) {
      if (!(expected instanceof Uint8Array)) continue;
      if (callOf(bytes) === 'revokeCommitmentTx') revoked.add(toHex(expected.subarray(2, 34)));
      if (callOf(bytes) === 'signRemoteCommitmentTx') commitments.add(toHex(expected.subarray(2, 66)));
    }
  t.true(revoked.size > 400);
  for (const { given } of await everything)
    for (const { reply } of given) {
      t.true(allowed.has(messageType(reply)), `type ${messageType(reply)}`);
      t.false(revoked.has(toHex(reply.subarray(2, 34))));
      t.false(commitments.has(toHex(reply.subarray(2, 66))));
      if (messageType(reply) === calls.getPerCommitmentPoint.reply.number)
        t.is(decodeMessage(calls.getPerCommitmentPoint.reply, reply).oldCommitmentSecret, undefined);
    }
});

test('what the policy would refuse is not given ahead, and what it gives counts as given', async (t) => {
  const [session] = sessions.filter(({ name }) => name === 'many_htlcs/l1');
  if (session === undefined) throw new Error('no such recording');
  const decided: Call[] = [];
  const refusing: Policy = {
    ...noPolicy,
    decide(_context, request, sign) {
      decided.push(request.call);
      if (request.call === 'signRemoteHtlcTx') throw new Refusal('policy-test', 'not this one');
      return sign();
    },
  };
  const { given } = await play(session, refusing);
  t.is(given.filter(({ reply }) => messageType(reply) === calls.signRemoteHtlcTx.reply.number).length, 0);
  // Asked for once by the node, decided once ahead: 124 of each.
  const asked = session.requests.filter(({ bytes }) => callOf(bytes) === 'signRemoteHtlcTx').length;
  t.is(decided.filter((call) => call === 'signRemoteHtlcTx').length, 2 * asked);
});

test('a guess about a request that the policy changed its mind on is no answer', async (t) => {
  const [session] = sessions.filter(({ name }) => name === 'everyday/l1');
  const signer = session && signerOf(session);
  if (session === undefined || signer === undefined) throw new Error('no such recording');
  const [first] = session.requests.filter(({ bytes }) => callOf(bytes) === 'signRemoteCommitmentTx');
  if (first === undefined) throw new Error('no such request');
  t.deepEqual(await signer.ahead(first.client, first.bytes, new Uint8Array()), [], 'before init');
  for (const { client, bytes } of session.requests.slice(0, 5)) await signer.handle(client, bytes);
  t.deepEqual(await signer.ahead(first.client, first.bytes, new Uint8Array()), [], 'of a channel nobody set up');
});

test('a signer that may not decide now has not decided what was acknowledged', async (t) => {
  const [session] = sessions.filter(({ name }) => name === 'everyday/l1');
  if (session === undefined) throw new Error('no such recording');
  let problem: string | undefined;
  const policy: Policy = {
    ...noPolicy,
    decide(_context, _request, sign) {
      if (problem !== undefined) throw new Refusal('policy-init', problem);
      return sign();
    },
  };
  const signer = signerOf(session, policy);
  for (const { client, bytes } of session.requests.slice(0, 2)) await signer.handle(client, bytes);
  const [request] = session.requests.filter(({ bytes }) => callOf(bytes) === 'validateRevocation');
  if (request === undefined) throw new Error('no such request');
  const { client, bytes } = request;
  const { signal } = new AbortController();
  problem = 'the state is older than its copy';
  t.is((await signer.handle(client, bytes, signal, true)).kind, 'unavailable');
  t.is((await signer.handle(client, bytes, signal, false)).kind, 'refused');
  problem = undefined;
  t.is((await signer.handle(client, bytes, signal, true)).kind, 'reply');
});
