/** The list's attacks on balances, payments and revocations, as requests to the assembled signer. */

import test from 'ava';
import { attack, refused } from './attack.ts';
import { type Hostile, hashOf, TestChannel } from './channel.ts';
import type { Terms } from './terms.ts';
import { World } from './world.ts';

const msat = 100_000_000n;
const hash = hashOf('payment');

/** Two thieves: one sends through us to the other. */
async function between(world: World): Promise<{ readonly from: TestChannel; readonly to: TestChannel }> {
  const from = await TestChannel.open(world, { peer: 2, opener: 'them', push: 300_000n });
  const to = await TestChannel.open(world, { peer: 3 });
  return { from, to };
}

/** A payment in flight: in from one, out to the other. */
async function routed(world: World) {
  const { from, to } = await between(world);
  const incoming = from.add({ from: 'them', msat, hash, cltv: 600 });
  await from.commit();
  const outgoing = to.add({ from: 'us', msat: msat - 1000n, hash, cltv: 500 });
  await to.commit();
  return { from, to, incoming, outgoing };
}

async function twoPayments(world: World) {
  const channel = await TestChannel.open(world);
  world.allowPayment(hash, msat);
  channel.add({ from: 'us', msat, hash });
  await channel.commit();
  return channel;
}

const allTheirs = ({ ours, theirs, ...rest }: Terms): Terms => ({
  ...rest,
  // What is left is the fee, which is ours to pay.
  ours: 2_000_000n,
  theirs: theirs + ours - 2_000_000n,
});
const takenBack = (terms: Terms): Terms => ({ ...terms, htlcs: [], ours: terms.ours + msat });

for (const [who, step] of [
  ['the peer’s', 'signTheirs'],
  ['our own', 'signOurs'],
] as const)
  attack(`attack 1, ${who} commitment gives our whole balance away without an HTLC`, 'policy-commitment-balance', {
    prefix: twoPayments,
    hostile: (channel) => channel[step]({ terms: allTheirs }),
    honest: async (channel) => {
      channel.setFeerate(2000);
      await channel.commit();
    },
  });

attack('attack 2, the outgoing HTLC was fulfilled, the incoming one is dropped as failed', 'policy-routing-balance', {
  async prefix(world) {
    const { from, to, incoming, outgoing } = await routed(world);
    to.fulfil(outgoing);
    await to.commit();
    return { from, incoming };
  },
  async hostile({ from, incoming }) {
    from.fail(incoming);
    await from.signTheirs().finally(() => from.updates.logs.local.pop());
  },
  async honest({ from, incoming }) {
    from.fulfil(incoming);
    await from.commit();
  },
});

attack('attack 2, the incoming HTLC is dropped while the outgoing one is in flight', 'policy-routing-balance', {
  prefix: routed,
  async hostile({ from, incoming }) {
    from.fail(incoming);
    await from.signTheirs().finally(() => from.updates.logs.local.pop());
  },
  async honest({ from, to, incoming, outgoing }) {
    to.fail(outgoing);
    await to.commit();
    from.fail(incoming);
    await from.commit();
  },
});

attack('attack 3, an approved invoice is paid a second time', 'policy-payment-once', {
  async prefix(world) {
    const channel = await TestChannel.open(world);
    world.allowPayment(hash);
    const htlc = channel.add({ from: 'us', msat, hash });
    await channel.commit();
    channel.fulfil(htlc);
    await channel.commit();
    return channel;
  },
  async hostile(channel) {
    channel.add({ from: 'us', msat, hash });
    await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
  },
  async honest(channel, world) {
    const next = hashOf('the next payment');
    world.allowPayment(next);
    channel.add({ from: 'us', msat, hash: next });
    await channel.commit();
  },
});

