/**
 * The chain state as entries of the store, which guards them against damage and rollback: what is read back was checked
 * when it was written, so only its form is looked at. Headers stand in segments of a day, so that a block changes one
 * segment and not all of them.
 */

import { LeReader, LeWriter } from '../../proto/bitcoin/stream.ts';
import { concat, equalBytes, toHex } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import type { Change } from '../store/store.ts';
import { type Block, type ChainState, successor } from './chain.ts';
import { headerLength, parseHeader } from './header.ts';
import { networkOfChain } from './networks.ts';

export interface KeptChain {
  readonly state: ChainState;
  /** Whether the chain was followed up to its end once: from then on the rules that need it are in force. */
  readonly inForce: boolean;
}

const format = 1;
const headKey = 'chain';
const segmentPrefix = 'chain/';
const segmentBlocks = 144;

/** A format byte, whether it is in force, the network's genesis hash, the base's height, work, period and header, the tip's hash. */
function encodeHead({ state: { network, tip, base }, inForce }: KeptChain): Uint8Array {
  const w = new LeWriter(256);
  w.u8(format);
  w.u8(inForce ? 1 : 0);
  w.put(parseHeader(network.genesis).hash);
  w.u32(base.height);
  for (let shift = 0n; shift < 256n; shift += 64n) w.u64((base.work >> shift) & 0xffffffffffffffffn);
  w.u32(base.period.time);
  w.u32(base.period.bits);
  w.put(base.header.bytes);
  w.put(tip.header.hash);
  return w.finish().slice();
}

/** The headers of each segment, by its key. */
function segments({ blocks }: ChainState): Map<string, Uint8Array[]> {
  const found = new Map<string, Uint8Array[]>();
  for (const { header, height } of [...blocks.values()].sort((a, b) => a.height - b.height)) {
    const key = `${segmentPrefix}${Math.floor(height / segmentBlocks)}`;
    const segment = found.get(key);
    if (segment === undefined) found.set(key, [header.bytes]);
    else segment.push(header.bytes);
  }
  return found;
}

function* headersIn(bytes: Uint8Array): Generator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += headerLength) yield bytes.subarray(at, at + headerLength);
}

/** Whether a segment has to be written: it lacks a header. One that has too many, of blocks now too deep, may stay. */
function lacks(held: Uint8Array | undefined, headers: readonly Uint8Array[]): boolean {
  if (held === undefined) return true;
  if (equalBytes(held, concat(...headers))) return false;
  const known = new Set(Array.from(headersIn(held), toHex));
  return !headers.every((header) => known.has(toHex(header)));
}

/** What turns the entries that are held into those of `chain`. */
export function chainChanges(held: ReadonlyMap<string, Uint8Array>, chain: KeptChain): readonly Change[] {
  const wanted = segments(chain.state);
  const changes: Change[] = [{ key: headKey, value: encodeHead(chain) }];
  for (const [key, headers] of wanted)
    if (lacks(held.get(key), headers)) changes.push({ key, value: concat(...headers) });
  for (const key of held.keys())
    if (key.startsWith(segmentPrefix) && !wanted.has(key)) changes.push({ key, value: undefined });
  return changes;
}

/** The chain that a store's entries hold; undefined where they hold none. Throws WireError where they are not ours. */
export function readChain(entries: ReadonlyMap<string, Uint8Array>): KeptChain | undefined {
  const head = entries.get(headKey);
  if (head === undefined) return undefined;
  const r = new LeReader(head);
  const version = r.u8();
  if (version !== format) throw new WireError(`expected a chain state of format ${format}, found ${version}`, 0);
  const inForce = r.u8() === 1;
  const network = networkOfChain(r.take(32));
  if (network === undefined) throw new WireError('a chain state of an unknown network', 2);
  const height = r.u32();
  let work = 0n;
  for (let shift = 0n; shift < 256n; shift += 64n) work |= r.u64() << shift;
  const period = { time: r.u32(), bits: r.u32() };
  const base: Block = { header: parseHeader(r.take(headerLength)), height, work, period };
  const tipKey = toHex(r.take(32));
  r.finish();
  const blocks = new Map([[toHex(base.header.hash), base]]);
  for (const bytes of segmentsInOrder(entries))
    for (const headerBytes of headersIn(bytes)) {
      const header = parseHeader(headerBytes);
      const parent = blocks.get(toHex(header.previous));
      if (parent !== undefined) blocks.set(toHex(header.hash), successor(parent, header));
    }
  const tip = blocks.get(tipKey);
  if (tip === undefined) throw new WireError('a chain state without its tip', head.length);
  return { state: { network, blocks, tip, base }, inForce };
}

function segmentsInOrder(entries: ReadonlyMap<string, Uint8Array>): readonly Uint8Array[] {
  const numbered = [...entries].flatMap(([key, bytes]) =>
    key.startsWith(segmentPrefix) ? [{ number: Number(key.slice(segmentPrefix.length)), bytes }] : [],
  );
  return numbered.sort((a, b) => a.number - b.number).map(({ bytes }) => bytes);
}
