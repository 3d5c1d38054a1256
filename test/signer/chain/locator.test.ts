import test from 'ava';
import { equalBytes } from '../../../proto/bytes.ts';
import { startAtGenesis, walkBack } from '../../../signer/chain/chain.ts';
import { startOf } from '../../../signer/chain/checkpoints.ts';
import { locatorOf } from '../../../signer/chain/locator.ts';
import { networks } from '../../../signer/chain/networks.ts';
import { grow, mainnet, network } from './mining.ts';

const start = startAtGenesis(network('regtest'));

test('the tip, the nine before it, then ever sparser ones, and the oldest kept', (t) => {
  const state = grow(start, 100);
  const heights = locatorOf(state).map(
    (hash) => [...walkBack(state.blocks, state.tip)].find(({ header }) => equalBytes(header.hash, hash))?.height,
  );
  t.deepEqual(heights, [100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 89, 85, 77, 61, 29, 0]);
  t.is(locatorOf(start).length, 1);
});

test('a signer starts from a block of each network that has its work; on mainnet one that later headers build on', (t) => {
  for (const each of networks) t.is(startOf(each).network, each);
  const { height, header, period } = mainnet.crossing.anchor;
  const { tip } = startOf(network('bitcoin'));
  t.is(tip.height, height);
  t.is(Buffer.from(tip.header.bytes).toString('hex'), header);
  t.deepEqual(tip.period, period);
});
