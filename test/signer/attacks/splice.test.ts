/** Attack 14, and others on splices of one channel. */

import test, { type ExecutionContext } from 'ava';
import { attack } from './attack.ts';
import { TestChannel } from './channel.ts';
import { announce, elsewhere, forget, one, ours, sign, spends, validate } from './splices.ts';
import type { Terms } from './terms.ts';
import { output, walletScript } from './transactions.ts';
import { Refused, World } from './world.ts';

attack('attack 14, a splice-out to an address of the peer’s', 'policy-splice-destination', {
  async prefix(world) {
    const channel = await ours(world);
    const splice = one(channel, 500_000n, 0n, [output(elsewhere, 499_000n)]);
    await announce(channel, splice);
    await validate(channel, splice);
    return { channel, splice };
  },
  hostile: ({ channel, splice }) => sign(channel, splice),
  async honest({ channel }, world) {
    const splice = one(channel, 500_000n, 0n, [output(walletScript(world.keys, 3), 499_000n)]);
    await announce(channel, splice);
    await validate(channel, splice);
    await sign(channel, splice);
  },
});

attack(
  'attack 14, the final signature of a splice whose new funding has no commitment',
  'policy-splice-new-funding-validated',
  {
    async prefix(world) {
      const channel = await ours(world);
      const splice = one(channel, 500_000n, 0n, [output(walletScript(world.keys, 3), 499_000n)]);
      await announce(channel, splice);
      return { channel, splice };
    },
    hostile: ({ channel, splice }) => sign(channel, splice),
    async honest({ channel, splice }) {
      await validate(channel, splice);
      await sign(channel, splice);
    },
  },
);

test('policy-splice-new-funding-validated: attack 14, the early signature is worth nothing', async (t) => {
  const world = await World.open();
  const channel = await ours(world);
  const splice = one(channel, 500_000n, 0n, [output(walletScript(world.keys, 3), 499_000n)]);
  const early = await sign(channel, splice);
  await announce(channel, splice);
  await validate(channel, splice);
  const real = await sign(channel, splice);
  t.true(spends(channel, splice, real));
  t.false(spends(channel, splice, early));
});

attack('a splice shifts our part to the peer within the channel', 'policy-splice-balance', {
  async prefix(world) {
    const channel = await ours(world);
    const splice = one(channel, 999_000n, 500_000n, []);
    await announce(channel, splice);
    await validate(channel, splice);
    return { channel, splice };
  },
  hostile: ({ channel, splice }) => sign(channel, splice),
  async honest({ channel }) {
    const splice = one(channel, 999_200n, 0n, []);
    await announce(channel, splice);
    await validate(channel, splice);
    await sign(channel, splice);
  },
});

attack('the new funding is worth less than its commitments say', 'policy-splice-balance', {
  async prefix(world) {
    const channel = await ours(world);
    const splice = one(channel, 999_000n, 0n, []);
    const lie = { ...splice, funding: { ...splice.funding, value: 999_500n }, ourLoss: 500n };
    await announce(channel, lie);
    await validate(channel, lie);
    return { channel, splice };
  },
  hostile: ({ channel, splice }) => sign(channel, splice),
  async honest({ channel }) {
    const splice = one(channel, 999_100n, 0n, []);
    await announce(channel, splice);
    await validate(channel, splice);
    await sign(channel, splice);
  },
});

/** Splices again and again, each losing what a fee may cost; how much that adds up to. */
async function drain(t: ExecutionContext, channel: TestChannel, each: bigint): Promise<bigint> {
  let lost = 0n;
  for (let i = 0; i < 20; i++) {
    const splice = one(channel, channel.funding.value - 1000n, each, [output(elsewhere, 800n)]);
    try {
      await announce(channel, splice);
      await validate(channel, splice);
      await sign(channel, splice);
      await channel.lock(splice.funding, -splice.ourLoss, splice.theirGain);
    } catch (error: unknown) {
      t.true(error instanceof Refused);
      return lost;
    }
    lost += splice.ourLoss;
  }
  return lost;
}

test('policy-onchain-velocity: what the peer gains by splices as if it were a fee is bounded by a day’s fees', async (t) => {
  const world = await World.open({ settings: { onchainFeesSatPerDay: 50_000n } });
  const channel = await ours(world);
  const lost = await drain(t, channel, 20_000n);
  t.true(lost <= 50_000n, `${lost} sat`);
});

attack('a forgotten channel is begun again while its splice may confirm', 'policy-channel-original-channel-id-reuse', {
  async prefix(world) {
    const channel = await ours(world);
    const splice = one(channel, 999_000n, 0n, []);
    await announce(channel, splice);
    await validate(channel, splice);
    await sign(channel, splice);
    await forget(channel);
    return channel;
  },
  hostile: (channel) => channel.announce(),
  honest: (channel) => TestChannel.open(channel.world, { peer: 5 }),
});

attack(
  'our secret is asked for while a splice that was signed for has no next commitment',
  'policy-revoke-new-commitment-signed',
  {
    async prefix(world) {
      const channel = await ours(world);
      const splice = one(channel, 999_000n, 0n, []);
      await announce(channel, splice);
      await validate(channel, splice);
      await sign(channel, splice);
      channel.setFeerate(1100);
      await channel.signOurs();
      return { channel, splice };
    },
    hostile: ({ channel }) => channel.weRevoke(),
    async honest({ channel, splice: { funding, ourLoss } }) {
      const { updates } = channel;
      const terms = (): Terms => {
        const now = updates.terms(updates.signed.local);
        return { ...now, ours: now.ours - ourLoss * 1000n };
      };
      await channel.signOurs({ funding, terms, number: channel.numbers.local });
      await channel.weRevoke();
    },
  },
);
