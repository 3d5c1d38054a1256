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
