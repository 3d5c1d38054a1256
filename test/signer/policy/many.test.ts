/** Many HTLCs that leave a commitment at once, as after a reconnect: which of them were paid follows from one sum. */

import test from 'ava';
import { hashOf, TestChannel } from '../attacks/channel.ts';
import { World } from '../attacks/world.ts';

const amountOf = (n: number): bigint => 1_000_000n + BigInt((n * n * 7919) % 1_000_003);

for (const count of [12, 60, 240])
  test(`${count} payments of ours and to us end in one commitment, some fail`, async (t) => {
    const world = await World.open();
    world.answer = () => true;
    const channel = await TestChannel.open(world, { opener: 'them', value: 900_000_000n, push: 450_000_000n });
    const htlcs = Array.from({ length: count }, (_, n) =>
      channel.add({ from: n % 2 === 0 ? 'us' : 'them', msat: amountOf(n), hash: hashOf(`payment ${n}`) }),
    );
    await channel.commit();
    for (const [n, htlc] of htlcs.entries()) channel.settle(n % 3 === 0 || n % 7 === 0 ? 'fail' : 'fulfil', htlc);
    await t.notThrowsAsync(channel.commit());
    channel.setFeerate(1100);
    await t.notThrowsAsync(channel.commit());
  });

test('what was forwarded came in, though another HTLC has the same amount', async (t) => {
  const world = await World.open();
  const [from, to] = [
    await TestChannel.open(world, { peer: 2, opener: 'them', push: 300_000n }),
    await TestChannel.open(world, { peer: 3 }),
  ];
  const msat = 5_000_000n;
  const [other, hash] = [hashOf('ours'), hashOf('forwarded')];
  const [own, incoming] = [
    from.add({ from: 'them', msat, hash: other, cltv: 600 }),
    from.add({ from: 'them', msat, hash, cltv: 600 }),
  ];
  await from.commit();
  const outgoing = to.add({ from: 'us', msat: msat - 1000n, hash, cltv: 500 });
  await to.commit();
  to.fulfil(outgoing);
  await to.commit();
  from.fulfil(incoming);
  from.fail(own);
  await t.notThrowsAsync(from.commit());
});
