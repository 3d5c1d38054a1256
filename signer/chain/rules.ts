/**
 * What the network demands of a header behind its parent (ContextualCheckBlockHeader, GetNextWorkRequired, BIP 94).
 *
 * Not checked, because headers do not show it: a signet block's signature, and what blocks contain. Nor are version
 * numbers: a block with a false one costs as much work as any.
 */

import { type Block, type Blocks, HeaderError, type HeaderProblem, walkBack } from './chain.ts';
import { display, type Header } from './header.ts';
import type { Network } from './networks.ts';
import { meets, periodLength, retarget, targetOf } from './target.ts';

const medianOf = 11;
const maxAheadSeconds = 2 * 3600;
const maxBackwardSeconds = 600;

/** The bits a header of this time must have behind its parent. */
export function requiredBits({ limitBits, retargets, easyAfter, bip94 }: Network, parent: Block, time: number): number {
  if (!retargets) return limitBits;
  const { header, period, height } = parent;
  if ((height + 1) % periodLength === 0)
    return retarget(bip94 ? period.bits : header.bits, header.time - period.time, limitBits);
  // Where easy blocks are allowed, the others take up the period's own difficulty again, which its first block has.
  return easyAfter !== undefined && time > header.time + easyAfter ? limitBits : period.bits;
}

/** Throws HeaderError unless the header may follow its parent; `now` is in seconds since 1970. */
export function checkHeader(network: Network, blocks: Blocks, parent: Block, header: Header, now: number): void {
  const height = parent.height + 1;
  const fail = (problem: HeaderProblem, what: string): never => {
    throw new HeaderError(problem, `header ${display(header.hash)} at height ${height}: ${what}`);
  };
  const { time } = header;
  const bits = requiredBits(network, parent, time);
  if (header.bits !== bits) fail('bits', `expected bits ${bits.toString(16)}, found ${header.bits.toString(16)}`);
  if (!meets(header.hash, targetOf(bits) ?? 0n)) fail('work', 'its hash is above its target');
  const median = medianTime(blocks, parent);
  if (median !== undefined && time <= median) fail('too old', `expected a time after ${median}, found ${time}`);
  if (time > now + maxAheadSeconds) fail('too new', `its time ${time} is more than two hours ahead of ${now}`);
  const earliest = parent.header.time - maxBackwardSeconds;
  if (network.bip94 && height % periodLength === 0 && time < earliest)
    fail('timewarp', `expected a time from ${earliest} on, found ${time}`);
}

/** The median time of a block and the ten before it; undefined while the signer does not know as many. */
function medianTime(blocks: Blocks, last: Block): number | undefined {
  const times: number[] = [];
  let oldest = last.height;
  for (const { header, height } of walkBack(blocks, last)) {
    times.push(header.time);
    oldest = height;
    if (times.length === medianOf) break;
  }
  if (times.length < medianOf && oldest > 0) return undefined;
  return times.sort((a, b) => a - b)[times.length >> 1];
}
