/** Payments of one amount that end together: the balance tells how many of them were paid, and not which. */

import test from 'ava';
import { mostDoubted } from '../../../signer/state/doubt.ts';
import { SignerState } from '../../../signer/state/state.ts';
import { attack, inEveryWay } from './attack.ts';
import { hashOf, TestChannel } from './channel.ts';
import { World } from './world.ts';

const msat = 10_000_000n;
const names = ['first', 'second'] as const;

async function between(world: World): Promise<{ readonly from: TestChannel; readonly to: TestChannel }> {
  const from = await TestChannel.open(world, { peer: 2, opener: 'them', push: 300_000n });
  const to = await TestChannel.open(world, { peer: 3 });
  return { from, to };
}

/** Forwards these payments together; the ones that are `paid` end so, the others fail. */
async function forwarded(world: World, hashes: readonly Uint8Array[], paid: (index: number) => boolean) {
  const { from, to } = await between(world);
  const incoming = hashes.map((hash) => from.add({ from: 'them', msat, hash, cltv: 600 }));
  await from.commit();
  const outgoing = hashes.map((hash) => to.add({ from: 'us', msat, hash, cltv: 500 }));
  await to.commit();
  outgoing.forEach((htlc, i) => {
    to.settle(paid(i) ? 'fulfil' : 'fail', htlc);
  });
  await to.commit();
  return { from, to, incoming };
}

for (const paid of [0, 1])
  attack(`of two equal payments through us the ${names[paid]} is paid, both are given back`, 'policy-routing-balance', {
    prefix: (world) =>
      forwarded(
        world,
        names.map((name) => hashOf(name)),
        (index) => index === paid,
      ),
    async hostile({ from, incoming }) {
      for (const htlc of incoming) from.fail(htlc);
      await from.signTheirs().finally(() => from.updates.logs.local.splice(-incoming.length));
    },
    async honest({ from, incoming }) {
      incoming.forEach((htlc, i) => {
        from.settle(i === paid ? 'fulfil' : 'fail', htlc);
      });
      await from.commit();
    },
  });

/** A payment through us and one of our own, of one amount, in one channel: which of them is `paid` is anybody's guess. */
async function throughAndOurs(world: World, paid: 'through' | 'ours') {
  const [through, ours] = [hashOf('through'), hashOf('ours')];
  const { from, to } = await between(world);
  const incoming = from.add({ from: 'them', msat, hash: through, cltv: 600 });
  await from.commit();
  world.allowPayment(ours, msat);
  const [first, second] = [
    to.add({ from: 'us', msat, hash: through, cltv: 500 }),
    to.add({ from: 'us', msat, hash: ours, cltv: 500 }),
  ];
  await to.commit();
  to.settle(paid === 'through' ? 'fulfil' : 'fail', first);
  to.settle(paid === 'ours' ? 'fulfil' : 'fail', second);
  await to.commit();
  return { from, to, incoming, ours };
}

inEveryWay('what failed is given back, whatever it was mistaken for', async (t, world, between) => {
  const { from, incoming } = await throughAndOurs(world, 'ours');
  await between();
  from.fail(incoming);
  await t.notThrowsAsync(from.commit());
});

inEveryWay('what failed is paid again, whatever it was mistaken for', async (t, world, between) => {
  const { to, ours } = await throughAndOurs(world, 'through');
  await between();
  to.add({ from: 'us', msat, hash: ours });
  await t.notThrowsAsync(to.commit());
});

attack('a payment of ours that stood in for one given back is paid again', 'policy-payment-once', {
  async prefix(world) {
    const ended = await throughAndOurs(world, 'ours');
    ended.from.fail(ended.incoming);
    await ended.from.commit();
    return ended;
  },
  async hostile({ to, ours }) {
    to.add({ from: 'us', msat, hash: ours });
    await to.signTheirs().finally(() => to.updates.logs.local.pop());
  },
  async honest({ to }) {
    to.setFeerate(1500);
    await to.commit();
  },
});