attack('attack 3, an approved invoice is paid over two channels at once', 'policy-payment-once', {
  async prefix(world) {
    const { from, to } = await between(world);
    world.allowPayment(hash, msat);
    const htlc = from.add({ from: 'us', msat, hash });
    await from.commit();
    return { from, to, htlc };
  },
  async hostile({ to }) {
    to.add({ from: 'us', msat, hash });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest({ from, to, htlc }) {
    from.fail(htlc);
    await from.commit();
    to.add({ from: 'us', msat, hash });
    await to.commit();
  },
});

test('policy-payment-once: attack 3, lightningd is told no when it asks to pay an invoice that was paid', async (t) => {
  const world = await World.open();
  const channel = await TestChannel.open(world);
  world.answer = () => true;
  t.true(await world.preapproveKeysend(channel.peer.node.point, hash, msat));
  const htlc = channel.add({ from: 'us', msat, hash });
  await channel.commit();
  channel.fulfil(htlc);
  await channel.commit();
  t.false(await world.preapproveKeysend(channel.peer.node.point, hash, msat));
  await world.restart();
  t.false(await world.preapproveKeysend(channel.peer.node.point, hash, msat));
  t.true(await world.preapproveKeysend(channel.peer.node.point, hashOf('another'), msat));
});

attack('attack 5, an incoming HTLC that expires too soon for the outgoing one', 'policy-routing-cltv-delta', {
  async prefix(world) {
    const { from, to } = await between(world);
    from.add({ from: 'them', msat, hash, cltv: 600 });
    await from.commit();
    return to;
  },
  async hostile(to) {
    to.add({ from: 'us', msat, hash, cltv: 596 });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest(to) {
    to.add({ from: 'us', msat, hash, cltv: 595 });
    await to.commit();
  },
});

const sameNumber = (terms: (terms: Terms) => Terms): Hostile => ({ terms });

attack('attack 7, a number of the peer’s is signed again with other HTLCs', 'policy-commitment-retry-same', {
  async prefix(world) {
    const channel = await twoPayments(world);
    return channel;
  },
  hostile: (channel) => channel.signTheirs({ ...sameNumber(takenBack), number: channel.numbers.remote }),
  honest: (channel) => channel.signTheirs({ number: channel.numbers.remote }),
});

attack('attack 7, a number of ours is validated again with other HTLCs', 'policy-commitment-retry-same', {
  prefix: twoPayments,
  hostile: (channel) => channel.signOurs({ ...sameNumber(takenBack), number: channel.numbers.local }),
  honest: (channel) => channel.signOurs({ number: channel.numbers.local }),
});

attack('attack 7, a number of the peer’s is signed again with another point', 'policy-commitment-retry-same', {
  prefix: twoPayments,
  hostile: (channel) => {
    const point = channel.theirKeys.perCommitmentPoint(77n);
    return channel.signTheirs({ number: channel.numbers.remote, ...(point && { point }) });
  },
  honest: (channel) => channel.signTheirs({ number: channel.numbers.remote }),
});

for (const feerate of [0, 252, 75_001, 2 ** 32 - 1])
  attack(`attack 13, the feerate goes to ${feerate} while we pay it`, 'policy-commitment-fee-range', {
    prefix: (world) => TestChannel.open(world),
    async hostile(channel) {
      channel.setFeerate(feerate);
      await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
    },
    async honest(channel) {
      channel.setFeerate(75_000);
      await channel.commit();
      channel.setFeerate(253);
      await channel.commit();
    },
  });

attack('attack 13, the feerate’s share goes to the peer instead of the miners', 'policy-commitment-fee-range', {
  prefix: (world) => TestChannel.open(world, { opener: 'us', value: 1_000_000n }),
  async hostile(channel) {
    channel.setFeerate(70_000);
    const twist: Hostile['twist'] = (content) => ({ ...content, toOwner: (content.toOwner ?? 0n) + 70_000n });
    await channel.signTheirs({ twist }).finally(() => channel.updates.logs.local.pop());
  },
  async honest(channel) {
    channel.setFeerate(70_000);
    await channel.commit();
  },
});

test('policy-commitment-balance: attack 1 is refused on the peer’s commitment however little is left to us', async (t) => {
  const world = await World.open();
  const channel = await TestChannel.open(world);
  for (const taken of [997_000_000n, 500_000_000n, 21_000_000n]) {
    const shift = (terms: Terms): Terms => ({ ...terms, ours: terms.ours - taken, theirs: terms.theirs + taken });
    await refused(t, 'policy-commitment-balance', channel.signTheirs({ terms: shift }), `${taken} msat`);
  }
});
