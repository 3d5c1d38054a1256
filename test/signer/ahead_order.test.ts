/** The order in which a session decides what the node has the answer of already, and what rests on it. */

import { create } from '@bufbuild/protobuf';
import test from 'ava';
import { loadRecordings } from '../../cli/recordings.ts';
import type { Answer, AnswerAhead, ClientIdentity } from '../../proto/answer.ts';
import {
  ClientSchema,
  FromSignerSchema,
  type ToSigner,
  ToSignerSchema,
} from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { type Call, calls } from '../../proto/hsmd/calls.ts';
import { callOf, encodeMessage } from '../../proto/hsmd/message.ts';
import type { FromSignerInit } from '../../proto/link.ts';
import { silent } from '../../proto/log.ts';
import { Outbox } from '../../proto/outbox.ts';
import { Secret } from '../../proto/secret.ts';
import { Session } from '../../signer/session.ts';
import { ManualClock, settled } from '../server/manual_clock.ts';
import {
  channeld,
  checkFutureSecret,
  correct,
  ecdh,
  nodeId,
  preapproveInvoice,
  signMessage,
} from '../server/messages.ts';

const lightningd: ClientIdentity = { nodeId: new Uint8Array(33), dbid: 0n, capabilities: 1027n };
const revocation = encodeMessage(calls.validateRevocation.request, {
  revokeNum: 1n,
  perCommitmentSecret: new Secret(new Uint8Array(32).fill(1)),
});
const revoke = encodeMessage(calls.revokeCommitmentTx.request, { commitNum: 1n });
const basepointsOf = (dbid: bigint) => encodeMessage(calls.getChannelBasepoints.request, { peerId: nodeId, dbid });

interface Handled {
  readonly bytes: Uint8Array;
  readonly acknowledged: boolean;
  readonly answer: (answer: Answer) => void;
}

function setUp(ahead?: (bytes: Uint8Array) => Promise<readonly AnswerAhead[]>) {
  const handled: Handled[] = [];
  const signer = {
    approvesPayments: true,
    handle: (_client: ClientIdentity, bytes: Uint8Array, _signal: AbortSignal, acknowledged: boolean) =>
      new Promise<Answer>((answer) => handled.push({ bytes, acknowledged, answer })),
    ...(ahead && { ahead: (_client: ClientIdentity, bytes: Uint8Array) => ahead(bytes) }),
  };
  const { signal } = new AbortController();
  const about = { id: new Uint8Array(16), name: 'phone', software: 'test', log: silent, signal };
  const session = new Session({ signer, clock: new ManualClock(), ...about });
  const received = new Outbox<ToSigner>();
  const sent: FromSignerInit[] = [];
  void session.run({ received, send: (message) => sent.push(message), abandon() {} }, () => {});
  const say = (message: Parameters<typeof create<typeof ToSignerSchema>>[1]) =>
    received.push(create(ToSignerSchema, message));
  const boot = new Uint8Array(16);
  say({
    message: { case: 'welcome', value: { protocol: 1, boot, node: 'a', lease: 1n, active: true, heartbeatMs: 1e6 } },
  });
  let last = 0n;
  const ask = (lane: bigint, client: ClientIdentity, message: Uint8Array, acknowledged = false, again?: bigint) => {
    last += again === undefined ? 1n : 0n;
    const id = again ?? last;
    const from = create(ClientSchema, client);
    say({ message: { case: 'request', value: { id, lane, client: from, message, settledBelow: 0n, acknowledged } } });
  };
  const answers = () =>
    sent.flatMap((each) => {
      const { message } = create(FromSignerSchema, each);
      return message.case === 'answer' ? [message.value] : [];
    });
  const begun = () => handled.map(({ bytes, acknowledged }) => `${callOf(bytes)}${acknowledged ? '*' : ''}`);
  const reply = (index: number) => handled[index]?.answer({ kind: 'reply', bytes: correct });
  const locked = (index: number) => handled[index]?.answer({ kind: 'unavailable', message: 'locked' });
  const restart = () => {
    const value = {
      protocol: 1,
      boot: new Uint8Array(16).fill(2),
      node: 'a',
      lease: 2n,
      active: true,
      heartbeatMs: 1e6,
    };
    say({ message: { case: 'welcome', value } });
    last = 0n;
  };
  return { ask, begun, reply, locked, answers, sent, restart };
}

test('what rests on it waits for its decision in every lane, and nothing else does', async (t) => {
  const { ask, begun, reply } = setUp();
  ask(1n, channeld(1n), revocation, true);
  ask(2n, channeld(2n), revoke);
  ask(3n, lightningd, basepointsOf(1n));
  ask(4n, channeld(3n), checkFutureSecret(1));
  ask(5n, lightningd, signMessage('hello'));
  ask(6n, { ...channeld(1n), capabilities: 40n }, checkFutureSecret(2));
  ask(7n, lightningd, basepointsOf(2n));
  ask(8n, lightningd, ecdh);
  await settled();
  t.deepEqual(begun(), ['validateRevocation*', 'checkFutureSecret', 'signMessage', 'getChannelBasepoints', 'ecdh']);
  reply(0);
  await settled();
  t.deepEqual(begun().slice(5), ['revokeCommitmentTx', 'getChannelBasepoints', 'checkFutureSecret']);
});

test('what came before it does not wait, and neither does what comes after the decision', async (t) => {
  const { ask, begun, reply } = setUp();
  ask(2n, channeld(2n), revoke);
  ask(1n, channeld(1n), revocation, true);
  await settled();
  t.deepEqual(begun(), ['revokeCommitmentTx', 'validateRevocation*']);
  reply(1);
  await settled();
  ask(3n, channeld(3n), revoke);
  await settled();
  t.is(begun().length, 3);
});

