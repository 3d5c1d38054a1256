/**
 * The rules about balances and payments as two properties: every honest history is accepted, and whatever is accepted of a
 * dishonest one leaves us no less than approvals and the limits for dust and fees allow. Time and seed are those of
 * fuzz_budget.ts.
 */

import test, { type ExecutionContext } from 'ava';
import { playAll, seed } from '../../fuzz_budget.ts';
import { anarchic } from '../attacks/anarchy.ts';
import { hashOf } from '../attacks/channel.ts';
import { History } from '../attacks/history.ts';

/** Actions in one history. */
const actions = 150;

async function check(t: ExecutionContext, play: (random: (limit: number) => number) => Promise<number>): Promise<void> {
  const { histories, steps } = await playAll(play);
  t.log(`seed ${seed}: ${histories} histories, ${steps} steps`);
  t.true(steps > 0);
}

test('honest histories of three channels, with splices, closes, restarts and retries, are accepted', async (t) => {
  await check(t, async (random) => {
    const history = await History.begin(random);
    const next = () => history.oneOf(history.done.length < actions ? history.honest() : history.ending());
    for (let action = next(); action !== undefined; action = next()) {
      const isAccepted = await history.run(action);
      if (!isAccepted) throw new Error(`${history.refusal}, after ${history.done.join(', ')}`);
    }
    return history.done.length;
  });
});

/** What a day may lose to what is not seen and to fees of splices, msat. */
const limits = { unlistedMsatPerDay: 300_000n, onchainFeesSatPerDay: 100n };

/** Those, and parts of a satoshi in each channel. */
function allowed({ channels }: History): bigint {
  return limits.unlistedMsatPerDay + limits.onchainFeesSatPerDay * 1000n + BigInt(channels.length) * 2000n;
}

test('whatever is accepted of dishonest histories leaves us what was not approved', async (t) => {
  let refused = 0;
  await check(t, async (random) => {
    const history = await History.begin(random, limits);
    const hashes = [0, 1, 2].map((i) => hashOf(`shared ${i}`));
    const [first] = hashes;
    // What may be paid could hide what is stolen.
    if (first !== undefined && history.pick(2) === 0) history.approve(first, 5_000_000n);
    let most = history.claims.worst();
    for (let i = 0; i < actions; i++) {
      const action = history.oneOf(anarchic(history, hashes));
      if (action === undefined) continue;
      if (!(await history.run(action))) refused += 1;
      const worst = history.claims.worst();
      if (worst < most - history.approved - allowed(history))
        throw new Error(`${most - worst} msat are gone, ${history.approved} were approved: ${history.done.join(', ')}`);
      if (worst > most) most = worst;
    }
    return history.done.length;
  });
  t.log(`${refused} steps were refused`);
});
