import test from 'ava';
import fc from 'fast-check';
import { fromHex } from '../../../proto/bytes.ts';
import { WireError } from '../../../proto/hsmd/codec.ts';
import { type ChainState, startAtGenesis } from '../../../signer/chain/chain.ts';
import { chainChanges, readChain } from '../../../signer/chain/chain_entries.ts';
import { applyHeaders, keptBlocks } from '../../../signer/chain/headers.ts';
import type { Change } from '../../../signer/store/store.ts';
import { clockAt, grow, network, regtest } from './mining.ts';

const late = clockAt(2_000_000_000);
const start = startAtGenesis(network('regtest'));
const forked = applyHeaders(
  applyHeaders(start, regtest.headers.map(fromHex), late),
  regtest.reorganisation.headers.map(fromHex),
  late,
);

function put(entries: Map<string, Uint8Array>, changes: readonly Change[]): number {
  let bytes = 0;
  for (const { key, value } of changes) {
    if (value === undefined) entries.delete(key);
    else entries.set(key, value);
    bytes += value?.length ?? 0;
  }
  return bytes;
}

const keep = (entries: Map<string, Uint8Array>, state: ChainState) =>
  put(entries, chainChanges(entries, { state, inForce: true }));

test('a chain with forks comes back the same from its entries, and grows on', (t) => {
  const entries = new Map([['channel/02/1', new Uint8Array(3)]]);
  keep(entries, forked);
  const read = readChain(entries);
  t.deepEqual(read?.state.tip, forked.tip);
  t.deepEqual(read?.state.base, forked.base);
  t.deepEqual([...(read?.state.blocks.keys() ?? [])].sort(), [...forked.blocks.keys()].sort());
  t.true(read?.inForce);
  t.is(grow(read?.state ?? start, 2).tip.work, forked.tip.work + 4n);
  t.is(readChain(new Map()), undefined);
});

test('kept block by block over weeks, it is what it was, takes a bounded room, and each block costs little', (t) => {
  const entries = new Map<string, Uint8Array>();
  let state = grow(start, keptBlocks + 100);
  keep(entries, state);
  let most = 0;
  for (let i = 0; i < 60; i++) {
    state = grow(state, 1);
    most = Math.max(most, keep(entries, state));
  }
  const read = readChain(entries)?.state;
  t.is(read?.base.height, 161);
  t.deepEqual(read?.tip, state.tip);
  t.true([...state.blocks.keys()].every((key) => read?.blocks.has(key)));
  t.is(read?.blocks.size, state.blocks.size);
  t.true(most < 12_000, `${most} bytes for a block`);
  t.true([...entries.values()].reduce((sum, { length }) => sum + length, 0) < 200_000);
  t.deepEqual([...entries.keys()].sort().slice(0, 3), ['chain', 'chain/1', 'chain/10']);
});

test('damaged entries throw WireError or give another chain, nothing else', (t) => {
  const good = new Map<string, Uint8Array>();
  keep(good, forked);
  const harmless = (key: string, change: (bytes: Uint8Array) => Uint8Array) => {
    try {
      readChain(new Map(good).set(key, change(good.get(key) ?? new Uint8Array())));
    } catch (error: unknown) {
      if (!(error instanceof WireError)) throw error;
    }
  };
  const keys = fc.constantFrom(...good.keys());
  fc.assert(
    fc.property(keys, fc.nat(), fc.nat(255), (key, at, byte) => harmless(key, (b) => b.with(at % b.length, byte))),
  );
  fc.assert(fc.property(keys, fc.nat(400), (key, length) => harmless(key, (bytes) => bytes.subarray(0, length))));
  fc.assert(fc.property(keys, fc.uint8Array({ maxLength: 300 }), (key, bytes) => harmless(key, () => bytes)));
  t.throws(() => readChain(new Map([['chain', Uint8Array.of(2)]])), { instanceOf: WireError });
});
