/**
 * The rules about balances and payments as two properties: every honest history is accepted, and whatever is accepted of a
 * dishonest one leaves us no less than approvals and the limit for dust allow. `KEYHOLD_MODEL_SECONDS` gives each more time,
 * `KEYHOLD_MODEL_SEED` repeats a run.
 */

import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { hashOf } from '../attacks/channel.ts';
import { History } from '../attacks/history.ts';

/** Actions in one history. */
const actions = 150;
const { KEYHOLD_MODEL_SECONDS = '4', KEYHOLD_MODEL_SEED = `${Date.now() % 2 ** 31}` } = process.env;
const seed = Number(KEYHOLD_MODEL_SEED);

async function check(t: ExecutionContext, play: (choices: readonly number[]) => Promise<number>): Promise<void> {
  let [runs, steps] = [0, 0];
  // What is not chosen is 0, so a shorter list is the same history with less in it.
  const choices = fc.array(fc.nat(1_000_000), { minLength: 4 * actions, maxLength: 4 * actions });
  const property = fc.asyncProperty(choices, async (list) => {
    steps += await play(list);
    runs += 1;
  });
  const interruptAfterTimeLimit = Number(KEYHOLD_MODEL_SECONDS) * 1000;
  await fc.assert(property, {
    seed,
    numRuns: 1_000_000,
    interruptAfterTimeLimit,
    endOnFailure: true,
    includeErrorInReport: true,
    plugins: [fc.unbiased()],
  });
  t.log(`seed ${seed}: ${runs} histories, ${steps} steps`);
  t.true(runs > 0);
}

test('honest histories of three channels, with restarts and retries, are accepted', async (t) => {
  await check(t, async (list) => {
    const history = await History.begin(list);
    for (let i = 0; i < actions; i++) {
      const action = history.oneOf(history.honest());
      if (action === undefined) continue;
      const isAccepted = await history.run(action);
      if (!isAccepted) throw new Error(`an honest step was refused: ${history.done.join(', ')}`);
    }
    return history.done.length;
  });
});

/** Msat that payments too small for an output may cost, and parts of a satoshi in each channel. */
function unlisted({ world, channels }: History): bigint {
  return world.settings.unlistedMsatPerDay + BigInt(channels.length) * 2000n;
}

test('whatever is accepted of dishonest histories leaves us what was not approved', async (t) => {
  let refused = 0;
  await check(t, async (list) => {
    const history = await History.begin(list, { unlistedMsatPerDay: 100_000n });
    const hashes = [0, 1, 2].map((i) => hashOf(`shared ${i}`));
    const [first] = hashes;
    if (first !== undefined) history.approve(first, 5_000_000n);
    let most = history.worst();
    for (let i = 0; i < actions; i++) {
      const action = history.oneOf(history.anarchic(hashes));
      if (action === undefined) continue;
      if (!(await history.run(action))) refused += 1;
      const worst = history.worst();
      if (worst < most - history.approved - unlisted(history))
        throw new Error(`${most - worst} msat are gone, ${history.approved} were approved: ${history.done.join(', ')}`);
      if (worst > most) most = worst;
    }
    return history.done.length;
  });
  t.log(`${refused} steps were refused`);
});
