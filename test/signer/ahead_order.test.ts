/** The order in which a session decides what the node has the answer of already, and what rests on it. */

import { create } from '@bufbuild/protobuf';
import test from 'ava';
import type { Answer, AnswerAhead, ClientIdentity } from '../../proto/answer.ts';
import {
  ClientSchema,
  FromSignerSchema,
  type ToSigner,
  ToSignerSchema,
} from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { callOf, encodeMessage } from '../../proto/hsmd/message.ts';
import type { FromSignerInit } from '../../proto/link.ts';
import { silent } from '../../proto/log.ts';
import { Outbox } from '../../proto/outbox.ts';
import { Secret } from '../../proto/secret.ts';
import { Session } from '../../signer/session.ts';
import { ManualClock, settled } from '../server/manual_clock.ts';
import { channeld, checkFutureSecret, correct, ecdh, nodeId, signMessage } from '../server/messages.ts';

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
  let id = 0n;
  const ask = (lane: bigint, client: ClientIdentity, message: Uint8Array, acknowledged = false) => {
    id += 1n;
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
  return { ask, begun, reply, answers, sent };
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
