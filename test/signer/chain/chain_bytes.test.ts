import test from 'ava';
import fc from 'fast-check';
import { fromHex } from '../../../proto/bytes.ts';
import { WireError } from '../../../proto/hsmd/codec.ts';
import { startAtGenesis } from '../../../signer/chain/chain.ts';
import { decodeChain, encodeChain } from '../../../signer/chain/chain_bytes.ts';
import { applyHeaders, keptBlocks } from '../../../signer/chain/headers.ts';
import { clockAt, grow, network, regtest } from './mining.ts';

const late = clockAt(2_000_000_000);
const start = startAtGenesis(network('regtest'));
const forked = applyHeaders(
  applyHeaders(start, regtest.headers.map(fromHex), late),
  regtest.reorganisation.headers.map(fromHex),
  late,
);

test('a state with forks comes back the same from its bytes, and grows on', (t) => {
  const read = decodeChain(encodeChain(forked));
  t.deepEqual(read.tip, forked.tip);
  t.deepEqual(read.base, forked.base);
  t.deepEqual([...read.blocks.keys()].sort(), [...forked.blocks.keys()].sort());
  t.is(grow(read, 2).tip.work, forked.tip.work + 4n);
});

test('work and period survive the loss of the blocks they came from', (t) => {
  const long = grow(start, keptBlocks + 10);
  const read = decodeChain(encodeChain(long));
  t.is(read.base.height, 11);
  t.is(read.tip.work, long.tip.work);
  t.deepEqual(read.tip.period, long.tip.period);
  t.true(encodeChain(long).length < 200_000);
});

test('damaged bytes throw WireError, nothing else', (t) => {
  const bytes = encodeChain(forked);
  const harmless = (damaged: Uint8Array) => {
    try {
      decodeChain(damaged);
    } catch (error: unknown) {
      if (!(error instanceof WireError)) throw error;
    }
  };
  for (const length of [0, 1, 33, 70, 150, bytes.length - 1])
    t.throws(() => decodeChain(bytes.subarray(0, length)), { instanceOf: WireError });
  t.throws(() => decodeChain(Uint8Array.of(...bytes, 0)), { instanceOf: WireError });
  fc.assert(fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, byte) => harmless(bytes.with(at, byte))));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), harmless));
});
