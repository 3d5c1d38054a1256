/** Beyond the list: getting more out of approvals, limits and allowlists than they say. */

import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import { Desk } from '../../../signer/policy/desk.ts';
import { attack, refused } from './attack.ts';
import { hashOf, TestChannel } from './channel.ts';
import { signedInvoice } from './invoice.ts';
import { lightningd, nodeKeys, World } from './world.ts';

const hash = hashOf('payment');
const msat = 100_000_000n;
const friend = nodeKeys(77).node.point;

test('policy-commitment-payment-approved: a keysend is not proven to reach the node on the allowlist that it names', async (t) => {
  const world = await World.open({ settings: { allowedNodes: new Set([toHex(friend)]) } });
  t.false(await world.preapproveKeysend(friend, hash, msat));
});

test('policy-commitment-payment-velocity: the fee budgets of automatic payments count against the day', async (t) => {
  const settings = { autoPayMsat: 1000n, paymentsMsatPerDay: 1_000_000n, feeBudgetMsat: 10_000n };
  const world = await World.open({ settings });
  const channel = await TestChannel.open(world, { dust: { local: 1n, remote: 1n } });
  let allowed = 0n;
  for (let i = 0; i < 1000; i++)
    if (await world.preapproveKeysend(channel.peer.node.point, hashOf(`${i}`), 1n)) allowed += 1n + 10_000n;
  t.true(allowed <= 1_000_000n, `${allowed} msat`);
});

attack('an HTLC above what was approved and its fee budget', 'policy-commitment-payment-approved', {
  options: { settings: { feeBudgetMsat: 10_000n, feeBudgetPercent: 1 } },
  async prefix(world) {
    const channel = await TestChannel.open(world);
    world.answer = (purpose) => purpose.kind === 'pay' && purpose.how === 'keysend';
    await world.preapproveKeysend(channel.peer.node.point, hash, msat);
    return channel;
  },
  async hostile(channel) {
    channel.add({ from: 'us', msat: msat + msat / 100n + 1n, hash });
    await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
  },
  async honest(channel) {
    channel.add({ from: 'us', msat: msat + msat / 100n, hash });
    await channel.commit();
  },
});

attack('a payment in parts of which the last is one too many', 'policy-payment-once', {
  async prefix(world) {
    const channel = await TestChannel.open(world);
    world.answer = (purpose) => purpose.kind === 'pay' && purpose.how === 'keysend';
    await world.preapproveKeysend(channel.peer.node.point, hash, msat);
    for (let i = 0; i < 4; i++) channel.add({ from: 'us', msat: msat / 4n, hash });
    await channel.commit();
    return channel;
  },
  async hostile(channel) {
    channel.add({ from: 'us', msat: msat / 4n, hash });
    await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
  },
  async honest(channel, world) {
    const next = hashOf('the next');
    world.allowPayment(next);
    channel.add({ from: 'us', msat: msat / 4n, hash: next });
    await channel.commit();
  },
});

attack('a part more of a payment without an invoice than its owner says yes to', 'policy-payment-once', {
  async prefix(world) {
    world.allowPayment(hash, msat);
    const [first, second] = [await TestChannel.open(world), await TestChannel.open(world, { peer: 3 })];
    first.add({ from: 'us', msat: msat / 2n, hash });
    await first.commit();
    return { first, second };
  },
  async hostile({ second }) {
    second.add({ from: 'us', msat: msat, hash });
    await second.signTheirs().finally(() => second.updates.logs.local.pop());
  },
  async honest({ first, second }) {
    second.add({ from: 'us', msat: msat / 4n, hash });
    await second.commit();
    first.add({ from: 'us', msat: msat / 4n, hash });
    await first.commit();
  },
});

attack('an approval that expired is used', 'policy-commitment-payment-approved', {
  async prefix(world) {
    const channel = await TestChannel.open(world);
    world.answer = (purpose) => purpose.kind === 'pay' && purpose.how === 'keysend';
    await world.preapproveKeysend(channel.peer.node.point, hash, msat);
    return { channel, world };
  },
  async hostile({ channel, world }) {
    world.now += 25 * 60 * 60 * 1000;
    channel.add({ from: 'us', msat, hash });
    await channel.signTheirs().finally(() => {
      channel.updates.logs.local.pop();
      world.now -= 25 * 60 * 60 * 1000;
    });
  },
  async honest({ channel }) {
    channel.add({ from: 'us', msat, hash });
    await channel.commit();
  },
});

attack('a payment nobody approved', 'policy-commitment-payment-approved', {
  prefix: (world) => TestChannel.open(world),
  async hostile(channel) {
    channel.add({ from: 'us', msat, hash });
    await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
  },
  async honest(channel, world) {
    world.allowPayment(hash);
    channel.add({ from: 'us', msat, hash });
    await channel.commit();
  },
});

attack('an HTLC of ours goes into our own commitment without approval', 'policy-commitment-payment-approved', {
  prefix: (world) => TestChannel.open(world),
  async hostile(channel) {
    const htlc = { side: 'local', amount: msat, paymentHash: hash, cltvExpiry: 500 } as const;
    await channel.signOurs({ terms: (terms) => ({ ...terms, ours: terms.ours - msat, htlcs: [htlc] }) });
  },
  async honest(channel) {
    channel.setFeerate(1100);
    await channel.commit();
  },
});

