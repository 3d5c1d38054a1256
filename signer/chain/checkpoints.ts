/** Where a signer begins to follow a network's chain: a block with so much work behind it that it will stay. */

import { fromHex } from '../../proto/bytes.ts';
import { type ChainState, startAt, startAtGenesis } from './chain.ts';
import type { Network } from './networks.ts';

/** By network; on the others block 0 is near enough. */
const checkpoints = new Map([
  [
    'bitcoin',
    {
      height: 830_575,
      header: fromHex(
        '00209024edc705ccb94b1bdf3264bafb2e1c4b61756324934c090300000000000000000080db44e03a3f4faff0205d938bc04877b578212c1f83b2b20c0e4b466231bdd8f7fbcd655dba03173f1633c1',
      ),
      period: { time: 1_706_888_526, bits: 0x1703ba5d },
    },
  ],
]);

/** The chain as a new signer knows it. */
export function startOf(network: Network): ChainState {
  const checkpoint = checkpoints.get(network.name);
  return checkpoint === undefined ? startAtGenesis(network) : startAt(network, checkpoint);
}
