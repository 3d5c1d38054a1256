/**
 * The chain of headers as a signer keeps it: the last of the chain with the most work, and short forks of it. How it
 * begins and how it is looked at; it grows in headers.ts.
 */

import { toHex } from '../../proto/bytes.ts';
import { type Header, parseHeader } from './header.ts';
import type { Network } from './networks.ts';
import { meets, periodLength, targetOf, workOf } from './target.ts';

/** The first block of a period of 2016, all that the next change of difficulty needs of it. */
export interface Period {
  /** Seconds since 1970. */
  readonly time: number;
  readonly bits: number;
}

/** A header in its place in the chain. */
export interface Block {
  readonly header: Header;
  readonly height: number;
  /** Of the chain up to here, counted from the block the signer started from. */
  readonly work: bigint;
  readonly period: Period;
}

/** Blocks by hash (hex, internal order). */
export type Blocks = ReadonlyMap<string, Block>;

export interface ChainState {
  readonly network: Network;
  readonly blocks: Blocks;
  /** The last block of the chain with the most work; the first seen of equals. Its time tells how old the news is. */
  readonly tip: Block;
  /** The oldest block of that chain still kept. */
  readonly base: Block;
}

/** A block its owner trusts to be on the chain. */
export interface Anchor {
  readonly height: number;
  /** Its header, 80 bytes. */
  readonly header: Uint8Array;
  /** The first block of the period it is in: itself where its height is a multiple of 2016. */
  readonly period: Period;
}

export type HeaderProblem = 'too many' | 'unlinked' | 'bits' | 'work' | 'too old' | 'too new' | 'timewarp' | 'anchor';

/** A header that is not taken. `too new` may be tried again later, `unlinked` with the headers before it. */
export class HeaderError extends Error {
  override readonly name = 'HeaderError';
  readonly problem: HeaderProblem;

  constructor(problem: HeaderProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

/** Starts from a trusted block. Throws HeaderError where it contradicts itself, WireError where it is no header. */
export function startAt(network: Network, { height, header: bytes, period }: Anchor): ChainState {
  const header = parseHeader(bytes);
  const target = targetOf(header.bits);
  if (target === undefined || !meets(header.hash, target))
    throw new HeaderError('anchor', `the start at height ${height} does not have the work it claims`);
  if (height % periodLength === 0 && (period.time !== header.time || period.bits !== header.bits))
    throw new HeaderError('anchor', `height ${height} begins a period: expected its own time and bits as the period's`);
  const block = { header, height, work: workOf(target), period };
  return { network, blocks: new Map([[toHex(header.hash), block]]), tip: block, base: block };
}

/** Starts from block 0. */
export function startAtGenesis(network: Network): ChainState {
  const { time, bits } = parseHeader(network.genesis);
  return startAt(network, { height: 0, header: network.genesis, period: { time, bits } });
}

/** The block that a header makes behind its parent. Checks nothing. */
export function successor(parent: Block, header: Header): Block {
  const height = parent.height + 1;
  const period = height % periodLength === 0 ? { time: header.time, bits: header.bits } : parent.period;
  return { header, height, work: parent.work + workOf(targetOf(header.bits) ?? 0n), period };
}

/** A block and those before it, as far as they are kept. */
export function* walkBack(blocks: Blocks, from: Block): Generator<Block> {
  for (let block: Block | undefined = from; block !== undefined; block = blocks.get(toHex(block.header.previous)))
    yield block;
}

/**
 * The block of this hash (32 bytes, internal order) if it is on the best chain, and how deep it is buried there: 1 for
 * the last block. Undefined where it is not, or lies deeper than what is kept.
 */
export function blockOnChain(
  state: ChainState,
  hash: Uint8Array,
): { readonly block: Block; readonly depth: number } | undefined {
  const block = state.blocks.get(toHex(hash));
  if (block === undefined) return undefined;
  for (const other of walkBack(state.blocks, state.tip)) {
    if (other === block) return { block, depth: state.tip.height - block.height + 1 };
    if (other.height <= block.height) return undefined;
  }
  return undefined;
}
