/** HTLCs that come back on the chain: the incoming one may be failed then, and nothing else. */

import test from 'ava';
import type { Transaction } from '../../../proto/bitcoin/tx.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { attack, refused } from './attack.ts';
import { hashOf, TestChannel } from './channel.ts';
import { announce, commitTo, spliceOf } from './splicing.ts';
import { type Close, closes, newest, outputOf, takeFromOurs, takeFromTheirs, takeWithFee } from './timeouts.ts';
import { closeAlone, output, walletScript } from './transactions.ts';
import { lightningd, World } from './world.ts';

const hash = hashOf('routed');
const msat = 100_000_000n;
const options = { feed: true };

interface Routed {
  readonly from: TestChannel;
  readonly to: TestChannel;
  readonly incoming: Htlc;
  readonly outgoing: Htlc;
}

/** A payment through us that nobody fulfils; `to` is closed then. */
async function routed(world: World, anchors = true): Promise<Routed> {
  const from = await TestChannel.open(world, { peer: 2, opener: 'them', push: 300_000n });
  const to = await TestChannel.open(world, { peer: 3, opener: 'them', push: 700_000n, anchors });
  const incoming = from.add({ from: 'them', msat, hash, cltv: 600 });
  await from.commit();
  const outgoing = to.add({ from: 'us', msat, hash, cltv: 500 });
  await to.commit();
  return { from, to, incoming, outgoing };
}

/** A peer of the payer's side signs for what the host wants there. */
async function fail(channel: TestChannel, htlc: Htlc): Promise<void> {
  channel.fail(htlc);
  await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
}

async function failForGood(channel: TestChannel, htlc: Htlc): Promise<void> {
  channel.fail(htlc);
  await channel.commit();
}

async function offer(channel: TestChannel, cltv = 500, of = hash): Promise<void> {
  channel.add({ from: 'us', msat, hash: of, cltv });
  await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
}

function forget({ world, peer, dbid }: TestChannel): Promise<unknown> {
  return world.ask(lightningd, 'forgetChannel', { peerId: peer.node.point, dbid });
}

type Closed = Routed & { readonly tx: Transaction };

function closedBy({ anchors, take }: Close) {
  return async (world: World): Promise<Closed> => {
    const payment = await routed(world, anchors);
    return { ...payment, tx: await take(payment.to, payment.outgoing) };
  };
}

for (const close of closes) {
  attack(`dropping the incoming HTLC before the outgoing one came back: ${close.name}`, 'policy-routing-balance', {
    options,
    prefix: closedBy(close),
    async hostile({ from, incoming, tx }, world) {
      world.bury(outputOf(tx), 2);
      await fail(from, incoming);
    },
    async honest({ from, incoming, tx }, world) {
      world.bury(outputOf(tx), 3);
      await failForGood(from, incoming);
    },
  });

  test(`without a feed of the chain nothing comes back: ${close.name}`, async (t) => {
    const world = await World.open();
    const { from, incoming, tx } = await closedBy(close)(world);
    world.bury(outputOf(tx), 100);
    await refused(t, 'policy-routing-balance', fail(from, incoming));
    t.like(world.asked.at(-1), { kind: 'pay', amountMsat: msat, givesBack: true }, 'the owner knows what it is about');
  });

  attack(`a new payout after the HTLC came back: ${close.name}`, 'policy-commitment-payment-approved', {
    options,
    async prefix(world) {
      const { from, incoming, tx } = await closedBy(close)(world);
      world.bury(outputOf(tx), 3);
      await failForGood(from, incoming);
      return TestChannel.open(world, { peer: 4 });
    },
    hostile: (other) => offer(other),
    async honest(other, world) {
      const next = hashOf('another');
      world.allowPayment(next, msat);
      await offer(other, 500, next);
    },
  });
}

const [ours, theirs] = [closes[0], closes[3]];
if (ours === undefined || theirs === undefined) throw new Error('there is no such close');

