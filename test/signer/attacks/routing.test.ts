/** Beyond the list: payments through us, and commitments that are not revoked yet. */

import { attack } from './attack.ts';
import { hashOf, TestChannel } from './channel.ts';
import { lightningd, type World } from './world.ts';

/** Channels with two thieves: one sends through us to the other. */
async function between(world: World): Promise<{ readonly from: TestChannel; readonly to: TestChannel }> {
  const from = await TestChannel.open(world, { peer: 2, opener: 'them', push: 300_000n });
  const to = await TestChannel.open(world, { peer: 3 });
  return { from, to };
}

const hash = hashOf('routed');
const msat = 100_000_000n;

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

attack(
  'paying again on another channel while the first HTLC can still be claimed on an older commitment',
  'policy-payment-once',
  {
    async prefix(world) {
      const { from, to } = await between(world);
      world.allowPayment(hash, msat);
      const first = from.add({ from: 'us', msat, hash });
      await from.commit();
      from.fail(first);
      await from.signOurs();
      await from.weRevoke();
      await from.signTheirs();
      return { from, to };
    },
    async hostile({ to }) {
      to.add({ from: 'us', msat, hash });
      await to.signTheirs().finally(() => to.updates.logs.local.pop());
    },
    async honest({ from, to }) {
      await from.theyRevoke();
      to.add({ from: 'us', msat, hash });
      await to.commit();
    },
  },
);

attack('a second payout for a routed payment that is over', 'policy-commitment-payment-approved', {
  async prefix(world) {
    const { from, to } = await between(world);
    const incoming = from.add({ from: 'them', msat, hash, cltv: 600 });
    await from.commit();
    const outgoing = to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.commit();
    // The preimage is known, and the incoming side is done first.
    to.fulfil(outgoing);
    await to.signOurs();
    from.fulfil(incoming);
    await from.commit();
    await to.weRevoke();
    await to.commit();
    return { from, to };
  },
  async hostile({ to }) {
    to.add({ from: 'us', msat, hash, cltv: 400 });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest({ to }, world) {
    const next = hashOf('another');
    world.allowPayment(next);
    to.add({ from: 'us', msat, hash: next });
    await to.commit();
  },
});

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

attack('a channel with a payment is forgotten, then the payment is made again', 'policy-payment-once', {
  async prefix(world) {
    const { from, to } = await between(world);
    world.allowPayment(hash, msat);
    const first = from.add({ from: 'us', msat, hash });
    await from.commit();
    from.fulfil(first);
    await from.signOurs();
    await world.ask(lightningd, 'forgetChannel', { peerId: from.peer.node.point, dbid: from.dbid });
    return to;
  },
  async hostile(to) {
    to.add({ from: 'us', msat, hash });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest(to) {
    to.setFeerate(1500);
    await to.commit();
  },
});

attack('the preimage is known, and the HTLC goes out again in the same commitment', 'policy-payment-once', {
  async prefix(world) {
    const channel = await TestChannel.open(world);
    world.allowPayment(hash, msat);
    const first = channel.add({ from: 'us', msat, hash });
    await channel.commit();
    channel.fulfil(first);
    await channel.signOurs();
    await channel.weRevoke();
    return channel;
  },
  async hostile(channel) {
    channel.add({ from: 'us', msat, hash, cltv: 501 });
    await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
  },
  async honest(channel) {
    await channel.commit();
  },
});
