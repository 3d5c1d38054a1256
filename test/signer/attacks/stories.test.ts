/**
 * What the commitments of one side tell apart and those of the other do not: neither story takes more from us than
 * approvals and the limit for what is listed nowhere.
 */

import test from 'ava';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { hashOf } from './channel.ts';
import { add, failed, hidden, hiddenPaid, isRefused, owned, paid, TwoStories } from './two_stories.ts';
import { World } from './world.ts';

const msat = 10_000_000n;
const small = 3_000_000n;

const comes = (name: string, amount = msat, cltvExpiry = 600): Htlc => ({
  side: 'remote',
  amount,
  paymentHash: hashOf(name),
  cltvExpiry,
});
const goes = (name: string, amount = msat, cltvExpiry = 500): Htlc => ({
  side: 'local',
  amount,
  paymentHash: hashOf(name),
  cltvExpiry,
});

async function open(unlistedMsatPerDay = 0n) {
  const world = await World.open({ settings: { unlistedMsatPerDay } });
  const channel = (peer: number, push: bigint) =>
    TwoStories.open(world, { peer, opener: 'them', push, dust: { local: 354n, remote: 354n } });
  const [from, to, third] = [await channel(2, 300_000n), await channel(3, 500_000n), await channel(4, 300_000n)];
  return { world, from, to, third, left: () => owned([from, to, third]) };
}

test('policy-routing-balance: income that our commitments show is not taken back because the peer’s mix it with what went out', async (t) => {
  const { from, to } = await open();
  const incoming = comes('through');
  await from.both(add(incoming));
  const [outgoing, invoice, other] = [goes('through'), comes('to us'), comes('other', 7_000_000n)];
  await to.both(add(outgoing), add(invoice), add(other));
  await to.step('remote', paid(invoice), failed(other), paid(outgoing));
  for (const change of [paid(invoice), paid(outgoing), failed(other)]) await to.step('local', change);
  t.true(await isRefused(from.both(failed(incoming))));
});

test('policy-routing-balance: dust that only one side shows at a time is counted each time', async (t) => {
  const limit = 500_000n;
  const { from, to, left } = await open(limit);
  const before = left();
  const round = async (name: string, hides: 'local' | 'remote') => {
    const shows = hides === 'local' ? 'remote' : 'local';
    const names = [`${name} a`, `${name} b`];
    const incoming = names.map((each) => comes(each, 400_000n));
    await from.both(...incoming.map(add));
    const [a = goes(name), b = goes(name)] = names.map((each) => goes(each, 400_000n));
    await to.step(shows, add(a), add(b));
    await to.step(hides, hidden(b));
    await to.step(hides, hiddenPaid(b));
    await to.step(shows, failed(a), paid(b));
    await from.both(...incoming.map(failed));
  };
  let lost = 0n;
  for (const [i, side] of (['remote', 'local', 'remote', 'local'] as const).entries()) {
    if (await isRefused(round(`${i}`, side))) break;
    lost = before - left();
  }
  t.true(lost <= limit + 4000n, `${lost} msat`);
});

test('policy-routing-balance: two satoshi by which the stories differ are not given away again and again', async (t) => {
  const limit = 5000n;
  const { from, to, left } = await open(limit);
  const before = left();
  const round = async (name: string, mixes: 'local' | 'remote') => {
    const tells = mixes === 'local' ? 'remote' : 'local';
    const more = msat + 1900n;
    const [inA, inB] = [comes(`${name} a`), comes(`${name} b`, more)];
    const [a, b] = [goes(`${name} a`), goes(`${name} b`, more)];
    await from.both(add(inA), add(inB));
    await to.both(add(a), add(b));
    await to.step(mixes, failed(a), paid(b));
    await to.step(tells, paid(a));
    await to.step(tells, failed(b));
    await from.both(paid(inA), failed(inB));
  };
  let lost = 0n;
  for (let i = 0; i < 12; i++) {
    if (await isRefused(round(`${i}`, i % 2 === 0 ? 'local' : 'remote'))) break;
    lost = before - left();
  }
  t.true(lost <= limit + 4000n, `${lost} msat`);
});

test('policy-routing-balance: income of a payment in doubt is not taken back for another one', async (t) => {
  const { from, to, third } = await open();
  const [inH, inA, outH, outA] = [comes('invoice'), comes('through'), goes('invoice'), goes('through')];
  await from.both(add(inH), add(inA));
  await to.both(add(outH), add(outA));
  await to.both(failed(outH), paid(outA));
  await from.both(failed(inH));
  const income = comes('invoice');
  await third.both(add(income));
  await third.both(paid(income));
  t.true(await isRefused(from.both(failed(inA))));
});