test('policy-commitment-payment-approved: asking what would be approved approves nothing', async (t) => {
  const world = await World.open({ settings: { autoPayMsat: msat, paymentsMsatPerDay: msat + msat / 100n } });
  const request = { destination: friend, paymentHash: hash, amountMsat: msat, checkOnly: true };
  for (let i = 0; i < 3; i++)
    t.true(
      (await world.ask(lightningd, 'preapproveKeysendCheck', { ...request, paymentHash: hashOf(`${i}`) })).approved,
    );
  t.true(await world.preapproveKeysend(friend, hash, msat));
  t.false(await world.preapproveKeysend(friend, hashOf('more'), msat));
});

test('policy-onchain-no-channel-push: a push is not proven to reach the node on the allowlist that the channel names', async (t) => {
  const peer = nodeKeys(2).node.point;
  const world = await World.open({ settings: { allowedNodes: new Set([toHex(peer)]) } });
  await refused(t, 'policy-onchain-no-channel-push', TestChannel.open(world, { peer: 2, push: 400_000n }));
  world.answer = (purpose) => purpose.kind === 'push' && purpose.amountMsat === msat;
  await t.notThrowsAsync(TestChannel.open(world, { peer: 2, push: msat / 1000n }));
});

test('approvals of payments that are over and cannot be asked for again do not pile up', async (t) => {
  const world = await World.open({ settings: { autoPayMsat: msat, paymentsMsatPerDay: 1000n * msat } });
  for (let i = 0; i < 600; i++) {
    t.true(await world.preapproveKeysend(friend, hashOf(`payment ${i}`), 1000n));
    world.now += 60 * 60 * 1000;
    if (i % 100 === 50) await world.restart();
  }
  t.true(world.store.entries.size < 100, `${world.store.entries.size} entries`);
});

attack('a leave that lasts for a week pays the same keysend again the next day', 'policy-payment-once', {
  options: { settings: { autoPayMsat: 1000n, paymentsMsatPerDay: msat } },
  async prefix(world) {
    const desk = new Desk();
    const now = () => Math.floor(world.now / 1000);
    world.answer = (purpose) => desk.approve(purpose, now());
    desk.allow({ kind: 'keysend', target: toHex(friend), amount: msat }, { uses: 1, expires: now() + 7 * 24 * 3600 });
    const channel = await TestChannel.open(world);
    await world.preapproveKeysend(friend, hash, msat);
    const htlc = channel.add({ from: 'us', msat, hash });
    await channel.commit();
    channel.fulfil(htlc);
    await channel.commit();
    world.now += 25 * 3600 * 1000;
    for (let i = 0; i < 3; i++) await world.preapproveKeysend(friend, hashOf(`small ${i}`), 1000n);
    return channel;
  },
  async hostile(channel, world) {
    await world.preapproveKeysend(friend, hash, msat);
    channel.add({ from: 'us', msat, hash });
    await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
  },
  async honest(channel) {
    channel.setFeerate(1300);
    await channel.commit();
  },
});

/** An invoice that leaves the amount to its payer, and the owner's desk that is asked about it. */
async function amountless(settings: Partial<World['settings']> = {}) {
  const world = await World.open({ settings: { feeBudgetMsat: 5000n, feeBudgetPercent: 1, ...settings } });
  const seconds = world.now / 1000;
  const desk = new Desk();
  world.answer = (purpose) => desk.approve(purpose, seconds);
  const terms = { micro: undefined, hash, description: 'as you like', createdAt: seconds };
  const terms24h = { uses: 1, expires: seconds + 86_400 };
  return { world, desk, terms24h, invoice: signedInvoice(nodeKeys(50), terms) };
}

test('policy-commitment-payment-approved: an invoice without an amount waits for one, and fails no channel', async (t) => {
  const { world, desk, terms24h, invoice } = await amountless();
  const channel = await TestChannel.open(world);
  t.false(await world.preapproveInvoice(invoice));
  t.false(await world.preapproveInvoice(invoice), 'lightningd tries again');
  t.like(desk.asked, { 0: { id: 1, times: 2, purpose: { kind: 'pay', how: 'invoice', amountMsat: 0n } }, length: 1 });
  desk.allowAsked(1, terms24h, msat);
  t.true(await world.preapproveInvoice(invoice));
  t.true(await world.preapproveInvoice(invoice), 'a second attempt');
  channel.add({ from: 'us', msat: msat + msat / 50n, hash });
  await refused(t, 'policy-commitment-payment-approved', channel.signTheirs(), 'more than was said');
  t.like(desk.asked, { 0: { purpose: { how: 'uninvoiced', givesBack: undefined } }, length: 1 });
  channel.updates.logs.local.pop();
  const first = channel.add({ from: 'us', msat: msat + msat / 100n, hash });
  await channel.commit();
  channel.fulfil(first);
  await channel.commit();
  t.false(await world.preapproveInvoice(invoice), 'it is paid');
});

test('policy-commitment-payment-approved: with limits an invoice without an amount is judged by its HTLCs', async (t) => {
  const { world, desk, invoice } = await amountless({ autoPayMsat: msat, paymentsMsatPerDay: 10n * msat });
  t.true(await world.preapproveInvoice(invoice));
  t.deepEqual(desk.asked, []);
});

test('policy-commitment-payment-approved: a yes to an invoice without an amount lasts until it was used, whatever is asked later', async (t) => {
  const { world, desk, terms24h, invoice } = await amountless();
  t.false(await world.preapproveInvoice(invoice));
  desk.allowAsked(1, terms24h, 3000n);
  await world.restart();
  t.true(await world.preapproveInvoice(invoice));
  desk.withdraw(2);
  t.true(await world.preapproveInvoice(invoice), 'it is in the state');
});
