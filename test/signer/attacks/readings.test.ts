/** Payments that an honest node makes side by side, and that only all balances together tell apart. */

import test from 'ava';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { hashOf } from './channel.ts';
import type { Terms } from './terms.ts';
import { add, failed, hidden, isRefused, paid, TwoStories } from './two_stories.ts';
import { World } from './world.ts';

const msat = 10_000_000n;

const comes = (name: string, cltvExpiry = 600): Htlc => ({
  side: 'remote',
  amount: msat,
  paymentHash: hashOf(name),
  cltvExpiry,
});
const goes = (name: string, cltvExpiry = 500): Htlc => ({ ...comes(name, cltvExpiry), side: 'local' });

async function open(unlistedMsatPerDay = 0n) {
  const world = await World.open({ settings: { unlistedMsatPerDay } });
  const channel = (peer: number, push: bigint) => TwoStories.open(world, { peer, opener: 'them', push });
  return { world, from: await channel(2, 300_000n), to: await channel(3, 500_000n), third: await channel(4, 300_000n) };
}

/** Every order of two, and which of them is paid. */
const cases = [0, 1].flatMap((order) => (['a', 'b'] as const).map((truth) => ({ order, truth })));

function ordered<T>(order: number, [first, second]: readonly [T, T]): readonly T[] {
  return order === 0 ? [first, second] : [second, first];
}

for (const { order, truth } of cases) {
  test(`another part of the payment is in flight in the channel still: ${truth} is paid, order ${order}`, async (t) => {
    const { from, to } = await open();
    const [inA, inB, inB2] = [comes('a'), comes('b'), comes('b', 601)];
    await from.both(add(inA), add(inB), add(inB2));
    const [a, b, b2] = [goes('a'), goes('b'), goes('b', 501)];
    await to.both(...ordered(order, [add(a), add(b)]), add(b2));
    const end = (htlc: Htlc, name: 'a' | 'b') => (name === truth ? paid(htlc) : failed(htlc));
    await to.both(end(a, 'a'), end(b, 'b'));
    t.false(await isRefused(from.both(end(inA, 'a'))), 'the one');
    t.false(await isRefused(from.both(end(inB, 'b'))), 'the other');
    await to.both(paid(b2));
    t.false(await isRefused(from.both(paid(inB2))), 'the part');
  });

  test(`what one side knows goes before what was taken for paid elsewhere: ${truth} is paid, order ${order}`, async (t) => {
    const { from, to, third } = await open();
    const [inA, inB, inC] = [comes('a'), comes('b'), comes('c')];
    await to.both(add(inA));
    await from.both(add(inB), add(inC));
    const [a, b, c] = [goes('a'), goes('b'), goes('c')];
    await third.both(...ordered(order, [add(a), add(b)]));
    await to.both(add(c));
    const end = (htlc: Htlc, name: 'a' | 'b') => (name === truth ? paid(htlc) : failed(htlc));
    await third.both(...ordered(order, [end(a, 'a'), end(b, 'b')]));
    // One side's balance says that c failed; with a it could be that both were paid.
    await to.step('local', failed(c));
    await to.step('remote', failed(c), end(inA, 'a'));
    await to.step('local', end(inA, 'a'));
    t.false(await isRefused(from.both(failed(inC), end(inB, 'b'))));
  });
}

for (const { order, truth } of cases)
  for (const later of [0, 1])
    test(`nobody is paid for what failed for certain: ${truth} is paid, orders ${order} and ${later}`, async (t) => {
      const { from, to, third } = await open();
      const [inA, inB, inC] = [comes('a'), comes('b'), comes('c')];
      await from.both(add(inA));
      await to.both(...ordered(later, [add(inB), add(inC)]));
      const [a, b, c] = [goes('a'), goes('b'), goes('c')];
      await third.both(...ordered(order, [add(a), add(b)]), add(c));
      await third.both(failed(c));
      const end = (htlc: Htlc, name: 'a' | 'b') => (name === truth ? paid(htlc) : failed(htlc));
      await third.both(end(a, 'a'), end(b, 'b'));
      await to.both(end(inB, 'b'), failed(inC));
      t.false(await isRefused(from.both(end(inA, 'a'))));
    });

test('what one side took for likely goes after what it knows', async (t) => {
  const { world, from, to } = await open(2_000_000n);
  const [inA, inB] = [comes('a'), { ...comes('b'), amount: 13_854_125n }];
  await from.both(add(inA), add(inB));
  for (const name of ['c', 'd']) world.allowPayment(hashOf(name));
  const of = (name: string, amount: bigint): Htlc => ({ ...goes(name), amount });
  // With the dust that is under way, c is about what a and b are together, and b is about d.
  const [a, b] = [of('a', 9_998_861n), of('b', 13_852_644n)];
  const [c, d, dust] = [of('c', 23_621_740n), of('d', 13_886_065n), of('dust', 392_588n)];
  const back = (terms: Terms): Terms => ({ ...terms, ours: terms.ours + dust.amount });
  await to.both(...[a, b, c, d].map(add));
  const ended = [failed(a), failed(b), paid(c)];
  await to.step('remote', hidden(dust));
  await to.step('local', ...ended, hidden(dust));
  await to.step('local', paid(d), back);
  await to.step('remote', ...ended, paid(d), back);
  t.false(await isRefused(from.both(failed(inB))), 'b');
  t.false(await isRefused(from.both(failed(inA))), 'a');
});
