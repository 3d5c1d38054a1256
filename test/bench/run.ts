/**
 * `npm run bench [-- --quick] [-- --noble]`: what Keyhold costs, as tables. `--quick` measures less, `--noble` the slow
 * JavaScript secp256k1 too.
 */

import { parseArgs } from 'node:util';
import { cpu } from './cpu.ts';
import { link } from './link.ts';
import { growth, idleShims } from './memory.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, noble: { type: 'boolean' } } });
const quick = values.quick === true;
const secpBackends = values.noble === true ? ['native', 'tiny', 'noble'] : ['native', 'tiny'];

await cpu({ seconds: quick ? 4 : 12, backends: secpBackends });
console.log('\nThe way from lightningd to the signer and back, over loopback with mutual TLS');
await link(quick ? 500 : 4000);
console.log('\nMemory');
await idleShims(1000, 120);
await growth(quick ? 10_000 : 100_000);
