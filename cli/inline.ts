/**
 * Inline mode: lightningd, signer and keys on one machine, no network. The executable bin/keyhold-hsmd-inline starts this
 * as its child and joins it by fd 3; the hsm_secret stands in lightningd's directory as usual, and is created if missing.
 */

import { Socket } from 'node:net';
import { systemClock } from '../proto/clock.ts';
import { systemEntropy } from '../proto/entropy.ts';
import { jsonLines } from '../proto/log.ts';
import { HostedNode } from '../server/hosted_node.ts';
import { localPort } from '../server/local_port.ts';
import { patienceFor } from '../server/refusal.ts';
import { Relay, relayDefaults } from '../server/relay.ts';
import { ShimConnection } from '../server/shim/connection.ts';
import { Signer } from '../signer/dispatch.ts';
import { backend } from '../signer/node/backends.ts';
import { secretFile } from '../signer/node/secret_file.ts';
import { noPolicy } from '../signer/policy/policy.ts';
import { software } from './version.ts';

const log = jsonLines((line) => process.stderr.write(line), Date.now, 'warn');
const entropy = systemEntropy;
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => {});

const secret = secretFile({ path: 'hsm_secret', passphrase: undefined, create: true, entropy });
const signer = new Signer({ secp: backend(undefined, entropy), secret, policy: noPolicy });
const relay = new Relay({ patienceFor, ...relayDefaults, clock: systemClock, log });
relay.signers.attach(
  localPort({
    name: 'inline',
    software,
    session: 'inline',
    handle: (client, bytes) => signer.handle(client, bytes),
  }),
);

const shim = await ShimConnection.open(new Socket({ fd: 3 }), stop.signal);
if (shim !== undefined) await new HostedNode({ name: 'inline', relay, entropy, log }).serve(shim);
process.exit(0);
