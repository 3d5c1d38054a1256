/** Beyond the list: payments through us: what comes in covers what goes out, and for long enough. */

import test from 'ava';
import { attack } from './attack.ts';
import { hashOf, TestChannel } from './channel.ts';
import { between, hash, msat } from './routed.ts';
import { lightningd, Refused, World } from './world.ts';

attack('forwarding an HTLC that the peer can still take back', 'policy-routing-balance', {
  async prefix(world) {
    const { from, to } = await between(world);
    from.add({ from: 'them', msat, hash, cltv: 600 });
    await from.signOurs();
    await from.weRevoke();
    await from.signTheirs();
    return { from, to };
  },
  async hostile({ to }) {
    to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest({ from, to }) {
    await from.theyRevoke();
    to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.commit();
  },
});

attack(
  'dropping the incoming HTLC while the outgoing one can still be claimed on an older commitment',
  'policy-routing-balance',
  {
    async prefix(world) {
      const { from, to } = await between(world);
      const incoming = from.add({ from: 'them', msat, hash, cltv: 600 });
      await from.commit();
      const outgoing = to.add({ from: 'us', msat, hash, cltv: 500 });
      await to.commit();
      to.fail(outgoing);
      await to.signOurs();
      await to.weRevoke();
      await to.signTheirs();
      return { from, to, incoming };
    },
    async hostile({ from, incoming }) {
      from.fail(incoming);
      await from.signTheirs().finally(() => from.updates.logs.local.pop());
    },
    async honest({ from, to, incoming }) {
      await to.theyRevoke();
      from.fail(incoming);
      await from.commit();
    },
  },
);

attack('a small approval of the same hash lets an HTLC through that expires too late', 'policy-routing-cltv-delta', {
  options: { settings: { autoPayMsat: 1000n, paymentsMsatPerDay: 100_000n } },
  async prefix(world) {
    const { from, to } = await between(world);
    from.add({ from: 'them', msat, hash, cltv: 400 });
    await from.commit();
    await world.preapproveKeysend(to.peer.node.point, hash, 1000n);
    return to;
  },
  async hostile(to) {
    to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest(to) {
    to.add({ from: 'us', msat, hash, cltv: 395 });
    await to.commit();
  },
});

attack('an incoming HTLC is exchanged for one that expires before the outgoing one', 'policy-routing-cltv-delta', {
  async prefix(world) {
    const { from, to } = await between(world);
    const first = from.add({ from: 'them', msat, hash, cltv: 600 });
    await from.commit();
    const outgoing = to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.commit();
    from.add({ from: 'them', msat, hash, cltv: 300 });
    await from.commit();
    return { from, to, first, outgoing };
  },
  async hostile({ from, first }) {
    from.fail(first);
    await from.signTheirs().finally(() => from.updates.logs.local.pop());
  },
  async honest({ from, to, first, outgoing }) {
    to.fulfil(outgoing);
    await to.commit();
    from.fulfil(first);
    await from.commit();
  },
});

attack(
  'two parts of one payment cross us, one of them is covered by the other’s time only',
  'policy-routing-cltv-delta',
  {
    async prefix(world) {
      const { from, to } = await between(world);
      from.add({ from: 'them', msat, hash, cltv: 300 });
      from.add({ from: 'them', msat, hash, cltv: 600 });
      await from.commit();
      to.add({ from: 'us', msat, hash, cltv: 500 });
      await to.commit();
      return to;
    },
    async hostile(to) {
      to.add({ from: 'us', msat, hash, cltv: 400 });
      await to.signTheirs().finally(() => to.updates.logs.local.pop());
    },
    async honest(to) {
      to.add({ from: 'us', msat, hash, cltv: 200 });
      await to.commit();
    },
  },
);

attack('an incoming HTLC that has expired covers an outgoing one', 'policy-routing-balance', {
  async prefix(world) {
    const { from, to } = await between(world);
    from.add({ from: 'them', msat, hash, cltv: 600 });
    await from.commit();
    world.height = 598;
    return { to, world };
  },
  async hostile({ to }) {
    to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest({ to, world }) {
    world.height = 490;
    to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.commit();
  },
});

attack('the same hash comes in on one channel and goes out on two', 'policy-routing-balance', {
  async prefix(world) {
    const { from, to } = await between(world);
    from.add({ from: 'them', msat, hash, cltv: 600 });
    await from.commit();
    to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.commit();
    return TestChannel.open(world, { peer: 4 });
  },
  async hostile(third) {
    third.add({ from: 'us', msat, hash, cltv: 500 });
    await third.signTheirs().finally(() => third.updates.logs.local.pop());
  },
  async honest(third) {
    third.setFeerate(1500);
    await third.commit();
  },
});

attack(
  'a channel with a payment that went out is forgotten, then the incoming HTLC is dropped',
  'policy-routing-balance',
  {
    async prefix(world) {
      const { from, to } = await between(world);
      const incoming = from.add({ from: 'them', msat, hash, cltv: 600 });
      await from.commit();
      const outgoing = to.add({ from: 'us', msat, hash, cltv: 500 });
      await to.commit();
      to.fulfil(outgoing);
      await to.commit();
      await world.ask(lightningd, 'forgetChannel', { peerId: to.peer.node.point, dbid: to.dbid });
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
  },
);

attack(
  'an incoming HTLC whose expiry is a time long past covers an outgoing one',
  'policy-commitment-htlc-cltv-range',
  {
    prefix: between,
    async hostile({ from }) {
      from.add({ from: 'them', msat, hash, cltv: 1_600_000_000 });
      await from.signOurs().finally(() => from.updates.logs.remote.pop());
    },
    async honest({ from, to }) {
      from.add({ from: 'them', msat, hash, cltv: 600 });
      await from.commit();
      to.add({ from: 'us', msat, hash, cltv: 500 });
      await to.commit();
    },
  },
);

attack(
  'the channel that an incoming HTLC stands in is forgotten, then it covers an outgoing one',
  'policy-commitment-payment-approved',
  {
    async prefix(world) {
      const { from, to } = await between(world);
      from.add({ from: 'them', msat, hash, cltv: 600 });
      await from.commit();
      to.add({ from: 'us', msat: 2_000_000n, hash, cltv: 500 });
      await to.commit();
      await world.ask(lightningd, 'forgetChannel', { peerId: from.peer.node.point, dbid: from.dbid });
      return to;
    },
    async hostile(to) {
      to.add({ from: 'us', msat: msat - 2_000_000n, hash, cltv: 500 });
      await to.signTheirs().finally(() => to.updates.logs.local.pop());
    },
    async honest(to) {
      to.setFeerate(1300);
      await to.commit();
    },
  },
);

attack('a claim of a sat lets an outgoing HTLC expire after the incoming one', 'policy-routing-cltv-delta', {
  async prefix(world) {
    const { from, to } = await between(world);
    const small = from.add({ from: 'them', msat: 2_000_000n, hash, cltv: 600 });
    from.add({ from: 'them', msat, hash, cltv: 600 });
    await from.commit();
    from.fulfil(small);
    await from.commit();
    return to;
  },
  async hostile(to) {
    to.add({ from: 'us', msat, hash, cltv: 700 });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest(to) {
    to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.commit();
  },
});

/** Forwards this many payments of 400 sat, which one side's dust limit leaves out of a commitment. */
async function forwardDust(world: World, dust: { readonly local: bigint; readonly remote: bigint }, count: number) {
  const from = await TestChannel.open(world, { peer: 2, opener: 'them', push: 300_000n });
  const to = await TestChannel.open(world, { peer: 3, dust });
  for (let i = 0; i < count; i++) {
    const part = { msat: 400_000n, hash: hashOf(`dust ${i}`) };
    const incoming = from.add({ from: 'them', ...part, cltv: 600 });
    await from.commit();
    const outgoing = to.add({ from: 'us', ...part, cltv: 500 });
    await to.commit();
    to.fulfil(outgoing);
    await to.commit();
    from.fulfil(incoming);
    await from.commit();
  }
}

for (const dust of [
  { local: 546n, remote: 354n },
  { local: 354n, remote: 546n },
  { local: 354n, remote: 354n },
] as const)
  test(`policy-routing-balance: what comes in as dust goes out, with dust limits of ${dust.local} and ${dust.remote}, up to the limit of a day`, async (t) => {
    const open = () => World.open({ settings: { unlistedMsatPerDay: 4_000_000n } });
    await t.notThrowsAsync(forwardDust(await open(), dust, 5));
    await t.throwsAsync(forwardDust(await open(), dust, 20), { instanceOf: Refused });
  });

test('a peer’s HTLC that expires years from now is taken and failed, whatever height is known', async (t) => {
  const world = await World.open();
  world.height = 490;
  const { from } = await between(world);
  const far = from.add({ from: 'them', msat, hash, cltv: 490 + 52_560 });
  await t.notThrowsAsync(from.commit());
  from.fail(far);
  await t.notThrowsAsync(from.commit());
});
