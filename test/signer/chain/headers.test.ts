import test from 'ava';
import fc from 'fast-check';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import { WireError } from '../../../proto/hsmd/codec.ts';
import { type ChainState, HeaderError, startAt, startAtGenesis } from '../../../signer/chain/chain.ts';
import { display, parseHeader } from '../../../signer/chain/header.ts';
import { applyHeaders, keptBlocks, maxHeaders } from '../../../signer/chain/headers.ts';
import { networkOfChain, networks } from '../../../signer/chain/networks.ts';
import { type AnchorVector, cheap, clockAt, grow, mainnet, mine, network, problemOf, regtest } from './mining.ts';

const late = clockAt(2_000_000_000);

function anchored({ height, header, period }: AnchorVector): ChainState {
  return startAt(network('bitcoin'), { height, header: fromHex(header), period });
}

test('every network begins with its own genesis block', (t) => {
  const known: Record<string, string> = {
    bitcoin: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
    testnet: '000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943',
    testnet4: '00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043',
    signet: '00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6',
    regtest: '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
  };
  t.deepEqual(
    Object.fromEntries(networks.map(({ name, genesis }) => [name, display(parseHeader(genesis).hash)])),
    known,
  );
  for (const one of networks) {
    t.is(startAtGenesis(one).tip.height, 0);
    t.is(networkOfChain(parseHeader(one.genesis).hash), one);
  }
  t.is(networkOfChain(new Uint8Array(32)), undefined);
  t.deepEqual(toHex(network('bitcoin').genesis), mainnet.genesis);
});

test('a real regtest chain is followed to its tip, in one piece or header by header', (t) => {
  const headers = regtest.headers.map(fromHex);
  const start = startAtGenesis(network('regtest'));
  const whole = applyHeaders(start, headers, late);
  let piecemeal = start;
  for (const header of headers) piecemeal = applyHeaders(piecemeal, [header], late);
  t.deepEqual(whole, piecemeal);
  t.is(whole.tip.height, headers.length);
  t.is(start.tip.height, 0, 'the state it came from is untouched');
});

test('mainnet headers across a change of difficulty are followed from an anchor inside the period', (t) => {
  const state = applyHeaders(anchored(mainnet.crossing.anchor), mainnet.crossing.headers.map(fromHex), late);
  t.is(state.tip.height, 830_592);
  t.deepEqual(state.tip.period, { time: state.tip.header.time, bits: state.tip.header.bits });
  t.not(state.tip.header.bits, mainnet.crossing.anchor.period.bits);
});

test('a wrong period in the anchor makes the next change of difficulty fail', (t) => {
  const { anchor, headers } = mainnet.crossing;
  const state = anchored({ ...anchor, period: { ...anchor.period, time: anchor.period.time - 86_400 } });
  t.is(
    problemOf(() => applyHeaders(state, headers.map(fromHex), late)),
    'bits',
  );
});

test('an anchor that contradicts itself is refused', (t) => {
  const genesis = fromHex(mainnet.genesis);
  const { time, bits } = parseHeader(genesis);
  const at = (header: Uint8Array, period: { time: number; bits: number }) => () =>
    startAt(network('bitcoin'), { height: 0, header, period });
  t.is(problemOf(at(genesis.with(76, 1), { time, bits })), 'anchor');
  t.is(problemOf(at(genesis, { time: time + 1, bits })), 'anchor');
  t.is(problemOf(at(genesis, { time, bits })), 'none');
});

test('forged headers are refused, each for its own reason, and change nothing', (t) => {
  const rules = cheap(network('bitcoin'));
  const state = grow(startAtGenesis(rules), 20);
  const { tip } = state;
  const now = clockAt(tip.header.time);
  const refused = (...headers: Uint8Array[]) => problemOf(() => applyHeaders(state, headers, now));
  t.is(refused(mine(rules, tip)), 'none');
  t.is(refused(mine(rules, tip, { work: false })), 'work');
  t.is(refused(mine(rules, tip, { bits: 0x207ffffe })), 'bits', 'not the bits of the period, though easy enough');
  t.is(refused(mine(rules, tip, { bits: 0x1f7fffff })), 'bits', 'nor harder ones');
  t.is(refused(mine(rules, tip, { previous: new Uint8Array(32).fill(7) })), 'unlinked');
  t.is(refused(mine(rules, tip, { time: tip.header.time - 5 * 600 })), 'too old', 'the median of the last eleven');
  t.is(refused(mine(rules, tip, { time: tip.header.time - 5 * 600 + 1 })), 'none');
  t.is(refused(mine(rules, tip, { time: tip.header.time + 7201 })), 'too new');
  t.is(refused(mine(rules, tip, { time: tip.header.time + 7200 })), 'none');
  const good = mine(rules, tip);
  t.is(refused(good, mine(rules, tip, { work: false })), 'work', 'a good one before it does not help');
  t.is(state.tip, tip);
  t.is(refused(...Array<Uint8Array>(maxHeaders + 1).fill(good)), 'too many');
});

