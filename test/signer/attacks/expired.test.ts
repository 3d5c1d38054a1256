/** Approvals that expired: what is in flight under them is covered still, and nothing else is. */

import test from 'ava';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { Settings } from '../../../signer/policy/settings.ts';
import { hashOf } from './channel.ts';
import { add, failed, isRefused, owned, paid, TwoStories } from './two_stories.ts';
import { World } from './world.ts';

const msat = 10_000_000n;
const small = 1_000_000n;
const hour = 3600 * 1000;

const comes = (name: string, amount = msat): Htlc => ({
  side: 'remote',
  amount,
  paymentHash: hashOf(name),
  cltvExpiry: 600,
});
const goes = (name: string, amount = msat, cltvExpiry = 500): Htlc => ({
  ...comes(name, amount),
  side: 'local',
  cltvExpiry,
});

async function open(settings: Partial<Settings> = {}) {
  const world = await World.open({ settings: { unlistedMsatPerDay: 0n, ...settings } });
  const channel = (peer: number, push: bigint) => TwoStories.open(world, { peer, opener: 'them', push });
  const [from, to] = [await channel(2, 300_000n), await channel(3, 500_000n)];
  const approve = (name: string) => world.preapproveKeysend(to.channel.peer.node.point, hashOf(name), msat);
  return { world, from, to, approve, left: () => owned([from, to]) };
}

/** The owner approves this payment, and says no from then on. */
async function approved(name: string) {
  const opened = await open();
  opened.world.allowPayment(hashOf(name), msat);
  await opened.approve(name);
  opened.world.answer = () => false;
  return opened;
}

test('policy-payment-once: an approval that expired is not opened by a payment through us of the same hash', async (t) => {
  const { world, from, to } = await approved('b');
  world.now += 25 * hour;
  await from.both(add(comes('b', small)));
  const through = goes('b', small);
  await to.both(add(through));
  t.true(await isRefused(to.both(add(goes('b', msat, 501)))));
  await to.both(failed(through));
});

test('policy-routing-balance: nor by giving back what came in for it', async (t) => {
  const { world, from, to } = await approved('b');
  world.now += 25 * hour;
  const incoming = comes('b');
  await from.both(add(incoming));
  await to.both(add(goes('b')));
  t.true(await isRefused(from.both(failed(incoming))));
});

for (const [what, ends] of [
  ['the other one', [paid, failed]],
  ['itself', [failed, paid]],
] as const)
  test(`policy-routing-balance: nor by a payment through us in doubt, of which ${what} was paid`, async (t) => {
    const { world, from, to } = await approved('b');
    world.now += 25 * hour;
    const [inA, inB, a, b] = [comes('a'), comes('b'), goes('a'), goes('b')];
    await from.both(add(inA), add(inB));
    await to.both(add(a), add(b));
    await to.both(ends[0](a), ends[1](b));
    await from.both(failed(inB));
    t.true(await isRefused(from.both(failed(inA))));
  });

for (const through of [true, false])
  test(`policy-payment-once: a day does not pay what was approved on many and ${through ? 'opened by payments through us' : 'begun'}`, async (t) => {
    const limit = msat + 200_000n;
    const { world, from, to, approve, left } = await open({ autoPayMsat: msat, paymentsMsatPerDay: limit });
    const names = ['first', 'second', 'third', 'fourth'];
    for (const name of names) {
      t.true(await approve(name));
      if (through) await from.both(add(comes(name, small)));
      else await to.both(add(goes(name, small)));
      world.now += 25 * hour;
    }
    const before = left();
    if (through) await to.both(...names.map((name) => add(goes(name, small))));
    for (const name of names) {
      const htlc = goes(name, msat - small, 501);
      if (await isRefused(to.both(add(htlc)))) continue;
      await to.both(paid(htlc));
    }
    t.true(before - left() <= limit, `${before - left()} msat`);
  });

test('parts that are in flight when their approval expires end as they do, and are tried again within the hour', async (t) => {
  const { world, to } = await approved('b');
  const parts = [goes('b', msat / 2n), goes('b', msat / 2n, 501)] as const;
  await to.both(...parts.map(add));
  world.now += 24.5 * hour;
  await to.both(failed(parts[0]));
  const again = goes('b', msat / 2n, 502);
  await t.notThrowsAsync(to.both(add(again)));
  world.now += 200 * hour;
  await t.notThrowsAsync(to.both(failed(again)));
  await t.notThrowsAsync(to.both(paid(parts[1])));
});

test('what was in flight under an approval until it expired is told from a payment through us as ever', async (t) => {
  for (const ends of [
    [paid, failed],
    [failed, paid],
  ] as const) {
    const { world, from, to } = await approved('b');
    const [incoming, a, b] = [comes('a'), goes('a'), goes('b')];
    await from.both(add(incoming));
    await to.both(add(a), add(b));
    world.now += 100 * hour;
    await to.both(ends[0](a), ends[1](b));
    await t.notThrowsAsync(from.both(ends[0](incoming)));
  }
});
