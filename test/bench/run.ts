/**
 * `npm run bench [-- --quick] [-- --noble]`: what Keyhold costs, as tables. `--quick` measures less, `--noble` the slow
 * JavaScript secp256k1 too.
 */

import { parseArgs } from 'node:util';
import { cpu } from './cpu.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, noble: { type: 'boolean' } } });
const quick = values.quick === true;

await cpu({ seconds: quick ? 3 : 15, backends: ['native', 'tiny', ...(values.noble === true ? ['noble'] : [])] });
