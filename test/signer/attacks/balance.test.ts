/** Beyond the list: draining a balance by what a commitment does not show, or by what it is compared with. */

import test from 'ava';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { attack, refused } from './attack.ts';
import { type Hostile, hashOf, TestChannel } from './channel.ts';
import { announce, signSplice, spliceOf } from './splicing.ts';
import type { Terms } from './terms.ts';
import { closeAlone } from './transactions.ts';
import { Refused, World } from './world.ts';

const hash = hashOf('payment');
const msat = 100_000_000n;

/** Satoshi of ours in the newest commitment that was accepted; what we offered may come back. */
function oursIn(channel: TestChannel): bigint {
  const [newest] = channel.commitments.remote.slice(-1);
  const offered = newest?.htlcs.filter(({ side }) => side === 'local') ?? [];
  return offered.reduce((sum, { amount }) => sum + amount / 1000n, newest?.toOther ?? 0n);
}

/** Plays hostile steps until one is refused; the satoshi that were lost by then. */
async function drained(channel: TestChannel, steps: number, step: () => Promise<unknown>): Promise<bigint> {
  const before = oursIn(channel);
  for (let i = 0; i < steps; i++)
    try {
      await step();
    } catch (error: unknown) {
      if (error instanceof Refused) break;
      throw error;
    }
  return before - oursIn(channel);
}

const little: Partial<World['settings']> = { unlistedMsatPerDay: 5_000n };

test('policy-commitment-balance: a satoshi less with each commitment adds up to no more than a day may lose', async (t) => {
  const world = await World.open({ settings: little });
  const channel = await TestChannel.open(world, { opener: 'them', push: 500_000n });
  let taken = 0n;
  const lost = await drained(channel, 40, async () => {
    taken += 1000n;
    const less = (terms: Terms): Terms => ({ ...terms, ours: terms.ours - taken, theirs: terms.theirs + taken });
    await channel.signTheirs({ terms: less });
    await channel.theyRevoke();
  });
  t.true(lost <= 6n, `${lost} sat`);
});

test('policy-commitment-balance: parts of a satoshi of HTLCs that fail do not add up', async (t) => {
  const world = await World.open({ settings: little });
  world.allowPayment(hash, 10_000_001n);
  const channel = await TestChannel.open(world, { opener: 'them', push: 500_000n });
  let taken = 0n;
  const lost = await drained(channel, 30, async () => {
    const htlc = channel.add({ from: 'us', msat: 10_000_001n, hash });
    const less = (terms: Terms): Terms => ({ ...terms, ours: terms.ours - taken });
    const step = async () => {
      await channel.signOurs({ terms: less });
      await channel.weRevoke();
      await channel.signTheirs({ terms: less });
      await channel.theyRevoke();
    };
    await channel.signTheirs({ terms: less });
    await channel.theyRevoke();
    await channel.signOurs({ terms: less });
    await channel.weRevoke();
    channel.fail(htlc);
    taken += 1000n;
    await step();
  });
  t.true(lost <= 6n, `${lost} sat`);
});

/** The same numbers each time, below `end`. */
function* scattered(end: number): Generator<number> {
  for (let seed = 12_345; ; ) {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    yield Math.floor((seed / 2 ** 31) * end);
  }
}

for (const count of [16, 24, 40])
  test(`policy-commitment-balance: ${count} HTLCs are settled by one commitment, one way or the other`, async (t) => {
    const world = await World.open();
    world.answer = () => true;
    const channel = await TestChannel.open(world, { value: 20_000_000n });
    const numbers = scattered(400_000_000);
    const htlcs = Array.from({ length: count }, (_, i) =>
      channel.add({ from: 'us', msat: 1_000_000n + BigInt(numbers.next().value ?? 0), hash: hashOf(`${i}`) }),
    );
    await channel.commit();
    const failed = htlcs.filter((htlc) => htlc.amount % 2n === 0n);
    for (const htlc of htlcs) channel.settle(failed.includes(htlc) ? 'fail' : 'fulfil', htlc);
    await t.notThrowsAsync(channel.commit());
    // Of more there are several ways to add up to the same.
    if (count > 16) return;
    for (const { amount, paymentHash } of failed) channel.add({ from: 'us', msat: amount, hash: paymentHash });
    await t.notThrowsAsync(channel.commit(), 'what failed is tried again');
  });

