/** What the node is told before its signer has decided: only what is certain to reach the signer, and in its order. */

import test from 'ava';
import { loadRecordings } from '../../cli/recordings.ts';
import { type Call, calls } from '../../proto/hsmd/calls.ts';
import { callOf, decodeMessage, encodeMessage, encodeReply } from '../../proto/hsmd/message.ts';
import { requestSha256 } from '../../server/ahead.ts';
import { lightningd, relayDefaults } from '../../server/relay.ts';
import { channel, orderly, other, Paper, revocation, revoke, setUp, validated } from './acknowledging.ts';
import { settled } from './manual_clock.ts';
import { MemoryPort } from './memory_port.ts';
import { checkFutureSecret, correct, init, initReply, nodeId, otherNodeId, signMessage } from './messages.ts';

/** The first recorded request of a kind. */
async function recorded(call: Call): Promise<Uint8Array> {
  const [session] = await loadRecordings(['test/vectors/hsmd/traces/everyday/l2.jsonl.gz']);
  const found = session?.requests.find(({ bytes }) => callOf(bytes) === call);
  if (found === undefined) throw new Error(`no recorded ${call}`);
  return found.bytes;
}

const point = (n: number) => encodeMessage(calls.getPerCommitmentPoint.request, { n: BigInt(n) });
const pointReply = encodeReply('getPerCommitmentPoint', {
  perCommitmentPoint: otherNodeId,
  oldCommitmentSecret: undefined,
});

test('a revocation goes to the signer at once, and is acknowledged when it is on the disk, not before', async (t) => {
  const journal = new Paper();
  const { relay, port, ask, offered } = await setUp({ journal });
  const written = journal.slow();
  let answered = false;
  const answer = ask(channel, revocation(0)).finally(() => {
    answered = true;
  });
  await settled();
  t.false(answered);
  t.deepEqual(offered(), ['36*']);
  t.deepEqual([relay.undecided, relay.waiting().length], [0, 1]);
  written();
  t.deepEqual(await answer, { kind: 'reply', bytes: validated });
  t.deepEqual([relay.undecided, relay.waiting().length], [1, 0]);
  port.reply(1, validated);
  await settled();
  t.is(relay.undecided, 0);
  t.deepEqual(journal.decisions, [1n]);
  t.like(relay.tally.byCall().get('validateRevocation'), { asked: 0, acknowledged: 1 });
});

test('without a journal, or with a signer that keeps no order, it waits for the signer', async (t) => {
  for (const options of [{}, { journal: new Paper(), port: new MemoryPort() }]) {
    const { port, ask, offered } = await setUp(options);
    const answer = ask(channel, revocation(0));
    await settled();
    t.deepEqual(offered(), ['36']);
    port.reply(1, validated);
    t.deepEqual(await answer, { kind: 'reply', bytes: validated });
  }
});

test('before lightningd has started nothing is acknowledged', async (t) => {
  const { ask, offered } = await setUp({ journal: new Paper(), start: false });
  void ask(channel, revocation(0));
  await settled();
  t.deepEqual(offered(0), ['36']);
});

test('a request that cannot be read is never acknowledged', async (t) => {
  const journal = new Paper();
  const { ask, offered } = await setUp({ journal });
  void ask(channel, revocation(0).subarray(0, 20));
  await settled();
  t.deepEqual(offered(), ['36']);
  t.deepEqual(journal.appended, []);
});

test('our next commitment is acknowledged where the point in the reply was given before, and waits otherwise', async (t) => {
  const request = await recorded('validateCommitmentTx');
  const { commitNum } = decodeMessage(calls.validateCommitmentTx.request, request);
  const journal = new Paper();
  const { port, ask, offered } = await setUp({ journal });
  void ask(channel, request);
  await settled();
  t.deepEqual(offered(), ['35']);
  const first = ask(other, checkFutureSecret(0));
  await settled();
  port.reply(2, correct, [
    { requestSha256: requestSha256(point(Number(commitNum) + 1)), reply: pointReply, stays: true },
  ]);
  await first;
  const answer = await ask(other, request);
  const reply = { oldCommitmentSecret: undefined, nextPerCommitmentPoint: otherNodeId };
  t.deepEqual(answer, { kind: 'reply', bytes: encodeReply('validateCommitmentTx', reply) });
  t.deepEqual(journal.appended, [request]);
  t.is(offered().at(-1), '35*');
});

test('requests behind it in its lane and in others go to the signer at once, which keeps the order', async (t) => {
  const { ask, offered } = await setUp({ journal: new Paper() });
  await ask(channel, revocation(0));
  void ask(other, revoke(0));
  void ask(lightningd, signMessage('hello'));
  await settled();
  t.deepEqual(offered(), ['36*', '40', '23']);
});

test('the link cut before the verdict: it is offered again before anything that rests on it', async (t) => {
  const journal = new Paper();
  const { relay, port, ask, offered } = await setUp({ journal });
  await ask(channel, revocation(0));
  void ask(other, revoke(0));
  await settled();
  relay.signers.detach(port, 'lost');
  port.break();
  await settled();
  void ask(channel, checkFutureSecret(5));
  const back = orderly('phone', port.session);
  relay.signers.attach(back);
  await settled();
  t.deepEqual(offered(0, back), ['11']);
  back.reply(0, initReply());
  await settled();
  t.deepEqual(offered(1, back), ['36*', '40', '22']);
  t.deepEqual(journal.decisions, []);
});