attack('a payment through us is given back after one of ours was tried again for it', 'policy-routing-balance', {
  async prefix(world) {
    const ended = await throughAndOurs(world, 'through');
    ended.to.add({ from: 'us', msat, hash: ended.ours });
    await ended.to.commit();
    return ended;
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

attack('what our balance tells apart stands in for nothing, however much was approved', 'policy-routing-balance', {
  async prefix(world) {
    const [through, ours] = [hashOf('through'), hashOf('ours')];
    const { from, to } = await between(world);
    const incoming = from.add({ from: 'them', msat, hash: through, cltv: 600 });
    await from.commit();
    world.allowPayment(ours);
    const paid = to.add({ from: 'us', msat, hash: through, cltv: 500 });
    const failed = to.add({ from: 'us', msat: 2n * msat, hash: ours, cltv: 500 });
    await to.commit();
    to.fulfil(paid);
    to.fail(failed);
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

attack('that the owner was paid is not taken back for a payment through us', 'policy-routing-balance', {
  async prefix(world) {
    const [through, toUs] = [hashOf('through'), hashOf('to us')];
    const { from, to } = await between(world);
    world.allowPayment(hashOf('push'), 3n * msat);
    const push = to.add({ from: 'us', msat: 3n * msat, hash: hashOf('push') });
    await to.commit();
    to.fulfil(push);
    await to.commit();
    const incoming = from.add({ from: 'them', msat, hash: through, cltv: 600 });
    await from.commit();
    const outgoing = to.add({ from: 'us', msat, hash: through, cltv: 500 });
    const invoice = to.add({ from: 'them', msat, hash: toUs, cltv: 600 });
    await to.commit();
    to.fulfil(outgoing);
    to.fulfil(invoice);
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

test('of a dozen equal payments through us any five may have failed', async (t) => {
  for (const step of [1, 5, 7]) {
    const world = await World.open();
    const failed = new Set([0, 1, 2, 3, 4].map((i) => (i * step) % 12));
    const hashes = [...Array(12).keys()].map((i) => hashOf(`equal ${i}`));
    const { from, incoming } = await forwarded(world, hashes, (index) => !failed.has(index));
    for (const i of failed) {
      const htlc = incoming[i];
      if (htlc !== undefined) from.fail(htlc);
      await t.notThrowsAsync(from.commit(), `${i} of those that failed`);
    }
    for (const htlc of incoming) if (!failed.has(incoming.indexOf(htlc))) from.fulfil(htlc);
    await t.notThrowsAsync(from.commit());
  }
});

test('doubts are remembered for a while, and nothing of payments that none is about', async (t) => {
  const world = await World.open();
  const small = 1_000_000n;
  const { from, to } = await between(world);
  for (let round = 0; round < mostDoubted / 2 + 3; round++) {
    const hashes = names.map((name) => hashOf(`${name} ${round}`));
    const incoming = hashes.map((hash) => from.add({ from: 'them', msat: small, hash, cltv: 600 }));
    await from.commit();
    const outgoing = hashes.map((hash) => to.add({ from: 'us', msat: small, hash, cltv: 500 }));
    await to.commit();
    outgoing.forEach((htlc, i) => {
      to.settle(i === round % 2 ? 'fulfil' : 'fail', htlc);
    });
    await to.commit();
    incoming.forEach((htlc, i) => {
      from.settle(i === round % 2 ? 'fulfil' : 'fail', htlc);
    });
    await from.commit();
  }
  const { node } = new SignerState(world.store.entries);
  t.is(node.doubts.length, mostDoubted / 2);
  const settled = [...world.store.entries.keys()].filter((key) => key.startsWith('payment/'));
  const doubted = node.doubts.flatMap((doubt) => [...doubt.keys()]);
  t.deepEqual(settled.toSorted(), doubted.map((hash) => `payment/${hash}`).toSorted());
});
