/** Beyond the list: several lanes at once, as a hostile host may open them, with an owner who takes their time. */

import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import { hashOf, TestChannel } from './channel.ts';
import type { Terms } from './terms.ts';
import { closeAlone } from './transactions.ts';
import { Refused, World } from './world.ts';

const hash = hashOf('payment');
const msat = 100_000_000n;

/** How many of these were answered with a reply; every other answer is the policy's. */
async function accepted(requests: readonly Promise<unknown>[]): Promise<number> {
  const outcomes = await Promise.allSettled(requests);
  for (const outcome of outcomes)
    if (
      outcome.status === 'rejected' &&
      !(outcome.reason instanceof Refused && outcome.reason.tag.startsWith('policy-'))
    )
      throw outcome.reason;
  return outcomes.filter(({ status }) => status === 'fulfilled').length;
}

/** The owner answers after that many turns of the event loop. */
function slowly(world: World, turns: number, answer: boolean): void {
  world.answer = async () => {
    for (let i = 0; i < turns; i++) await Promise.resolve();
    return answer;
  };
}

for (const turns of [0, 1, 2, 3, 7, 50])
  test(`policy-commitment-retry-same: two contents of one number at once, the owner answers after ${turns} turns`, async (t) => {
    const world = await World.open();
    const channel = await TestChannel.open(world, { opener: 'them', push: 500_000n });
    slowly(world, turns, true);
    const sign = (name: string) => {
      const htlc = { side: 'local', amount: msat, paymentHash: hashOf(name), cltvExpiry: 500 } as const;
      const terms = (now: Terms): Terms => ({ ...now, ours: now.ours - msat, htlcs: [...now.htlcs, htlc] });
      return channel.signTheirs({ terms, number: 1n });
    };
    t.is(await accepted([sign('one'), sign('another')]), 1);
  });

for (const turns of [0, 1, 2, 3, 7, 50])
  test(`policy-commitment-payment-approved: one approval on two channels at once, the owner answers after ${turns} turns`, async (t) => {
    const world = await World.open();
    const channels = [await TestChannel.open(world, { peer: 2 }), await TestChannel.open(world, { peer: 3 })];
    const wanted = toHex(hash);
    world.answer = async (purpose) => {
      for (let i = 0; i < turns; i++) await Promise.resolve();
      return purpose.kind === 'pay' && purpose.hash === wanted && purpose.amountMsat <= msat;
    };
    for (const channel of channels) channel.add({ from: 'us', msat, hash });
    t.is(await accepted(channels.map((channel) => channel.signTheirs())), 1);
  });

for (const restarted of [false, true])
  test(`policy-revoke-not-closed: signing our commitment and revoking it at once${restarted ? ', across a restart' : ''}`, async (t) => {
    const world = await World.open();
    const channel = await TestChannel.open(world, { opener: 'them', push: 500_000n });
    channel.setFeerate(1500);
    const [first] = channel.commitments.local;
    await channel.signOurs();
    if (restarted) await world.restart();
    if (first === undefined) throw new Error('no commitment');
    t.is(await accepted([closeAlone(channel, first), channel.weRevoke()]), 1);
  });

test('policy-commitment-payment-velocity: many small payments at once do not pass the limit of a day', async (t) => {
  const world = await World.open({ settings: { autoPayMsat: msat, paymentsMsatPerDay: 5n * msat } });
  const peer = await TestChannel.open(world);
  const asks = Array.from({ length: 20 }, (_, i) =>
    world.preapproveKeysend(peer.peer.node.point, hashOf(`${i}`), msat),
  );
  const approved = (await Promise.all(asks)).filter(Boolean).length;
  t.true(approved <= 5 && approved >= 4, `${approved}`);
});

test('policy-routing-balance: one incoming HTLC covers one of two outgoing ones asked at once', async (t) => {
  const world = await World.open();
  const from = await TestChannel.open(world, { peer: 2, opener: 'them', push: 300_000n });
  const channels = [await TestChannel.open(world, { peer: 3 }), await TestChannel.open(world, { peer: 4 })];
  from.add({ from: 'them', msat, hash, cltv: 600 });
  await from.commit();
  for (const channel of channels) channel.add({ from: 'us', msat, hash, cltv: 500 });
  t.is(await accepted(channels.map((channel) => channel.signTheirs())), 1);
});

test('a request is not refused for what another one had not changed yet while the owner was asked', async (t) => {
  const world = await World.open({ settings: { autoPayMsat: msat, paymentsMsatPerDay: 10n * msat } });
  const { peer } = await TestChannel.open(world);
  let answer: (() => void) | undefined;
  const asked = new Promise<void>((resolve) => {
    answer = resolve;
  });
  world.answer = async () => {
    await asked;
    return false;
  };
  const big = world.preapproveKeysend(peer.node.point, hashOf('big'), 2n * msat);
  // Nobody waits for the one whose owner takes their time.
  t.true(await world.preapproveKeysend(peer.node.point, hashOf('small'), msat));
  answer?.();
  t.false(await big);
});
