/**
 * The rules about balances and payments as two properties: every honest history is accepted, and whatever is accepted of a
 * dishonest one leaves us no less than approvals and the limits for dust and fees allow. Time and seed are those of
 * fuzz_budget.ts.
 */

import test, { type ExecutionContext } from 'ava';
import { playAll, seed } from '../../fuzz_budget.ts';
import { anarchic } from '../attacks/anarchy.ts';
import { hashOf } from '../attacks/channel.ts';
import { type Action, History } from '../attacks/history.ts';

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

/** Plays what anarchy knows, and compares what is left with what was left before; with income, where there may be some. */
async function rob(
  history: History,
  count: number,
  actionsOf: (history: History) => readonly Action[],
  hasIncome = true,
): Promise<number> {
  let [refused, most] = [0, history.claims.worst()];
  for (let i = 0; i < count; i++) {
    const action = history.oneOf(actionsOf(history));
    if (action === undefined) continue;
    if (!(await history.run(action))) refused += 1;
    const worst = history.claims.worst();
    if (worst < most - history.approved - allowed(history))
      throw new Error(`${most - worst} msat are gone, ${history.approved} were approved: ${history.done.join(', ')}`);
    if (hasIncome && worst > most) most = worst;
  }
  return refused;
}

test('whatever is accepted of dishonest histories leaves us what was not approved', async (t) => {
  let refused = 0;
  await check(t, async (random) => {
    const history = await History.begin(random, limits);
    const hashes = [0, 1, 2].map((i) => hashOf(`shared ${i}`));
    const [first] = hashes;
    // What may be paid could hide what is stolen.
    if (first !== undefined && history.pick(2) === 0) history.approve(first, 5_000_000n);
    refused += await rob(history, actions, (now) => anarchic(now, hashes));
    return history.done.length;
  });
  t.log(`${refused} steps were refused`);
});

/** Payments through us of one hash, some of which are as good as one another. */
async function routed(history: History, hash: Uint8Array): Promise<void> {
  // A channel that we opened has nothing of the peer's yet.
  const from = history.channels.find(({ options }) => options.opener === 'them');
  if (from === undefined) return;
  const others = history.channels.filter((each) => each !== from);
  for (let i = 0; i < 3; i++) {
    const [msat, cltv] = [history.oneOf([30_000_000n, 30_000_000n, 45_000_000n]) ?? 0n, 400 + history.pick(2) * 300];
    const to = history.oneOf(others);
    from.add({ from: 'them', msat, hash, cltv: cltv + 100 });
    await from.commit();
    to?.add({ from: 'us', msat, hash, cltv });
    await to?.commit();
  }
  history.claims.note();
}

test('whatever is accepted while routed payments come back on the chain leaves us what is ours', async (t) => {
  let refused = 0;
  await check(t, async (random) => {
    const history = await History.begin(random, limits);
    const hash = hashOf('routed');
    await routed(history, hash);
    // What a lie takes for a payment that is paid besides, the model does not know for paid.
    const isTrue = ([name]: Action) => !name.startsWith('lie');
    // What comes in for an HTLC that then comes back is the thieves' own, and may go out again.
    refused += await rob(history, actions / 3, (now) => anarchic(now, [hash]).filter(isTrue), false);
    return history.done.length;
  });
  t.log(`${refused} steps were refused`);
});
