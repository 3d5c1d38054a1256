/** Disk and signer work at the same time on what may be acknowledged: who is first, and what the other one says then. */

import test from 'ava';
import type { Answer } from '../../proto/answer.ts';
import { requestSha256 } from '../../server/ahead.ts';
import { patienceFor } from '../../server/refusal.ts';
import { lightningd, relayDefaults } from '../../server/relay.ts';
import { channel, orderly, other, Paper, revocation, revoke, setUp, validated } from './acknowledging.ts';
import { settled } from './manual_clock.ts';
import { checkFutureSecret, correct, incorrect, initReply, signMessage } from './messages.ts';

test('a verdict that is there before the disk is the answer, a no as well as a yes', async (t) => {
  const verdicts: readonly Answer[] = [
    { kind: 'reply', bytes: validated },
    { kind: 'refused', tag: 'policy-test', message: 'not today' },
  ];
  for (const verdict of verdicts) {
    const journal = new Paper();
    const { relay, port, ask } = await setUp({ journal });
    relay.onOverruled = () => t.fail('the node was told no');
    const written = journal.slow();
    const answer = ask(channel, revocation(0));
    await settled();
    port.offered(1).answer(verdict);
    t.deepEqual(await answer, verdict);
    t.like(relay.tally.byCall().get('validateRevocation'), { asked: 1, acknowledged: 0 });
    t.deepEqual(journal.decisions, []);
    written();
    await settled();
    t.deepEqual(journal.decisions, [1n], 'it does not stay in the journal');
    t.is(relay.undecided, 0);
  }
});

test('where disk and signer are done in the same turn, the node is told one thing and the log agrees', async (t) => {
  for (const diskFirst of [true, false]) {
    const journal = new Paper();
    const { relay, port, ask } = await setUp({ journal });
    let overruled = 0;
    relay.onOverruled = () => {
      overruled += 1;
    };
    const written = journal.slow();
    const answer = ask(channel, revocation(0));
    await settled();
    const refuse = () => port.offered(1).answer({ kind: 'refused', tag: 'policy-test', message: 'not today' });
    for (const happen of diskFirst ? [written, refuse] : [refuse, written]) happen();
    const { kind } = await answer;
    await settled();
    const acknowledged = kind === 'reply' ? 1 : 0;
    t.is(overruled, acknowledged);
    t.like(relay.tally.byCall().get('validateRevocation'), { asked: 1 - acknowledged, acknowledged });
  }
});

test('where the disk fails, what the signer has by then waits for it, and the next is asked as any other', async (t) => {
  const broken = new Paper();
  broken.disk = 'broken';
  const { clock, relay, port, ask, offered } = await setUp({ journal: broken });
  const answer = ask(channel, revocation(0));
  await settled();
  t.is(relay.waiting().length, 1);
  port.offered(1).answer({ kind: 'unavailable', message: 'locked' });
  await clock.pass(relayDefaults.retryMs);
  t.deepEqual(offered(), ['36*', '36*']);
  port.reply(2, validated);
  t.deepEqual(await answer, { kind: 'reply', bytes: validated });
  void ask(channel, revocation(1));
  await settled();
  t.deepEqual(offered(), ['36*', '36*', '36']);
});

test('where the disk fails a node’s patience ends, and the signer decides all the same', async (t) => {
  const broken = new Paper();
  broken.disk = 'broken';
  const { clock, relay, port, ask, offered } = await setUp({ journal: broken });
  relay.onOverruled = () => t.fail('the node was told nothing');
  const answer = ask(channel, revocation(0));
  await clock.pass(patienceFor('validateRevocation', channel) ?? 0);
  t.like(await answer, { kind: 'unavailable' });
  t.deepEqual([relay.undecided, relay.waiting().length], [0, 0]);
  relay.signers.detach(port, 'lost');
  port.break();
  const back = orderly('phone', port.session);
  relay.signers.attach(back);
  await settled();
  back.reply(0, initReply());
  await settled();
  t.deepEqual(offered(1, back), ['36*']);
  back.offered(1).answer({ kind: 'refused', tag: 'policy-test', message: 'not today' });
  await settled();
  void ask(channel, revoke(0));
  await settled();
  t.deepEqual(offered(1, back), ['36*', '40']);
});

test('the node gone before the disk is done, the signer decides all the same and nobody is told of it', async (t) => {
  const journal = new Paper();
  const { relay, port, ask } = await setUp({ journal });
  relay.onOverruled = () => t.fail('the node was told nothing');
  const written = journal.slow();
  const gone = new AbortController();
  const answer = ask(channel, revocation(0), gone.signal);
  await settled();
  gone.abort(new Error('gone'));
  await t.throwsAsync(answer, { message: 'gone' });
  t.deepEqual(port.withdrawn, []);
  written();
  await settled();
  port.offered(1).answer({ kind: 'refused', tag: 'policy-test', message: 'not today' });
  await settled();
  t.deepEqual(journal.decisions, [1n]);
});

test('what rests on it comes behind it from the moment the signer has it, on the disk or not', async (t) => {
  const journal = new Paper();
  const { clock, port, ask, offered } = await setUp({ journal });
  journal.slow();
  void ask(channel, revocation(0));
  await settled();
  void ask(other, revoke(0));
  await settled();
  t.deepEqual(offered(), ['36*', '40']);
  port.offered(1).answer({ kind: 'unavailable', message: 'locked' });
  port.offered(2).answer({ kind: 'unavailable', message: 'what it rests on is not decided' });
  void ask(other, checkFutureSecret(1));
  void ask(lightningd, signMessage('hello'));
  await settled();
  t.deepEqual(offered(), ['36*', '40', '22', '23']);
  await clock.pass(relayDefaults.retryMs);
  t.deepEqual(offered(), ['36*', '40', '22', '23', '36*', '40']);
});

test('what was asked while the signer foresaw it is settled by what came ahead; others of its bytes are not', async (t) => {
  const { port, relay, ask, offered } = await setUp({ journal: new Paper() });
  t.deepEqual(await ask(channel, revocation(0)), { kind: 'reply', bytes: validated });
  const foreseen = ask(channel, checkFutureSecret(1));
  const others = [ask(channel, checkFutureSecret(2)), ask(other, checkFutureSecret(1))];
  await settled();
  t.deepEqual(offered(), ['36*', '22', '22', '22']);
  const ahead = { requestSha256: requestSha256(checkFutureSecret(1)), reply: correct, stays: false };
  port.reply(1, validated, [ahead]);
  t.deepEqual(await foreseen, { kind: 'reply', bytes: correct });
  t.is(relay.waiting().length, 2);
  for (const index of [2, 3, 4]) port.reply(index, incorrect);
  for (const answer of others) t.deepEqual(await answer, { kind: 'reply', bytes: incorrect });
  t.is(relay.counts.replied, 4, 'the signer’s own answer to it came too late and is dropped');
});