test('policy-commitment-balance: dust goes out while the fee leaves no output for us, and shows when it is paid', async (t) => {
  const world = await World.open();
  world.answer = () => true;
  const channel = await TestChannel.open(world, { value: 100_000n, anchors: false });
  const large = channel.add({ from: 'us', msat: 98_600_000n, hash });
  await channel.commit();
  const dust = ['one', 'two', 'three'].map((name) => channel.add({ from: 'us', msat: 466_000n, hash: hashOf(name) }));
  await channel.commit();
  for (const htlc of [large, ...dust]) channel.fulfil(htlc);
  await t.notThrowsAsync(channel.commit());
});

attack('an output that was left out as dust comes back smaller', 'policy-commitment-balance', {
  options: { settings: little },
  async prefix(world) {
    const channel = await TestChannel.open(world, { opener: 'them', push: 900n });
    await channel.signTheirs({ twist: (content) => ({ ...content, toOther: undefined }) });
    await channel.theyRevoke();
    return channel;
  },
  hostile: (channel) =>
    channel.signTheirs({ terms: (terms) => ({ ...terms, ours: 600_000n, theirs: terms.theirs + 300_000n }) }),
  honest: (channel) => channel.signTheirs(),
});

attack('the opener’s output is left out as if the fee had eaten it, and the peer has it', 'policy-commitment-balance', {
  prefix: (world) => TestChannel.open(world, { opener: 'us', value: 1_000_000n, push: 0n, feerate: 70_000 }),
  async hostile(channel) {
    const twist: Hostile['twist'] = (content) => ({ ...content, toOther: undefined, toOwner: 999_000n });
    await channel.signTheirs({ twist });
  },
  async honest(channel) {
    channel.setFeerate(69_000);
    await channel.commit();
  },
});

test('policy-commitment-balance: a small balance of ours is not the peer’s for a high feerate’s sake', async (t) => {
  const world = await World.open();
  world.answer = () => true;
  const channel = await TestChannel.open(world, { opener: 'us', value: 1_000_000n, push: 0n, feerate: 253 });
  const htlc = channel.add({ from: 'us', msat: 910_000_000n, hash });
  await channel.commit();
  channel.fulfil(htlc);
  await channel.commit();
  // 90,000 sat are left; at this feerate 85,000 of them would be the fee.
  const twist: Hostile['twist'] = (content) => ({ ...content, toOther: undefined, toOwner: 999_000n });
  channel.setFeerate(75_000);
  await refused(t, 'policy-commitment-balance', channel.signTheirs({ twist }));
});

attack(
  'the peer’s newest commitment is revoked, so that nothing is left to compare the next one with',
  'policy-commitment-previous-revoked',
  {
    async prefix(world) {
      const channel = await TestChannel.open(world, { opener: 'them', push: 0n });
      const htlc = channel.add({ from: 'them', msat, hash });
      await channel.commit();
      channel.fulfil(htlc);
      await channel.commit();
      return channel;
    },
    hostile: (channel) => channel.theyRevoke(channel.numbers.remote),
    async honest(channel) {
      channel.setFeerate(2000);
      await channel.commit();
    },
  },
);

attack(
  'what was paid to us goes out again under its hash, while another part of it is in flight',
  'policy-routing-balance',
  {
    async prefix(world) {
      const channel = await TestChannel.open(world, { opener: 'them', push: 300_000n });
      const [first] = [
        channel.add({ from: 'them', msat, hash }),
        channel.add({ from: 'them', msat: 10_000_000n, hash }),
      ];
      await channel.commit();
      channel.fulfil(first);
      await channel.commit();
      return channel;
    },
    async hostile(channel) {
      channel.add({ from: 'us', msat, hash, cltv: 400 });
      await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
    },
    async honest(channel) {
      channel.add({ from: 'us', msat: 9_000_000n, hash, cltv: 400 });
      await channel.commit();
    },
  },
);

attack('what was paid to us goes out again before its HTLC is gone everywhere', 'policy-routing-balance', {
  async prefix(world) {
    const channel = await TestChannel.open(world, { opener: 'them', push: 300_000n });
    const htlc = channel.add({ from: 'them', msat, hash });
    await channel.commit();
    channel.fulfil(htlc);
    await channel.signTheirs();
    return channel;
  },
  async hostile(channel) {
    const other = await TestChannel.open(channel.world, { peer: 3 });
    other.add({ from: 'us', msat, hash, cltv: 400 });
    await other.signTheirs();
  },
  async honest(channel) {
    await channel.theyRevoke();
    await channel.signOurs();
    await channel.weRevoke();
  },
});

/** A splice of nothing: the same value in another funding. */
const spliced = (channel: TestChannel) => spliceOf(channel, 0n, 0n);

async function received(world: World): Promise<TestChannel> {
  const channel = await TestChannel.open(world, { opener: 'them', push: 0n });
  const htlc: Htlc = channel.add({ from: 'them', msat, hash });
  await channel.commit();
  channel.fulfil(htlc);
  await channel.commit();
  return channel;
}

