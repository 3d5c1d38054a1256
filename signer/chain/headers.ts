/**
 * Feeding the chain: headers from a host that may lie. Every header is checked by the network's own rules before it
 * counts, the chain with the most work is followed, memory stays bounded. What a host can still do is keep quiet.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Clock } from '../../proto/clock.ts';
import { type Block, type Blocks, type ChainState, HeaderError, successor, walkBack } from './chain.ts';
import { display, parseHeader } from './header.ts';
import type { Network } from './networks.ts';
import { checkHeader } from './rules.ts';
import { periodLength } from './target.ts';

/** How many blocks of the best chain are kept: a period and a day, so that proofs two weeks deep still find theirs. */
export const keptBlocks = periodLength + 144;
/** How many blocks beside it. A longer fork is taken when it comes whole and has more work. */
export const keptForkBlocks = 144;
/** How many headers one call takes. */
export const maxHeaders = periodLength;

/**
 * The state after these headers (80 bytes each, parents first; known ones are passed over). All or none are taken.
 * Throws HeaderError, and WireError for what is no header.
 */
export function applyHeaders(state: ChainState, headers: readonly Uint8Array[], clock: Pick<Clock, 'now'>): ChainState {
  if (headers.length > maxHeaders)
    throw new HeaderError('too many', `expected at most ${maxHeaders} headers at once, got ${headers.length}`);
  const blocks = new Map(state.blocks);
  const now = Math.floor(clock.now() / 1000);
  let { tip } = state;
  for (const bytes of headers) {
    const header = parseHeader(bytes);
    const key = toHex(header.hash);
    if (blocks.has(key)) continue;
    const parent = blocks.get(toHex(header.previous));
    if (parent === undefined)
      throw new HeaderError(
        'unlinked',
        `header ${display(header.hash)} follows ${display(header.previous)}, which is not kept here: send those between`,
      );
    checkHeader(state.network, blocks, parent, header, now);
    const block = successor(parent, header);
    blocks.set(key, block);
    if (block.work > tip.work) tip = block;
  }
  return pruned(state.network, blocks, tip);
}

/** Drops what is too deep, and of forks all but those with the most work, whole or not at all. */
function pruned(network: Network, blocks: Blocks, tip: Block): ChainState {
  const kept = new Map<string, Block>();
  let base = tip;
  for (const block of walkBack(blocks, tip)) {
    if (kept.size === keptBlocks) break;
    kept.set(keyOf(block), block);
    base = block;
  }
  const beside = [...blocks.values()].filter((block) => block.height > base.height && !kept.has(keyOf(block)));
  const room = kept.size + keptForkBlocks;
  for (const end of beside.sort((a, b) => (a.work < b.work ? 1 : -1))) {
    const branch = branchOf(blocks, kept, end);
    if (kept.size + branch.length <= room) for (const block of branch) kept.set(keyOf(block), block);
  }
  return { network, blocks: kept, tip, base };
}

/** A block and those between it and the kept ones; none where it does not lead there. */
function branchOf(blocks: Blocks, kept: Blocks, end: Block): readonly Block[] {
  const branch: Block[] = [];
  for (const block of walkBack(blocks, end)) {
    if (kept.has(keyOf(block))) return branch;
    branch.push(block);
  }
  return [];
}

function keyOf({ header }: Block): string {
  return toHex(header.hash);
}
