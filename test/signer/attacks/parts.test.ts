/** Parts of a payment through us that leave us other times to learn the preimage in. */

import test from 'ava';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { hashOf } from './channel.ts';
import { add, failed, isRefused, paid, TwoStories } from './two_stories.ts';
import { World } from './world.ts';

const msat = 10_000_000n;
const paymentHash = hashOf('parts');
const comes = (cltvExpiry: number): Htlc => ({ side: 'remote', amount: msat, paymentHash, cltvExpiry });
const goes = (cltvExpiry: number): Htlc => ({ side: 'local', amount: msat, paymentHash, cltvExpiry });

async function open() {
  const world = await World.open({ settings: { unlistedMsatPerDay: 0n } });
  const channel = (peer: number, push: bigint) => TwoStories.open(world, { peer, opener: 'them', push });
  return { world, from: await channel(2, 300_000n), to: await channel(3, 500_000n) };
}

const expiries = [500, 550, 600] as const;
const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

for (const order of orders)
  for (const end of [paid, failed])
    test(`parts of a payment end one after the other, the ${order} is ${end === paid ? 'paid' : 'failed'} last`, async (t) => {
      const { from, to } = await open();
      const [incoming, outgoing] = [expiries.map((each) => comes(each + 34)), expiries.map(goes)];
      await from.both(...incoming.map(add));
      await to.both(...outgoing.map(add));
      const [first, second, last] = order;
      for (const [index, how] of [
        [first, paid],
        [second, paid],
        [last, end],
      ] as const) {
        const htlc = outgoing[index];
        const before = incoming[index];
        if (htlc === undefined || before === undefined) throw new Error('no such part');
        t.false(await isRefused(to.both(how(htlc))), `${htlc.cltvExpiry} out`);
        t.false(await isRefused(from.both(how(before))), `${htlc.cltvExpiry} in`);
      }
    });

test('the part that expires later is paid for first, while the peer’s commitment has it still', async (t) => {
  const { from, to } = await open();
  const [early, late] = [comes(534), comes(634)];
  const [soon, later] = [goes(500), goes(600)];
  await from.both(add(early), add(late));
  await to.both(add(soon), add(later));
  await to.both(paid(soon));
  await to.step('local', paid(later));
  t.false(await isRefused(from.step('remote', paid(late))));
  t.true(await isRefused(from.step('remote', failed(early))), 'what was paid is not given back');
});

for (const [height, isLate] of [
  [500, false],
  [530, true],
] as const)
  test(`what was paid needs an HTLC that is in time at height ${height}, and leaves no more for what goes out`, async (t) => {
    const { world, from, to } = await open();
    await from.both(add(comes(534)), add(comes(634)));
    const soon = goes(500);
    await to.both(add(soon));
    await to.both(paid(soon));
    world.height = height;
    t.is(await isRefused(to.both(add(goes(600)))), isLate);
    t.true(await isRefused(to.both(add(goes(600)))), 'nor a third');
  });
