/** Beyond the list: one funding described twice, so that what was signed for it once says something else. */

import { attack } from './attack.ts';
import { TestChannel } from './channel.ts';
import { announce, commitTo, signSplice, spliceAndLock, spliceOf } from './splicing.ts';
import type { Terms } from './terms.ts';

const taken = 500_000n;
const less = (terms: Terms): Terms => ({
  ...terms,
  ours: terms.ours - taken * 1000n,
  theirs: terms.theirs + taken * 1000n,
});

attack(
  'a splice is signed for with less for us, left, and comes again as if nothing were taken',
  'policy-channel-setup-consistent',
  {
    prefix: (world) => TestChannel.open(world, { opener: 'us', value: 1_000_000n }),
    async hostile(channel) {
      const splice = spliceOf(channel, 0n, 0n);
      await announce(channel, { ...splice, ours: -taken, theirs: taken });
      await channel.signTheirs({ funding: splice.funding, terms: less, number: channel.numbers.remote });
      await announce(channel, spliceOf(channel, 0n, 1000n));
      await announce(channel, splice);
    },
    async honest(channel) {
      const splice = spliceOf(channel, 0n, 2000n);
      await announce(channel, splice);
      await commitTo(channel, splice);
      await signSplice(channel, splice);
    },
  },
);

attack('a funding that was left for a splice comes again with less for us', 'policy-channel-setup-consistent', {
  async prefix(world) {
    const channel = await TestChannel.open(world, { opener: 'us', value: 1_000_000n });
    const { funding } = channel;
    await spliceAndLock(channel, spliceOf(channel, 0n, 0n));
    return { channel, left: { ...spliceOf(channel, -taken, taken), funding } };
  },
  async hostile({ channel, left }) {
    await announce(channel, left);
    await channel.signTheirs({ funding: left.funding, terms: less, number: channel.numbers.remote });
  },
  async honest({ channel }) {
    channel.setFeerate(1100);
    await channel.commit();
    await spliceAndLock(channel, spliceOf(channel, 0n, 0n));
  },
});
