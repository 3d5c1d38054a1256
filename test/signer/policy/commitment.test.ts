/** Limits of single commitments (19, 35), each with a commitment that is just within it. */

import { attack } from '../attacks/attack.ts';
import { hashOf, TestChannel } from '../attacks/channel.ts';
import type { Terms } from '../attacks/terms.ts';

const hash = hashOf('payment');
const htlc = { side: 'remote', amount: 50_000_000n, paymentHash: hash, cltvExpiry: 500 } as const;
const withHtlc = (terms: Terms): Terms => ({ ...terms, theirs: terms.theirs - htlc.amount, htlcs: [htlc] });

for (const step of ['signTheirs', 'signOurs'] as const)
  attack(`an HTLC in the first commitment (${step})`, 'policy-commitment-first-no-htlcs', {
    async prefix(world) {
      const channel = new TestChannel(world, { opener: 'them', push: 100_000n });
      await channel.announce();
      await channel.sayWhatItIs();
      return channel;
    },
    hostile: (channel) => channel[step]({ terms: withHtlc, feerate: 0 }),
    honest: (channel) => channel[step](),
  });

const open = (world: Parameters<typeof TestChannel.open>[0]) =>
  TestChannel.open(world, { opener: 'them', push: 100_000n });

/** So many HTLCs of the peer's, of so many satoshi each. */
function receive(channel: TestChannel, count: number, sat: bigint): Promise<void> {
  for (let i = 0; i < count; i++) channel.add({ from: 'them', msat: sat * 1000n, hash: hashOf(`payment ${i}`) });
  return channel.commit().catch((error: unknown) => {
    channel.updates.logs.remote.length = 0;
    throw error;
  });
}

attack('one HTLC too many', 'policy-commitment-htlc-count-limit', {
  options: { settings: { maxHtlcs: 3 } },
  prefix: open,
  hostile: (channel) => receive(channel, 4, 1000n),
  honest: (channel) => receive(channel, 3, 1000n),
});

attack('a satoshi too much in flight', 'policy-commitment-htlc-inflight-limit', {
  options: { settings: { maxInFlightSat: 3000n } },
  prefix: open,
  hostile: (channel) => receive(channel, 1, 3001n),
  honest: (channel) => receive(channel, 3, 1000n),
});

attack('more is trimmed than dust limits allow', 'policy-commitment-outputs-trimmed', {
  options: { settings: { maxTrimmedSat: 1000n } },
  prefix: (world) =>
    TestChannel.open(world, { opener: 'them', push: 100_000n, dust: { local: 10_000n, remote: 10_000n } }),
  hostile: (channel) => receive(channel, 1, 1001n),
  honest: (channel) => receive(channel, 1, 900n),
});

attack('an HTLC of ours expires years from now', 'policy-commitment-htlc-cltv-range', {
  options: { settings: { maxCltvBlocks: 2016 } },
  async prefix(world) {
    const channel = await open(world);
    world.height = 900_000;
    world.allowPayment(hash);
    return channel;
  },
  async hostile(channel) {
    channel.add({ from: 'us', msat: 1_000_000n, hash, cltv: 902_017 });
    await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
  },
  async honest(channel) {
    channel.add({ from: 'us', msat: 1_000_000n, hash, cltv: 902_016 });
    await channel.commit();
  },
});