test('while the signer cannot decide it, what rests on it waits at the host and everything else does not', async (t) => {
  const { clock, port, ask, offered } = await setUp({ journal: new Paper() });
  await ask(channel, revocation(0));
  port.offered(1).answer({ kind: 'unavailable', message: 'locked' });
  await settled();
  void ask(other, revoke(0));
  void ask(other, checkFutureSecret(1));
  void ask(channel, checkFutureSecret(2));
  void ask(lightningd, signMessage('hello'));
  await settled();
  t.deepEqual(offered(), ['36*', '22', '23']);
  await clock.pass(relayDefaults.retryMs);
  t.deepEqual(offered(), ['36*', '22', '23', '36*', '40', '22']);
});

test('what came behind it and could not be decided either is asked again behind it, however patient it is', async (t) => {
  const { clock, port, ask, offered } = await setUp({ journal: new Paper() });
  await ask(channel, revocation(0));
  const asked = ask(other, revoke(0));
  await settled();
  port.offered(1).answer({ kind: 'unavailable', message: 'locked' });
  await settled();
  port.offered(2).answer({ kind: 'unavailable', message: 'what it rests on is not decided' });
  await clock.pass(relayDefaults.retryMs);
  t.deepEqual(offered(), ['36*', '40', '36*', '40']);
  port.reply(3, validated);
  await settled();
  port.offered(4).answer({ kind: 'unavailable', message: 'locked' });
  t.like(await asked, { kind: 'unavailable', message: 'locked' });
});

test('a signer that keeps no order gets what rests on it when it has decided', async (t) => {
  const { relay, port, ask, offered } = await setUp({ journal: new Paper() });
  await ask(channel, revocation(0));
  relay.signers.detach(port, 'goodbye');
  port.break();
  const simple = new MemoryPort('greenlight');
  relay.signers.attach(simple);
  await settled();
  simple.reply(0, initReply());
  await settled();
  void ask(other, revoke(0));
  await settled();
  t.deepEqual(offered(1, simple), ['36*']);
  simple.reply(1, validated);
  await settled();
  t.deepEqual(offered(1, simple), ['36*', '40']);
});

test('the host started again delivers what it acknowledged, after init and before what rests on it', async (t) => {
  const left = [
    { number: 7n, client: channel, request: revocation(0) },
    { number: 9n, client: other, request: revocation(1) },
  ];
  const journal = new Paper(left);
  const { relay, port, ask, offered } = await setUp({ journal, start: false });
  t.is(relay.undecided, 2);
  t.deepEqual(offered(0), []);
  void ask(channel, revoke(0));
  await settled();
  t.deepEqual(offered(0), []);
  relay.restart({ preinit: undefined, init, nodeId });
  await settled();
  t.deepEqual(offered(0), ['11']);
  port.reply(0, initReply());
  await settled();
  t.deepEqual(offered(), ['36*', '36*', '40']);
  port.reply(1, validated);
  port.reply(2, validated);
  await settled();
  t.deepEqual(journal.decisions, [7n, 9n]);
  t.is(relay.undecided, 0);
});

test('the node gone after the acknowledgement, the signer hears of it all the same', async (t) => {
  const { relay, port, ask, offered } = await setUp({ journal: new Paper() });
  relay.signers.detach(port, 'lost');
  const gone = new AbortController();
  const back = orderly('phone', port.session);
  relay.signers.attach(back);
  await settled();
  back.reply(0, initReply());
  await settled();
  await ask(channel, revocation(0), gone.signal);
  gone.abort();
  relay.restart(undefined);
  await settled();
  t.deepEqual(offered(1, back), ['36*']);
  t.is(relay.undecided, 1);
});

test('a refusal that comes too late is told, and is the end of the matter', async (t) => {
  const journal = new Paper();
  const { relay, port, ask } = await setUp({ journal });
  const overruled: string[] = [];
  relay.onOverruled = ({ dbid }, request, reason) => overruled.push(`${dbid} ${request[1]} ${reason}`);
  await ask(channel, revocation(0));
  port.offered(1).answer({ kind: 'refused', tag: 'policy-test', message: 'not today' });
  await settled();
  t.deepEqual(overruled, ['1 36 not today (policy-test)']);
  t.deepEqual(journal.decisions, [1n]);
  t.is(relay.undecided, 0);
});

test('penalties for watchtowers go unsigned only where the operator says so, and the signer gets them then too', async (t) => {
  const request = await recorded('signPenaltyToUs');
  const asked = await setUp({ journal: new Paper() });
  void asked.ask(channel, request);
  await settled();
  t.deepEqual(asked.offered(), ['14']);
  const { ask, offered } = await setUp({ unsignedPenalties: true });
  const sig = { signature: new Uint8Array(64), sighash: 0x01 } as const;
  t.deepEqual(await ask(channel, request), { kind: 'reply', bytes: encodeReply('signPenaltyToUs', { sig }) });
  t.deepEqual(offered(), ['14*']);
});
