/**
 * Every recorded node through host and signer with everything on that saves round trips: in the order it was recorded,
 * and with its clients interleaved at random and a signer that is locked now and then. Each reply must be the real hsmd's, and the validating policy must say
 * about each request what it says where every one of them waits for the signer.
 */

import { readdir } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { type Difference, explain } from '../../cli/play.ts';
import { readPolicy } from '../../cli/policy_of.ts';
import { loadRecordings, type RecordedRequest, type RecordedSession } from '../../cli/recordings.ts';
import { judge } from '../../cli/replay_exceptions.ts';
import { policies } from '../../cli/replay_policy.ts';
import type { Answer } from '../../proto/answer.ts';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { Journal } from '../../server/journal.ts';
import { backend } from '../../signer/node/backends.ts';
import { temporaryDirectory } from './host_under_test.ts';
import { dice, interleave } from './interleaved.ts';
import { join, makeRelay, makeSession } from './joined.ts';
import { isAsRecorded, Replayed, signerOf } from './replayed.ts';
import { unsteady } from './unsteady.ts';

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const traces = 'test/vectors/hsmd/traces';
const secp = backend(undefined, systemEntropy);

interface Played {
  readonly different: readonly Difference[];
  /** What the node was told otherwise than the signer decided. */
  readonly overruled: readonly string[];
  readonly early: number;
}

type Order = 'in order' | 'interleaved';

const orders: { readonly [O in Order]: typeof interleave } = {
  async 'in order'(requests, _roll, ask) {
    for (const [row, request] of requests.entries()) await ask(request, row);
  },
  interleaved: interleave,
};

function outcomeOf(answer: Answer): Difference['outcome'] {
  if (answer.kind === 'reply') return answer.bytes;
  return answer.kind === 'refused' ? { rule: answer.tag, message: answer.message } : 'refused';
}

/** Plays the sessions one after the other. */
async function play(
  t: ExecutionContext,
  sessions: readonly RecordedSession[],
  policy: string | undefined,
  order: Order,
): Promise<Played> {
  const roll = dice(seed);
  const policyOf = policies(await readPolicy(policy, secp), sessions, secp);
  const different: Difference[] = [];
  const overruled: string[] = [];
  let early = 0;
  for (const session of sessions) {
    await using opened = policyOf(session);
    await using journal = await Journal.open({ folder: await temporaryDirectory(t), clock: systemClock, log: silent });
    const relay = makeRelay({ journal: journal.of('alice') });
    relay.onOverruled = (_client, request, reason) => overruled.push(`${callOf(request)} ${reason}`);
    const signer = signerOf(session, opened.policy);
    const asked = order === 'interleaved' ? unsteady(signer, roll) : signer;
    const stream = await join(relay, makeSession(asked), { delayMs: 1 });
    const node = new Replayed(relay);
    const start = session.requests.findIndex(({ bytes }) => callOf(bytes) === 'init') + 1;
    const ask = async (request: RecordedRequest, row: number) => {
      const answer = await node.ask(request);
      if (answer !== undefined && !isAsRecorded(answer, request))
        different.push({ session: session.name, row, request, outcome: outcomeOf(answer) });
    };
    for (const [row, request] of session.requests.slice(0, start).entries()) await ask(request, row);
    await orders[order](session.requests.slice(start), roll, (request, row) => ask(request, row + start));
    while (relay.undecided > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    early += relay.tally.total('ahead') + relay.tally.total('acknowledged');
    await stream.cut();
    relay[Symbol.dispose]();
  }
  return { different, overruled, early };
}

for (const scenario of await readdir(traces))
  for (const order of ['in order', 'interleaved'] as const)
    for (const policy of ['none', undefined])
      test(`${scenario}, ${order}, under ${policy ?? 'the default policy'}: every reply is the real hsmd's`, async (t) => {
        t.timeout(240_000, `seed ${seed}`);
        if (order === 'interleaved') t.log(`seed ${seed}`);
        const sessions = await loadRecordings([`${traces}/${scenario}`]);
        const { different, overruled, early } = await play(t, sessions, policy, order);
        const { different: bad, excused } = policy === 'none' ? { different, excused: [] } : judge(sessions, different);
        t.deepEqual(bad.map(explain), [], `seed ${seed}`);
        if (excused.length === 0) t.deepEqual(overruled, [], `seed ${seed}`);
        t.true(early > 10, `${early} without waiting`);
      });
