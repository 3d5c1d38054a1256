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
import { mixing } from '../attacks/mixing.ts';

/** Actions in one history. */
const actions = 150;

async function check(t: ExecutionContext, play: (random: (limit: number) => number) => Promise<number>): Promise<void> {
  const { histories, steps } = await playAll(play);
  t.log(`seed ${seed}: ${histories} histories, ${steps} steps`);
  t.true(steps > 0);
}

async function beHonest(history: History): Promise<number> {
  const next = () => history.oneOf(history.done.length < actions ? history.honest() : history.ending());
  for (let action = next(); action !== undefined; action = next()) {
    const isAccepted = await history.run(action);
    if (!isAccepted) throw new Error(`${history.refusal}, after ${history.done.join(', ')}`);
  }
  return history.done.length;
}

test('honest histories of three channels, with splices, closes, restarts and retries, are accepted', async (t) => {
  await check(t, async (random) => beHonest(await History.begin(random)));
});

/** Msat: what our balances hardly tell apart. */
const alike = [10_000_000n, 5_000_000n, 15_000_000n, 400_000n, 5_000_500n, 10_000_700n] as const;

test('honest histories in which amounts are alike are accepted', async (t) => {
  await check(t, async (random) => beHonest(await History.begin(random, {}, alike.slice(0, 1 + random(alike.length)))));
});

/** What a day may lose to what is not seen and to fees of splices, msat. */
const limits = { unlistedMsatPerDay: 300_000n, onchainFeesSatPerDay: 100n };

/** Those, and parts of a satoshi in each channel. */
function allowed({ channels }: History): bigint {
  return limits.unlistedMsatPerDay + limits.onchainFeesSatPerDay * 1000n + BigInt(channels.length) * 2000n;
}

/** Plays what thieves know, as long as nothing is lost; how many steps were refused. */
async function rob(history: History, count: number, actionsOf: () => readonly Action[]): Promise<number> {
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const action = history.oneOf(actionsOf());
    if (action === undefined) continue;
    if (!(await history.run(action))) refused += 1;
    const lost = history.claims.lost();
    if (lost > allowed(history)) throw new Error(`${lost} msat are gone: ${history.done.join(', ')}`);
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
    refused += await rob(history, actions, () => anarchic(history, hashes));
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
}

test('whatever is accepted while routed payments come back on the chain leaves us what is ours', async (t) => {
  let refused = 0;
  await check(t, async (random) => {
    const history = await History.begin(random, limits);
    const hash = hashOf('routed');
    await routed(history, hash);
    refused += await rob(history, actions / 3, () => anarchic(history, [hash]));
    return history.done.length;
  });
  t.log(`${refused} steps were refused`);
});

/** Satoshi: what is dust on one side only. */
const dustLimits = [
  { local: 354n, remote: 354n },
  { local: 546n, remote: 354n },
  { local: 354n, remote: 546n },
] as const;

test('whatever is accepted of payments that are taken for one another leaves us what was not approved', async (t) => {
  let refused = 0;
  await check(t, async (random) => {
    const history = await History.begin(random, limits);
    for (const { options } of history.channels) Object.assign(options, { dust: history.oneOf(dustLimits) });
    const hashes = [0, 1, 2, 3].map((i) => hashOf(`shared ${i}`));
    const approved = hashes.slice(0, random(3));
    for (const hash of approved) history.approve(hash, 10_000_000n);
    refused += await rob(history, actions, () => mixing(history, hashes, approved));
    return history.done.length;
  });
  t.log(`${refused} steps were refused`);
});