attack('a proof of another output than the one that was signed for', 'policy-routing-balance', {
  options,
  prefix: closedBy(theirs),
  async hostile({ from, incoming, tx }, world) {
    const output = outputOf(tx);
    world.bury({ ...output, value: output.value - 1n }, 100);
    world.bury({ ...output, script: new Uint8Array(22) }, 100);
    world.bury({ ...output, vout: 1 }, 100);
    await fail(from, incoming);
  },
  async honest({ from, incoming, tx }, world) {
    world.bury(outputOf(tx), 3);
    await failForGood(from, incoming);
  },
});

attack('the depth that the owner wants fundings to have', 'policy-routing-balance', {
  options: { ...options, settings: { buriedBlocks: 6 } },
  prefix: closedBy(theirs),
  async hostile({ from, incoming, tx }, world) {
    world.bury(outputOf(tx), 5);
    await fail(from, incoming);
  },
  async honest({ from, incoming, tx }, world) {
    world.bury(outputOf(tx), 6);
    await failForGood(from, incoming);
  },
});

for (const close of [ours, theirs])
  attack(`another payment’s HTLC came back: ${close.name}`, 'policy-routing-balance', {
    options,
    async prefix(world) {
      const payment = await routed(world);
      world.allowPayment(hashOf('own'), msat);
      const own = payment.to.add({ from: 'us', msat, hash: hashOf('own'), cltv: 500 });
      await payment.to.commit();
      world.bury(outputOf(await close.take(payment.to, own)), 100);
      return payment;
    },
    hostile: ({ from, incoming }) => fail(from, incoming),
    async honest({ from, to, incoming, outgoing }, world) {
      world.bury(outputOf(await close.take(to, outgoing)), 3);
      await failForGood(from, incoming);
    },
  });

/** Two equal payments of one hash, by way of one channel or of two. */
async function twice(world: World, second: { readonly cltv?: number; readonly on?: TestChannel } = {}) {
  const payment = await routed(world);
  const incoming2 = payment.from.add({ from: 'them', msat, hash, cltv: (second.cltv ?? 500) + 100 });
  await payment.from.commit();
  const to2 = second.on ?? payment.to;
  const outgoing2 = to2.add({ from: 'us', msat, hash, cltv: second.cltv ?? 500 });
  await to2.commit();
  return { ...payment, incoming2, outgoing2 };
}

attack('one HTLC that came back lets two go, by two transactions for it', 'policy-routing-balance', {
  options,
  async prefix(world) {
    const payment = await twice(world);
    // Of two for one output only one can confirm: after a reorganisation both were proven once.
    for (const fee of [1000n, 2000n]) {
      const tx = await takeFromTheirs(payment.to, payment.outgoing, { fee });
      world.bury(outputOf(tx), 3);
    }
    await failForGood(payment.from, payment.incoming);
    // Asked for once more, and for a third one.
    for (const fee of [1000n, 2000n, 3000n]) {
      const tx = await takeFromTheirs(payment.to, payment.outgoing, { fee });
      world.bury(outputOf(tx), 3);
    }
    return payment;
  },
  hostile: ({ from, incoming2 }) => fail(from, incoming2),
  async honest({ from, to, outgoing2, incoming2 }, world) {
    world.bury(outputOf(await takeFromTheirs(to, outgoing2)), 3);
    await failForGood(from, incoming2);
  },
});

attack('one HTLC came back by either side’s commitment', 'policy-routing-balance', {
  options,
  async prefix(world) {
    const payment = await twice(world);
    await closeAlone(payment.to, newest(payment.to, 'local'));
    world.bury(outputOf(await takeFromOurs(payment.to, payment.outgoing)), 3);
    world.bury(outputOf(await takeFromTheirs(payment.to, payment.outgoing)), 3);
    await failForGood(payment.from, payment.incoming);
    return payment;
  },
  hostile: ({ from, incoming2 }) => fail(from, incoming2),
  async honest({ from, to, outgoing2, incoming2 }, world) {
    world.bury(outputOf(await takeFromOurs(to, outgoing2)), 3);
    await failForGood(from, incoming2);
  },
});