test('it waits for everything acknowledged before, in as many lanes as there are', async (t) => {
  const { ask, begun, reply } = setUp();
  for (const lane of [1n, 2n, 3n]) ask(lane, channeld(lane), revocation, true);
  ask(4n, channeld(4n), revoke);
  for (const index of [2, 0]) {
    await settled();
    t.is(begun().length, 3);
    reply(index);
  }
  await settled();
  t.is(begun().length, 3);
  reply(1);
  await settled();
  t.is(begun().at(-1), 'revokeCommitmentTx');
});

/** The first recorded request of each kind, of whichever channel. */
async function recorded(...wanted: readonly Call[]): Promise<readonly Uint8Array[]> {
  const sessions = await loadRecordings([
    'test/vectors/hsmd/traces/everyday/l2.jsonl.gz',
    'test/vectors/hsmd/traces/close_by_opener/l1.jsonl.gz',
  ]);
  const requests = sessions.flatMap((session) => session.requests);
  return wanted.map((call) => {
    const found = requests.find(({ bytes }) => callOf(bytes) === call);
    if (found === undefined) throw new Error(`no recorded ${call}`);
    return found.bytes;
  });
}

test('what gives something away waits for what was acknowledged in any channel, and only for that', async (t) => {
  const giving: readonly Call[] = [
    'signRemoteCommitmentTx',
    'revokeCommitmentTx',
    'signCommitmentTx',
    'signWithdrawal',
  ];
  for (const [i, bytes] of (await recorded(...giving)).entries()) {
    const client = i < 2 ? channeld(2n) : lightningd;
    const { ask, begun, reply } = setUp();
    ask(1n, channeld(1n), revocation, true);
    ask(2n, client, bytes);
    await settled();
    t.deepEqual(begun(), ['validateRevocation*'], giving[i]);
    reply(0);
    await settled();
    t.deepEqual(begun(), ['validateRevocation*', giving[i]]);
  }
});

const outcomes = (
  answers: readonly { readonly id: bigint; readonly outcome: { readonly case?: string | undefined } }[],
) => answers.map(({ id, outcome }) => `${id} ${outcome.case}`);

test('without a decision on it there is none on what rests on it, whether that came before or comes after', async (t) => {
  const { ask, begun, reply, locked, answers } = setUp();
  ask(1n, channeld(1n), revocation, true);
  ask(1n, channeld(1n), checkFutureSecret(1));
  ask(2n, channeld(2n), revoke);
  ask(3n, channeld(3n), checkFutureSecret(3));
  await settled();
  locked(0);
  await settled();
  ask(4n, channeld(4n), revoke);
  await settled();
  t.deepEqual(outcomes(answers()).sort(), ['1 unavailable', '2 unavailable', '3 unavailable', '5 unavailable']);
  t.deepEqual(begun(), ['validateRevocation*', 'checkFutureSecret']);
  ask(1n, channeld(1n), revocation, true, 1n);
  ask(1n, channeld(1n), checkFutureSecret(1), false, 2n);
  ask(4n, channeld(4n), revoke, false, 5n);
  await settled();
  t.deepEqual(begun().slice(2), ['validateRevocation*']);
  reply(2);
  await settled();
  t.deepEqual(begun().slice(3), ['checkFutureSecret', 'revokeCommitmentTx']);
});

test('asked again, it does not wait for what came in behind it in its lane', async (t) => {
  const { ask, begun, locked } = setUp();
  ask(1n, lightningd, preapproveInvoice, true);
  ask(1n, lightningd, signMessage('takes its time'));
  await settled();
  locked(0);
  await settled();
  ask(1n, lightningd, preapproveInvoice, true, 1n);
  await settled();
  t.deepEqual(begun(), ['preapproveInvoice*', 'signMessage', 'preapproveInvoice*']);
});

test('a host that was started again asks anew what it wants decided, and counts anew', async (t) => {
  const { ask, begun, reply, locked, restart } = setUp();
  ask(1n, channeld(1n), revocation, true);
  ask(2n, channeld(2n), revocation, true);
  await settled();
  locked(0);
  await settled();
  restart();
  ask(1n, channeld(1n), checkFutureSecret(1));
  ask(2n, channeld(2n), checkFutureSecret(2));
  await settled();
  t.deepEqual(begun().slice(2), ['checkFutureSecret']);
  reply(1);
  await settled();
  t.deepEqual(begun().slice(2), ['checkFutureSecret', 'checkFutureSecret']);
});

test('answers ahead go with the answer, count as carried out before the lane goes on, and may fail alone', async (t) => {
  let finish: () => void = () => {};
  const given: AnswerAhead = { requestSha256: new Uint8Array(32), reply: correct, stays: true };
  const { ask, begun, reply, answers, sent } = setUp((bytes) => {
    if (callOf(bytes) === 'ecdh') return Promise.reject(new Error('broken'));
    return new Promise((resolve) => {
      finish = () => resolve([given]);
    });
  });
  t.like(sent[0], { message: { case: 'hello', value: { approvesPayments: true } } });
  ask(1n, channeld(1n), checkFutureSecret(1));
  ask(1n, channeld(1n), checkFutureSecret(2));
  await settled();
  reply(0);
  await settled();
  t.is(begun().length, 1);
  t.is(answers().length, 0);
  finish();
  await settled();
  t.is(begun().length, 2);
  t.like(answers()[0]?.ahead[0], { reply: correct, stays: true });
  ask(2n, lightningd, ecdh);
  await settled();
  reply(2);
  await settled();
  t.is(answers().at(-1)?.outcome.case, 'reply');
});
