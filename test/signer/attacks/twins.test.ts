/** Parts of a payment may be alike in everything, in one commitment too: an honest node may have them, however they end. */

import test from 'ava';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { TestChannel } from './channel.ts';
import { between, hash, msat } from './routed.ts';

import { World } from './world.ts';

/** Which of the two are paid. */
const ends = { 'both paid': [true, true], 'both failed': [false, false], 'one paid': [true, false] } as const;
type End = (typeof ends)[keyof typeof ends];

/** Ends them, in one commitment. */
async function end(channel: TestChannel, twins: readonly Htlc[], paid: End): Promise<void> {
  for (const [i, twin] of twins.entries()) paid[i] === true ? channel.fulfil(twin) : channel.fail(twin);
  await channel.commit();
}

const stories = {
  async 'that we pay, offered together'(world: World, paid: End) {
    world.allowPayment(hash, 2n * msat);
    const channel = await TestChannel.open(world);
    const twins = [channel.add({ from: 'us', msat, hash }), channel.add({ from: 'us', msat, hash })];
    await channel.commit();
    await end(channel, twins, paid);
  },

  async 'that we pay, one after the other'(world: World, paid: End) {
    world.allowPayment(hash, 2n * msat);
    const channel = await TestChannel.open(world);
    const twins: Htlc[] = [];
    for (let i = 0; i < 2; i++) {
      twins.push(channel.add({ from: 'us', msat, hash }));
      await channel.commit();
    }
    await end(channel, twins, paid);
  },

  async 'that we are paid'(world: World, paid: End) {
    const channel = await TestChannel.open(world, { opener: 'them' });
    const twins = [channel.add({ from: 'them', msat, hash }), channel.add({ from: 'them', msat, hash })];
    await channel.commit();
    await end(channel, twins, paid);
  },

  async 'that go through us'(world: World, paid: End) {
    const { from, to } = await between(world);
    const incoming = { from: 'them', msat, hash, cltv: 600 } as const;
    const ins = [from.add(incoming), from.add(incoming)];
    await from.commit();
    const outgoing = { from: 'us', msat: msat - 1000n, hash, cltv: 500 } as const;
    const outs = [to.add(outgoing), to.add(outgoing)];
    await to.commit();
    await end(to, outs, paid);
    await end(from, ins, paid);
  },
};

for (const [story, play] of Object.entries(stories))
  for (const [name, paid] of Object.entries(ends))
    test(`equal parts ${story}: ${name}`, async (t) => {
      const world = await World.open();
      await t.notThrowsAsync(play(world, paid));
    });
