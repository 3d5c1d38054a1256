import { type ChainState, walkBack } from './chain.ts';

/** How many blocks from the tip are named one by one; behind them the gaps double. */
const dense = 10;

/**
 * Hashes (32 bytes, internal order) by which another node finds where its chain and ours part: the tip, some before
 * it, ever sparser, and last the oldest block kept.
 */
export function locatorOf({ blocks, tip, base }: ChainState): readonly Uint8Array[] {
  const hashes: Uint8Array[] = [];
  let next = 0;
  let gap = 1;
  for (const { header, height } of walkBack(blocks, tip)) {
    const depth = tip.height - height;
    if (depth !== next && height !== base.height) continue;
    hashes.push(header.hash);
    if (hashes.length >= dense) gap *= 2;
    next += gap;
  }
  return hashes;
}
