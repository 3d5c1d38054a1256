/** `node link_signer.js CERTIFICATES ADDRESS`: the signer of the node whose hsm_secret is in the working directory. */

import { identityOf } from '../../cli/directory.ts';
import { signHere } from './signer_here.ts';

const [certificates, address] = process.argv.slice(2);
if (certificates === undefined || address === undefined) throw new Error('expected CERTIFICATES ADDRESS');
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort());
await signHere(address, await identityOf(certificates, 'signer'), stop.signal);
process.exit(0);
