/** Random commitments of channels whose two sides tell what they like. Time and seed are those of fuzz_budget.ts. */

import test from 'ava';
import { playAll, randomFrom, seed } from '../../fuzz_budget.ts';
import { hashOf } from './channel.ts';
import { Liars } from './liars.ts';
import { World } from './world.ts';

/** Msat: of payments in one history. */
const amounts = [
  [10_000_000n],
  [10_000_000n, 5_000_000n],
  [10_000_000n, 5_000_000n, 15_000_000n],
  [10_000_000n, 10_000_000n, 10_001_900n, 5_000_000n, 400_000n],
  [400_000n, 560_000n, 960_000n],
] as const;

/** Steps of one history. */
const count = 100;
const limits = { unlistedMsatPerDay: 300_000n, onchainFeesSatPerDay: 100n };
/** That, and parts of a satoshi in each of three channels. */
const allowed = limits.unlistedMsatPerDay + 3n * 2000n;

async function play(random: (limit: number) => number): Promise<number> {
  const world = await World.open({ settings: limits });
  const hashes = Array.from({ length: 2 + random(4) }, (_, i) => hashOf(`shared ${i}`));
  const liars = await Liars.begin(world, random, hashes, amounts[random(amounts.length)] ?? amounts[0]);
  for (let i = 0; i < count; i++) {
    await liars.step();
    const lost = liars.lost();
    if (lost > allowed) throw new Error(`${lost} msat are gone: ${liars.done.join(', ')}`);
  }
  return liars.done.length;
}

test('whatever two sides of a channel tell, it leaves us what was not approved', async (t) => {
  const { histories, steps } = await playAll(play);
  t.log(`seed ${seed}: ${histories} histories, ${steps} commitments`);
  t.true(steps > 0);
});

/** A history out of some hundreds in which it shows. */
const partInFlight = 7279;

test('what was paid of a payment counts on where the doubt about it ends and a part of it is still in flight', async (t) => {
  t.true((await play(randomFrom(partInFlight))) > 0);
});