attack('an HTLC that came back covers one that expires after what comes in', 'policy-routing-cltv-delta', {
  options,
  async prefix(world) {
    const on = await TestChannel.open(world, { peer: 4, opener: 'them', push: 700_000n });
    const payment = await twice(world, { cltv: 900, on });
    world.bury(outputOf(await takeFromTheirs(payment.to, payment.outgoing)), 3);
    return payment;
  },
  hostile: ({ from, incoming2 }) => fail(from, incoming2),
  honest: ({ from, incoming }) => failForGood(from, incoming),
});

attack('what came back in one channel does not come back in another', 'policy-routing-balance', {
  options,
  async prefix(world) {
    const on = await TestChannel.open(world, { peer: 4, opener: 'them', push: 700_000n });
    const payment = await twice(world, { on });
    world.bury(outputOf(await takeFromTheirs(payment.to, payment.outgoing)), 3);
    await failForGood(payment.from, payment.incoming);
    return { ...payment, on };
  },
  hostile: ({ from, incoming2 }) => fail(from, incoming2),
  async honest({ from, on, incoming2, outgoing2 }) {
    on.fail(outgoing2);
    await on.commit();
    await failForGood(from, incoming2);
  },
});

attack('beside the wallet’s input not the HTLC is spent but an anchor', 'policy-routing-balance', {
  options,
  async prefix(world) {
    const payment = await routed(world);
    const commitment = newest(payment.to, 'local');
    await closeAlone(payment.to, commitment);
    const anchor = commitment.outputs.findIndex(({ role }) => role.kind === 'anchor');
    world.bury(outputOf(await takeWithFee(payment.to, payment.outgoing, { vout: anchor })), 100);
    return payment;
  },
  hostile: ({ from, incoming }) => fail(from, incoming),
  async honest({ from, to, incoming, outgoing }, world) {
    world.bury(outputOf(await takeWithFee(to, outgoing)), 3);
    await failForGood(from, incoming);
  },
});

attack('it comes back from a commitment that was revoked meanwhile', 'policy-routing-balance', {
  options,
  async prefix(world) {
    const payment = await routed(world);
    const tx = await takeFromTheirs(payment.to, payment.outgoing);
    payment.to.setFeerate(1200);
    await payment.to.commit();
    world.bury(outputOf(tx), 100);
    return payment;
  },
  hostile: ({ from, incoming }) => fail(from, incoming),
  async honest({ from, to, incoming, outgoing }) {
    to.fail(outgoing);
    await to.commit();
    await failForGood(from, incoming);
  },
});

attack('moving a channel on that is closed', 'policy-channel-frozen', {
  options,
  async prefix(world) {
    const payment = await routed(world);
    world.bury(outputOf(await takeFromTheirs(payment.to, payment.outgoing)), 3);
    await failForGood(payment.from, payment.incoming);
    return payment;
  },
  async hostile({ to }) {
    to.add({ from: 'them', msat, hash: hashOf('worthless'), cltv: 900 });
    await to.signOurs().finally(() => to.updates.logs.remote.pop());
  },
  async honest({ from }) {
    from.add({ from: 'them', msat, hash: hashOf('through'), cltv: 900 });
    await from.commit();
  },
});

