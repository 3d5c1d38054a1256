/** A relay and what its signer gives it ahead: when that is used, and when it must not be. */

import test from 'ava';
import type { AnswerAhead, ClientIdentity } from '../../proto/answer.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { encodeMessage, encodeReply } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { requestSha256 } from '../../server/ahead.ts';
import type { Lane } from '../../server/lane.ts';
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
  notApproved,
  otherNodeId,
  preapproveInvoice,
  signedMessage,
  signMessage,
} from './messages.ts';

const never = () => new AbortController().signal;

function answer(to: Uint8Array, reply: Uint8Array, more: Partial<AnswerAhead> = {}): AnswerAhead {
  return { requestSha256: requestSha256(to), reply, stays: false, ...more };
}

/** A relay whose lightningd has started, and a signer that answers when it is told to. */
async function setUp(port = new MemoryPort(), reply = initReply()) {
  const clock = new ManualClock();
  const relay = new Relay({ clock, log: silent, patienceFor, ...relayDefaults });
  relay.signers.attach(port);
  await settled();
  const lane = (client: ClientIdentity) => relay.openLane(client);
  const own = lane(lightningd);
  const ask = (on: Lane, bytes: Uint8Array) => relay.ask(on, bytes, never());
  const started = ask(own, init);
  await settled();
  port.reply(0, reply);
  await started;
  return { clock, relay, port, lane, own, ask };
}

test('what was given ahead is answered without the signer, in any order, each once', async (t) => {
  const { relay, port, lane, ask } = await setUp();
  const channel = lane(channeld(1n));
  const first = ask(channel, checkFutureSecret(0));
  await settled();
  port.reply(1, correct, [answer(checkFutureSecret(1), correct), answer(checkFutureSecret(2), incorrect)]);
  await first;
  t.deepEqual(await ask(channel, checkFutureSecret(2)), { kind: 'reply', bytes: incorrect });
  t.deepEqual(await ask(channel, checkFutureSecret(1)), { kind: 'reply', bytes: correct });
  t.is(port.offers.length, 2);
  t.like(relay.tally.byCall().get('checkFutureSecret'), { asked: 1, ahead: 2 });
  void ask(channel, checkFutureSecret(1)).catch(() => undefined);
  await settled();
  t.is(port.offers.length, 3);
});

test('one other byte, or another client, and the signer is asked', async (t) => {
  const { port, lane, ask } = await setUp();
  const [channel, other] = [lane(channeld(1n)), lane(channeld(2n))];
  const first = ask(channel, checkFutureSecret(0));
  await settled();
  port.reply(1, correct, [answer(checkFutureSecret(1), correct)]);
  await first;
  void ask(other, checkFutureSecret(1));
  await settled();
  t.is(port.offers.length, 3);
  void ask(channel, checkFutureSecret(3));
  await settled();
  t.is(port.offers.length, 4);
});

test('asking for anything else drops what was to come next, and not what stays', async (t) => {
  const { port, lane, ask } = await setUp();
  const channel = lane(channeld(1n));
  const first = ask(channel, checkFutureSecret(0));
  await settled();
  const ahead = [answer(checkFutureSecret(1), correct), answer(checkFutureSecret(2), incorrect, { stays: true })];
  port.reply(1, correct, ahead);
  await first;
  const unexpected = ask(channel, checkFutureSecret(9));
  await settled();
  port.reply(2, correct);
  await unexpected;
  t.deepEqual(await ask(channel, checkFutureSecret(2)), { kind: 'reply', bytes: incorrect });
  void ask(channel, checkFutureSecret(1));
  await settled();
  t.is(port.offers.length, 4);
});

test('an answer ahead for a client that is not there yet waits for it', async (t) => {
  const { port, lane, own, ask } = await setUp();
  const first = ask(own, signMessage('open'));
  await settled();
  port.reply(1, signedMessage, [answer(checkFutureSecret(1), correct, { client: { nodeId, dbid: 5n } })]);
  await first;
  t.deepEqual(await ask(lane(channeld(5n)), checkFutureSecret(1)), { kind: 'reply', bytes: correct });
});

test('a reply ahead that is no reply to that request is not given', async (t) => {
  const { port, lane, ask } = await setUp();
  const channel = lane(channeld(1n));
  const first = ask(channel, checkFutureSecret(0));
  await settled();
  port.reply(1, correct, [answer(checkFutureSecret(1), signedMessage)]);
  await first;
  const second = ask(channel, checkFutureSecret(1));
  await settled();
  port.reply(2, incorrect);
  t.deepEqual(await second, { kind: 'reply', bytes: incorrect });
});

