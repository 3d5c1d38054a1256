import test from 'ava';
import { fromHex } from '../../../proto/bytes.ts';
import { blockOnChain, type ChainState, startAt, startAtGenesis } from '../../../signer/chain/chain.ts';
import { display, parseHeader } from '../../../signer/chain/header.ts';
import { applyHeaders, keptBlocks, keptForkBlocks } from '../../../signer/chain/headers.ts';
import { clockAt, grow, mainnet, mine, network, problemOf, regtest } from './mining.ts';

const late = clockAt(2_000_000_000);
const rules = network('regtest');

/** `count` headers behind a block, told apart by their version. */
function branch(state: ChainState, from: Uint8Array, count: number, version: number): readonly Uint8Array[] {
  let parent = state.blocks.get(Buffer.from(from).toString('hex'));
  const headers: Uint8Array[] = [];
  for (let i = 0; i < count && parent !== undefined; i++) {
    const bytes = mine(rules, parent, { version });
    headers.push(bytes);
    parent = { ...parent, header: parseHeader(bytes), height: parent.height + 1 };
  }
  return headers;
}

test('the stale block 823226 of mainnet stays beside the chain, whichever of the two comes first', (t) => {
  const { anchor, headers, stale, staleHeight } = mainnet.stale;
  const start = startAt(network('bitcoin'), { ...anchor, header: fromHex(anchor.header) });
  const chain = headers.map(fromHex);
  const fork = fromHex(stale);
  const until = chain.slice(0, staleHeight - anchor.height - 1);
  const rest = chain.slice(until.length);
  const staleFirst = applyHeaders(start, [...until, fork], late);
  t.is(staleFirst.tip.height, staleHeight);
  t.deepEqual(staleFirst.tip.header.bytes, fork);
  const both = applyHeaders(staleFirst, rest.slice(0, 1), late);
  t.deepEqual(both.tip.header.bytes, fork, 'equal work: the first seen stays');
  const decided = applyHeaders(both, rest.slice(1), late);
  t.deepEqual(decided.tip.header.bytes, chain.at(-1));
  t.is(blockOnChain(decided, parseHeader(fork).hash), undefined);
  t.true(decided.blocks.has(Buffer.from(parseHeader(fork).hash).toString('hex')));
  const staleLast = applyHeaders(applyHeaders(start, chain, late), [fork], late);
  t.deepEqual(staleLast.tip, decided.tip);
});

test('a real reorganisation of regtest ends at the tip and the work that bitcoind says', (t) => {
  const { from_height: from, headers, tip, chainwork } = regtest.reorganisation;
  const before = applyHeaders(startAtGenesis(rules), regtest.headers.map(fromHex), late);
  const after = applyHeaders(before, headers.map(fromHex), late);
  t.is(display(after.tip.header.hash), tip);
  t.is(after.tip.work, BigInt(`0x${chainwork}`));
  t.is(after.tip.height, from + headers.length);
  t.is(blockOnChain(after, before.tip.header.hash), undefined);
  t.deepEqual(blockOnChain(after, after.tip.header.hash), { block: after.tip, depth: 1 });
});

test('a fork may come block by block; it wins with the first block of more work', (t) => {
  const trunk = grow(startAtGenesis(rules), 10);
  const ours = grow(trunk, 3);
  const fork = branch(ours, trunk.tip.header.hash, 4, 0x20000004);
  let state = ours;
  for (const [i, header] of fork.entries()) {
    state = applyHeaders(state, [header], late);
    t.is(state.tip.header.hash === ours.tip.header.hash, i < 3, `after ${i + 1}`);
  }
  t.is(state.tip.height, 14);
  t.is(blockOnChain(state, trunk.tip.header.hash)?.depth, 5);
});

test('forks beyond the bound are forgotten, whole, and the chain is not', (t) => {
  const trunk = grow(startAtGenesis(rules), 30);
  let state = trunk;
  for (let i = 0; i < 40; i++) {
    const root = [...trunk.blocks.values()].find(({ height }) => height === 20);
    state = applyHeaders(state, branch(state, root?.header.hash ?? new Uint8Array(), 6, 0x20000100 + i), late);
  }
  t.is(state.blocks.size, 31 + keptForkBlocks);
  t.deepEqual(state.tip, trunk.tip);
  for (const { header } of state.blocks.values())
    t.true(state.base.header === header || state.blocks.has(Buffer.from(header.previous).toString('hex')));
});

test('a fork from below what is kept is unlinked', (t) => {
  const early = grow(startAtGenesis(rules), 3);
  const state = grow(early, keptBlocks);
  const fork = mine(rules, early.tip, { version: 0x20000007 });
  t.is(
    problemOf(() => applyHeaders(state, [fork], late)),
    'unlinked',
  );
});