attack(
  'an HTLC still out on the chain is gone from a commitment after the one that confirmed',
  'policy-routing-balance',
  {
    options,
    async prefix(world) {
      const payment = await twice(world);
      const { from, to, incoming, outgoing, outgoing2 } = payment;
      const second = await takeFromTheirs(to, outgoing2);
      const first = await takeFromTheirs(to, outgoing);
      // The peer may sign what it likes with the host: the one in the chain is not revoked yet when that is proven.
      to.fail(outgoing);
      to.fail(outgoing2);
      await to.signOurs();
      await to.weRevoke();
      await to.signTheirs();
      world.bury(outputOf(first), 3);
      await failForGood(from, incoming);
      await to.theyRevoke();
      return { ...payment, second };
    },
    hostile: ({ from, incoming2 }) => fail(from, incoming2),
    async honest({ from, incoming2, second }, world) {
      world.bury(outputOf(second), 3);
      await failForGood(from, incoming2);
    },
  },
);

attack('what somebody else pays as a splice of the channel, and what comes back from that', 'policy-routing-balance', {
  options,
  async prefix(world) {
    const payment = await routed(world);
    const { to, outgoing } = payment;
    // Nearly all of ours leaves it, which nobody is asked about before it is signed.
    const splice = spliceOf(to, -400_000n, 0n, [output(walletScript(to.peer, 1), 400_000n)]);
    await announce(to, splice);
    const { remote } = await commitTo(to, splice);
    world.bury(outputOf(await takeFromTheirs(to, outgoing, { commitment: remote })), 100);
    return payment;
  },
  hostile: ({ from, incoming }) => fail(from, incoming),
  async honest({ from, to, incoming, outgoing }, world) {
    world.bury(outputOf(await takeFromTheirs(to, outgoing)), 3);
    await failForGood(from, incoming);
  },
});

attack('the channel is forgotten before its HTLC is known to have come back', 'policy-routing-balance', {
  options,
  async prefix(world) {
    const payment = await routed(world);
    const tx = await takeFromTheirs(payment.to, payment.outgoing);
    await forget(payment.to);
    world.bury(outputOf(tx), 100);
    return payment;
  },
  hostile: ({ from, incoming }) => fail(from, incoming),
  async honest({ from, incoming }) {
    from.fulfil(incoming);
    await from.commit();
  },
});

for (const close of closes) {
  test(`what came back stays counted when the channel is forgotten: ${close.name}`, async (t) => {
    const world = await World.open(options);
    const { from, to, incoming, tx } = await closedBy(close)(world);
    world.bury(outputOf(tx), 3);
    from.fail(incoming);
    await from.signTheirs();
    await forget(to);
    await world.restart();
    await from.theyRevoke();
    await t.notThrowsAsync(from.commit());
    t.deepEqual(
      [...world.store.entries.keys()].filter((key) => key.startsWith('payment/')),
      [],
    );
  });

  test(`what came back is looked for when the channel is forgotten: ${close.name}`, async (t) => {
    const world = await World.open(options);
    const { from, to, incoming, tx } = await closedBy(close)(world);
    world.bury(outputOf(tx), 100);
    await forget(to);
    await world.restart();
    await t.notThrowsAsync(failForGood(from, incoming));
    t.deepEqual(
      [...world.store.entries.keys()].filter((key) => key.startsWith('payment/')),
      [],
    );
  });
}

test('an own payment that came back is tried again on another channel', async (t) => {
  const world = await World.open(options);
  const own = hashOf('own');
  world.allowPayment(own, msat);
  const { to } = await routed(world);
  const first = to.add({ from: 'us', msat, hash: own, cltv: 500 });
  await to.commit();
  const other = await TestChannel.open(world, { peer: 4 });
  const tx = await takeFromTheirs(to, first);
  await refused(t, 'policy-payment-once', offer(other, 500, own));
  world.bury(outputOf(tx), 3);
  const second = other.add({ from: 'us', msat, hash: own, cltv: 500 });
  await other.commit();
  other.fulfil(second);
  await other.commit();
  await refused(t, 'policy-payment-once', offer(other, 500, own), 'paid once');
  await forget(to);
  await refused(t, 'policy-payment-once', offer(other, 500, own), 'the first channel is forgotten');
});