test('policy-routing-balance: an approval of another amount stands in for nothing, though its payment is in doubt, too', async (t) => {
  const { world, from, to } = await open();
  const parts = [comes('a', msat - small), comes('a', small), comes('b')] as const;
  await from.both(...parts.map(add));
  for (const name of ['c', 'd']) world.allowPayment(hashOf(name), small);
  const [a, b, c, d] = [goes('a'), goes('b'), goes('c', small), goes('d', small)];
  await to.both(add(a), add(b), add(c), add(d));
  await to.both(paid(a), failed(b), paid(c), failed(d));
  await from.both(failed(parts[2]), paid(parts[0]));
  t.true(await isRefused(from.both(failed(parts[1]))));
});

for (const [what, rest] of [
  ['of other amounts', small],
  ['of the same amounts', msat],
] as const)
  test(`policy-routing-balance: what one side tells apart is not in doubt, although other HTLCs ${what} of the same payments are`, async (t) => {
    const { world, from, to } = await open();
    const [large, other] = [comes('a'), comes('a', rest, 601)];
    await from.both(add(large), add(other));
    world.allowPayment(hashOf('b'), msat + rest);
    const [a, b, a2, b2] = [goes('a'), goes('b'), goes('a', rest, 501), goes('b', rest, 501)];
    await to.both(add(a), add(b), add(a2), add(b2));
    await to.step('local', paid(a));
    await to.step('local', failed(b));
    await to.step('remote', paid(a), failed(b));
    await to.step('remote', paid(a2));
    await to.step('remote', failed(b2));
    await to.step('local', paid(a2), failed(b2));
    t.true(await isRefused(from.both(failed(large))));
  });

test('policy-commitment-payment-approved: an approval that expired is not opened by a payment that counts for it', async (t) => {
  const { world, from, to } = await open();
  const parts = [comes('a', msat - small), comes('a', small)] as const;
  await from.both(...parts.map(add));
  world.allowPayment(hashOf('b'), msat);
  t.true(await world.preapproveKeysend(to.channel.peer.node.point, hashOf('b'), msat));
  world.answer = () => false;
  const [a, b] = [goes('a'), goes('b')];
  await to.both(add(a), add(b));
  await to.both(paid(a), failed(b));
  await from.both(paid(parts[0]));
  world.now += 30 * 3600 * 1000;
  await from.both(failed(parts[1]));
  t.true(await isRefused(to.step('remote', add(goes('b', msat - small)))));
});

test('policy-payment-once: a payment without an invoice that was made is not asked about again while it is in doubt', async (t) => {
  const { world, from, to } = await open();
  const incoming = comes('a');
  await from.both(add(incoming));
  world.allowPayment(hashOf('b'));
  const [a, b] = [goes('a'), goes('b')];
  await to.both(add(a), add(b));
  await to.both(failed(a), paid(b));
  await from.both(failed(incoming));
  const asked = world.asked.length;
  t.true(await isRefused(to.step('remote', add(goes('b')))));
  t.is(world.asked.length, asked);
});

test('policy-routing-balance: no limit for dust pays for a payment in doubt', async (t) => {
  const { from, to } = await open(2n * msat);
  const [inA, inB, a, b] = [comes('a'), comes('b'), goes('a'), goes('b')];
  await from.both(add(inA), add(inB));
  await to.both(add(a), add(b));
  await to.both(failed(a), paid(b));
  await from.both(failed(inA));
  t.true(await isRefused(from.both(failed(inB))));
});

for (const truth of ['c', 'd'] as const)
  test(`an honest node gives back one of two equal HTLCs while it is paid for the other, and ${truth} was paid`, async (t) => {
    const settled = (name: string, htlc: Htlc) => (name === truth ? paid(htlc) : failed(htlc));
    for (const order of [
      ['a', 'c'],
      ['c', 'a'],
    ]) {
      const { from, to, third } = await open();
      const incoming = new Map(['a', 'c', 'd'].map((name) => [name, comes(name)]));
      const of = (name: string) => incoming.get(name) ?? comes(name);
      await from.both(...order.map((name) => add(of(name))));
      await third.both(add(of('d')));
      const [a, c, d] = [goes('a'), goes('c'), goes('d')];
      await to.both(add(a));
      await to.both(paid(a));
      await to.both(add(c), add(d));
      await to.both(settled('c', c), settled('d', d));
      await t.notThrowsAsync(from.both(paid(of('a')), settled('c', of('c'))), order.join());
      await t.notThrowsAsync(third.both(settled('d', of('d'))));
    }
  });

for (const truth of ['first', 'second', 'third'])
  test(`an honest node pays two of three equal payments again at once, and the ${truth} was paid`, async (t) => {
    const { world, to, third } = await open();
    const names = ['first', 'second', 'third'];
    for (const name of names) world.allowPayment(hashOf(name), msat);
    for (const name of names) t.true(await world.preapproveKeysend(to.channel.peer.node.point, hashOf(name), msat));
    const out = names.map((name) => goes(name));
    await to.both(...out.map(add));
    await to.both(...out.map((htlc, i) => (names[i] === truth ? paid(htlc) : failed(htlc))));
    const again = names.filter((name) => name !== truth).map((name) => goes(name, msat, 510));
    await t.notThrowsAsync(third.both(...again.map(add)));
  });
