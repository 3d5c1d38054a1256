/** Beyond the list: a payment through us goes out once, also when it is over, forgotten or in an older commitment. */

import { attack } from './attack.ts';
import { hashOf, TestChannel } from './channel.ts';
import { between, hash, msat } from './routed.ts';
import { lightningd } from './world.ts';

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

attack('what was paid before an older commitment does not count in it', 'policy-payment-once', {
  options: { settings: { feeBudgetMsat: 0n, feeBudgetPercent: 1 } },
  async prefix(world) {
    const { from, to } = await between(world);
    world.allowPayment(hash, 151_000_000n);
    const [paid, failed] = [50_000_000n, 100_000_000n].map((part) => from.add({ from: 'us', msat: part, hash }));
    if (paid === undefined || failed === undefined) throw new Error('no HTLCs');
    await from.commit();
    from.fulfil(paid);
    await from.commit();
    from.fail(failed);
    await from.signOurs();
    await from.weRevoke();
    await from.signTheirs();
    return { from, to };
  },
  async hostile({ to }) {
    // The HTLC that failed can still be claimed on the older commitment.
    to.add({ from: 'us', msat: 40_000_000n, hash });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest({ from, to }, world) {
    await from.theyRevoke();
    const next = hashOf('the next');
    world.allowPayment(next);
    to.add({ from: 'us', msat: 40_000_000n, hash: next });
    await to.commit();
  },
});

attack(
  'what came in for a payment that is over covers another one of the same hash',
  'policy-commitment-payment-approved',
  {
    async prefix(world) {
      const { from, to } = await between(world);
      const incoming = from.add({ from: 'them', msat, hash, cltv: 600 });
      await from.commit();
      const outgoing = to.add({ from: 'us', msat, hash, cltv: 500 });
      await to.commit();
      to.fulfil(outgoing);
      await to.commit();
      from.fulfil(incoming);
      await from.commit();
      to.setFeerate(1200);
      await to.commit();
      return to;
    },
    async hostile(to) {
      to.add({ from: 'us', msat, hash, cltv: 500 });
      await to.signTheirs().finally(() => to.updates.logs.local.pop());
    },
    async honest(to) {
      to.setFeerate(1300);
      await to.commit();
    },
  },
);