test('a change of difficulty must be the computed one, and memory stays bounded', (t) => {
  const rules = cheap(network('bitcoin'));
  // Blocks half as far apart as they should be: the target halves.
  const before = grow(startAtGenesis(rules), 2015, 300);
  const now = clockAt(before.tip.header.time);
  const harder = mine(rules, before.tip, { time: before.tip.header.time + 300 });
  t.is(parseHeader(harder).bits, 0x203ff7de, '(2015 × 300) ÷ (2016 × 600) of 0x7fffff, rounded down');
  const same = mine(rules, before.tip, { bits: rules.limitBits });
  t.is(
    problemOf(() => applyHeaders(before, [same], now)),
    'bits',
  );
  const after = grow(applyHeaders(before, [harder], now), keptBlocks - 2016 + 5);
  t.is(after.blocks.size, keptBlocks);
  t.is(after.base.height, after.tip.height - keptBlocks + 1);
  t.is(after.tip.header.bits, 0x203ff7de);
});

test('where twenty minutes make a block easy, the next takes up the difficulty of the period', (t) => {
  for (const name of ['testnet', 'testnet4']) {
    const rules = cheap(network(name));
    const hard = grow(startAtGenesis(rules), 2016, 150);
    const { bits } = hard.tip.header;
    t.not(bits, rules.limitBits);
    const now = clockAt(hard.tip.header.time + 3600);
    const at = (gap: number, asked: number) => mine(rules, hard.tip, { time: hard.tip.header.time + gap, bits: asked });
    t.is(
      problemOf(() => applyHeaders(hard, [at(1200, rules.limitBits)], now)),
      'bits',
    );
    t.is(
      problemOf(() => applyHeaders(hard, [at(1201, bits)], now)),
      'bits',
    );
    const easy = applyHeaders(hard, [at(1201, rules.limitBits)], now);
    t.is(easy.tip.height, 2017);
    const next = grow(easy, 1, 600);
    t.is(next.tip.header.bits, bits);
    t.true(next.tip.work - easy.tip.work > easy.tip.work - hard.tip.work);
  }
});

test('BIP 94: a period ends with an easy block and its difficulty is kept; its first block may not go back in time', (t) => {
  const ending = (name: string) => {
    const rules = cheap(network(name));
    let state = grow(startAtGenesis(rules), 4030, 150);
    const late = mine(rules, state.tip, { time: state.tip.header.time + 1201 });
    state = applyHeaders(state, [late], clockAt(state.tip.header.time + 1201));
    t.is(state.tip.height, 4031);
    t.is(state.tip.header.bits, rules.limitBits);
    return { rules, state };
  };
  const old = ending('testnet');
  const kept = ending('testnet4');
  const timeOf = ({ state }: typeof old) => state.tip.header.time;
  const bitsOf = (header: Uint8Array) => parseHeader(header).bits;
  t.true(
    bitsOf(mine(old.rules, old.state.tip)) > bitsOf(mine(kept.rules, kept.state.tip)),
    'testnet3 starts again from the limit',
  );
  const back = (from: typeof old, seconds: number) => {
    const header = mine(from.rules, from.state.tip, { time: timeOf(from) - seconds });
    return problemOf(() => applyHeaders(from.state, [header], clockAt(timeOf(from))));
  };
  t.is(back(kept, 601), 'timewarp');
  t.is(back(kept, 600), 'none');
  t.is(back(old, 601), 'none');
});

test('random bytes as headers throw HeaderError or WireError, nothing else', (t) => {
  const state = applyHeaders(startAtGenesis(network('regtest')), regtest.headers.map(fromHex), late);
  const good = fromHex(regtest.headers.at(-1) ?? '');
  const harmless = (header: Uint8Array) => {
    try {
      applyHeaders(state, [header], late);
    } catch (error: unknown) {
      if (!(error instanceof HeaderError) && !(error instanceof WireError)) throw error;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), harmless));
  fc.assert(fc.property(fc.nat(79), fc.nat(255), (at, byte) => harmless(good.with(at, byte))));
  t.pass();
});