test('the link cut in between keeps what was given ahead; another signer makes it void', async (t) => {
  const { clock, relay, port, lane, ask } = await setUp();
  const channel = lane(channeld(1n));
  const give = async (from: MemoryPort) => {
    const asked = ask(channel, checkFutureSecret(0));
    await settled();
    from.reply(-1, correct, [answer(checkFutureSecret(1), correct)]);
    await asked;
  };
  await give(port);
  relay.signers.detach(port, 'lost');
  t.deepEqual(await ask(channel, checkFutureSecret(1)), { kind: 'reply', bytes: correct });

  const back = new MemoryPort('phone', port.session);
  relay.signers.attach(back);
  await settled();
  back.reply(0, initReply());
  await settled();
  await give(back);
  relay.signers.detach(back, 'lost');
  const other = new MemoryPort('desk');
  relay.signers.attach(other);
  await settled();
  other.reply(0, initReply());
  await clock.pass(relayDefaults.takeoverMs);
  void ask(lane(channeld(2n)), checkFutureSecret(0));
  await settled();
  void ask(channel, checkFutureSecret(1));
  await settled();
  t.deepEqual(
    other.offers.slice(-2).map(({ request }) => request.bytes[9]),
    [0, 1],
  );
});

test('a lightningd that starts anew is answered nothing before init, and nothing of another node after it', async (t) => {
  const { relay, port, own, ask } = await setUp();
  const label = encodeMessage(calls.deriveSecret.request, { info: Buffer.from('x') });
  const first = ask(own, signMessage('hello'));
  await settled();
  port.reply(1, signedMessage, [answer(checkFutureSecret(1), correct, { stays: true })]);
  await first;
  t.is((await ask(own, checkFutureSecret(1))).kind, 'reply');
  relay.restart(undefined);
  void ask(relay.openLane(lightningd), label);
  await settled();
  t.is(port.offers.length, 3);
  const again = ask(relay.openLane(lightningd), init);
  await settled();
  port.reply(3, initReply(otherNodeId));
  await again;
  void ask(relay.openLane(lightningd), checkFutureSecret(1));
  await settled();
  t.is(port.offers.length, 5);
});

test('points once given are answered again, by version 6 only, and so are basepoints', async (t) => {
  const point = encodeMessage(calls.getPerCommitmentPoint.request, { n: 2n });
  const reply = encodeReply('getPerCommitmentPoint', { perCommitmentPoint: nodeId, oldCommitmentSecret: undefined });
  const { port, lane, ask } = await setUp();
  const channel = lane(channeld(1n));
  const first = ask(channel, point);
  await settled();
  port.reply(1, reply);
  await first;
  t.deepEqual(await ask(channel, point), { kind: 'reply', bytes: reply });
  t.deepEqual(await ask(lane({ ...channeld(1n), capabilities: 24n }), point), { kind: 'reply', bytes: reply });
  t.is(port.offers.length, 2);

  const five = initReply();
  five[5] = 5;
  const old = await setUp(new MemoryPort(), five);
  const oldChannel = old.lane(channeld(1n));
  const asked = old.ask(oldChannel, point);
  await settled();
  old.port.reply(1, reply);
  await asked;
  void old.ask(oldChannel, point);
  await settled();
  t.is(old.port.offers.length, 3);
});

test('the points in replies to 35 and 40 answer the requests for them', async (t) => {
  const { port, lane, ask } = await setUp();
  const channel = lane(channeld(1n));
  const revoke = ask(channel, encodeMessage(calls.revokeCommitmentTx.request, { commitNum: 3n }));
  await settled();
  const secret = Buffer.alloc(32, 1);
  port.reply(1, Buffer.concat([Uint8Array.of(0, 140), secret, otherNodeId]));
  await revoke;
  const known = await ask(channel, encodeMessage(calls.getPerCommitmentPoint.request, { n: 5n }));
  t.true(known.kind === 'reply' && Buffer.from(known.bytes).includes(Buffer.from(otherNodeId)));
  t.false(known.kind === 'reply' && Buffer.from(known.bytes).includes(secret));
  t.is(port.offers.length, 2);
});

test('a preapproval does not wait for a signer that approves everything, which is told of it', async (t) => {
  const eager = new MemoryPort();
  eager.approvesPayments = true;
  eager.keepsOrder = true;
  const { relay, port, own, ask } = await setUp(eager);
  t.deepEqual(await ask(own, preapproveInvoice), { kind: 'reply', bytes: approved });
  await settled();
  t.deepEqual(port.said.at(-1), [preapproveInvoice, true]);
  t.is(relay.undecided, 1);
  port.reply(-1, notApproved);
  await settled();
  t.is(relay.undecided, 0);

  const careful = await setUp();
  const asked = careful.ask(careful.own, preapproveInvoice);
  await settled();
  careful.port.reply(-1, notApproved);
  t.deepEqual(await asked, { kind: 'reply', bytes: notApproved });
});
