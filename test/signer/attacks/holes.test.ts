/** Beyond the list: what a thief with the host and the peers tries with commitments. */

import { attack } from './attack.ts';
import { hashOf, TestChannel } from './channel.ts';
import type { World } from './world.ts';

/** Channels with two thieves: one sends through us to the other. */
async function between(world: World): Promise<{ readonly from: TestChannel; readonly to: TestChannel }> {
  const from = await TestChannel.open(world, { peer: 2, push: 500_000n });
  const to = await TestChannel.open(world, { peer: 3 });
  return { from, to };
}

const hash = hashOf('routed');
const msat = 100_000_000n;

attack('forwarding an HTLC that the peer can still take back', 'policy-commitment-payment-approved', {
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

attack('a second payout for a routed payment that is over', 'policy-routing-balance', {
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

attack('paying one approved invoice twice', 'policy-payment-once', {
  async prefix(world) {
    const { from, to } = await between(world);
    world.allowPayment(hash, msat);
    const first = from.add({ from: 'us', msat, hash });
    await from.commit();
    from.fulfil(first);
    await from.commit();
    return { from, to };
  },
  async hostile({ from }) {
    from.add({ from: 'us', msat, hash });
    await from.signTheirs().finally(() => from.updates.logs.local.pop());
  },
  async honest({ from }, world) {
    const next = hashOf('the next invoice');
    world.allowPayment(next, msat);
    from.add({ from: 'us', msat, hash: next });
    await from.commit();
  },
});

attack('forwarding with no time left between the two expiries', 'policy-routing-cltv-delta', {
  async prefix(world) {
    const { from, to } = await between(world);
    from.add({ from: 'them', msat, hash, cltv: 503 });
    await from.commit();
    return { from, to };
  },
  async hostile({ to }) {
    to.add({ from: 'us', msat, hash, cltv: 500 });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest({ to }) {
    to.add({ from: 'us', msat, hash, cltv: 440 });
    await to.commit();
  },
});
