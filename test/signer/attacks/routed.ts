/** A payment through us between two thieves, which tests of routing begin with. */

import { hashOf, TestChannel } from './channel.ts';
import type { World } from './world.ts';

/** Channels with two thieves: one sends through us to the other. */
export async function between(world: World): Promise<{ readonly from: TestChannel; readonly to: TestChannel }> {
  const from = await TestChannel.open(world, { peer: 2, opener: 'them', push: 300_000n });
  const to = await TestChannel.open(world, { peer: 3 });
  return { from, to };
}

export const hash = hashOf('routed');
export const msat = 100_000_000n;
