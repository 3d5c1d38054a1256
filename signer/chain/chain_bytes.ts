/**
 * The chain state as bytes for the store, which guards them against damage and rollback: what is read back was checked
 * when it was written, so only its form is looked at.
 */

import { LeReader, LeWriter } from '../../proto/bitcoin/stream.ts';
import { toHex } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import { type Block, type ChainState, successor } from './chain.ts';
import { headerLength, parseHeader } from './header.ts';
import { networkOfChain } from './networks.ts';

const format = 1;

/** A format byte, the network's genesis hash, the base's height, work and period, the tip's hash, then all headers. */
export function encodeChain({ network, blocks, tip, base }: ChainState): Uint8Array {
  const w = new LeWriter(128 + blocks.size * headerLength);
  w.u8(format);
  w.put(parseHeader(network.genesis).hash);
  w.u32(base.height);
  for (let shift = 0n; shift < 256n; shift += 64n) w.u64((base.work >> shift) & 0xffffffffffffffffn);
  w.u32(base.period.time);
  w.u32(base.period.bits);
  w.put(tip.header.hash);
  w.u32(blocks.size);
  // The base is the one block of its height; sorted by height, parents come before their children.
  for (const { header } of [...blocks.values()].sort((a, b) => a.height - b.height)) w.put(header.bytes);
  return w.finish().slice();
}

/** Throws WireError where the bytes are not what encodeChain writes. */
export function decodeChain(bytes: Uint8Array): ChainState {
  const r = new LeReader(bytes);
  const version = r.u8();
  if (version !== format) throw new WireError(`expected a chain state of format ${format}, found ${version}`, 0);
  const network = networkOfChain(r.take(32));
  if (network === undefined) throw new WireError('a chain state of an unknown network', 1);
  const height = r.u32();
  let work = 0n;
  for (let shift = 0n; shift < 256n; shift += 64n) work |= r.u64() << shift;
  const period = { time: r.u32(), bits: r.u32() };
  const tipKey = toHex(r.take(32));
  const count = r.u32();
  const base: Block = { header: parseHeader(r.take(headerLength)), height, work, period };
  const blocks = new Map([[toHex(base.header.hash), base]]);
  for (let i = 1; i < count; i++) {
    const header = parseHeader(r.take(headerLength));
    const parent = blocks.get(toHex(header.previous));
    if (parent === undefined) throw new WireError('a header whose parent does not come before it', r.at - headerLength);
    blocks.set(toHex(header.hash), successor(parent, header));
  }
  const tip = blocks.get(tipKey);
  if (tip === undefined) throw new WireError('a chain state without its tip', r.at);
  r.finish();
  return { network, blocks, tip, base };
}