/** With a splice that may confirm: our commitment of it is validated, the peer's not yet signed. */
async function receivedAndSpliced(world: World) {
  const channel = await received(world);
  const splice = spliced(channel);
  await announce(channel, splice);
  await channel.signOurs({ funding: splice.funding, number: channel.numbers.local });
  await signSplice(channel, splice);
  return { channel, splice };
}

const takenBack = (terms: Terms): Terms => ({ ...terms, ours: 0n, theirs: terms.theirs + terms.ours });

for (const [who, step, owner] of [
  ['the peer’s', 'signTheirs', 'remote'],
  ['our', 'signOurs', 'local'],
] as const) {
  attack(
    `${who} next commitment, of a new funding, takes us back to what we had at the opening`,
    'policy-commitment-balance',
    {
      prefix: receivedAndSpliced,
      hostile: ({ channel, splice: { funding } }) =>
        channel[step]({ funding, terms: takenBack, number: channel.numbers[owner] + 1n }),
      honest: ({ channel, splice: { funding } }) => channel[step]({ funding, number: channel.numbers[owner] }),
    },
  );
  attack(
    `${who} next commitment is one of a splice that may never be, so that it can be left again`,
    'policy-commitment-input-match-funding',
    {
      async prefix(world) {
        const channel = await received(world);
        const splice = spliced(channel);
        await announce(channel, splice);
        return { channel, splice };
      },
      hostile: ({ channel, splice: { funding } }) => channel[step]({ funding, number: channel.numbers[owner] + 1n }),
      honest: ({ channel, splice: { funding } }) => channel[step]({ funding, number: channel.numbers[owner] }),
    },
  );
}

attack('the same number for a new funding gives us less', 'policy-splice-balance', {
  async prefix(world) {
    const channel = await received(world);
    await announce(channel, spliced(channel));
    return channel;
  },
  hostile(channel) {
    const { funding } = spliced(channel);
    const less = (terms: Terms): Terms => ({ ...terms, ours: terms.ours - 2000n, theirs: terms.theirs + 2000n });
    return channel.signTheirs({ funding, terms: less, number: channel.numbers.remote });
  },
  honest: (channel) => channel.signTheirs({ funding: spliced(channel).funding, number: channel.numbers.remote }),
});

attack('an output that no node relays makes our commitment worthless', 'policy-commitment-outputs-trimmed', {
  async prefix(world) {
    const channel = await TestChannel.open(world, {
      opener: 'them',
      push: 500_000n,
      dust: { local: 100n, remote: 100n },
    });
    return channel;
  },
  async hostile(channel) {
    channel.add({ from: 'them', msat: 200_000n, hash });
    await channel.signOurs().finally(() => channel.updates.logs.remote.pop());
  },
  async honest(channel) {
    channel.add({ from: 'them', msat: 400_000n, hash });
    await channel.commit();
  },
});

attack(
  'a third commitment of ours is validated while two can still be broadcast',
  'policy-commitment-holder-not-revoked',
  {
    async prefix(world) {
      const channel = await TestChannel.open(world, { opener: 'them', push: 500_000n });
      channel.setFeerate(1100);
      await channel.signOurs();
      return channel;
    },
    async hostile(channel) {
      await channel.signOurs();
    },
    async honest(channel) {
      await channel.weRevoke();
      await channel.commit();
    },
  },
);

attack('a second commitment number is skipped', 'policy-commitment-previous-revoked', {
  prefix: (world) => TestChannel.open(world),
  hostile: (channel) => channel.signTheirs({ number: 2n }),
  async honest(channel) {
    channel.setFeerate(1100);
    await channel.commit();
  },
});

attack('the peer revokes with the secret of another number', 'policy-commitment-previous-revoked', {
  async prefix(world) {
    const channel = await TestChannel.open(world);
    channel.setFeerate(1100);
    await channel.signTheirs();
    return channel;
  },
  hostile: (channel) => channel.theyRevoke(0n, channel.theirKeys.perCommitmentSecret(5n)),
  honest: (channel) => channel.theyRevoke(0n),
});

attack('our secret is asked for before the next commitment is ours', 'policy-revoke-new-commitment-signed', {
  prefix: (world) => TestChannel.open(world),
  hostile: (channel) => channel.weRevoke(),
  async honest(channel) {
    channel.setFeerate(1100);
    await channel.commit();
    const [newest] = channel.commitments.local.slice(-1);
    if (newest !== undefined) await closeAlone(channel, newest);
  },
});
