/**
 * Inline mode: lightningd, signer and keys on one machine, no network. The executable bin/keyhold-hsmd-inline starts this
 * as its child and joins it by fd 3; the hsm_secret stands in lightningd's directory as usual, and is created if missing.
 * So do policy.toml (KEYHOLD_POLICY names another file, or `none`) and the signer's state, keyhold-state.
 */

import { Socket } from 'node:net';
import { toHex } from '../proto/bytes.ts';
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
import { StoreError } from '../signer/store/store.ts';
import { UsageError } from './command.ts';
import { callRpc } from './lightning_rpc.ts';
import { exists, type OpenPolicy, openPolicy, readPolicy } from './policy_of.ts';
import { software } from './version.ts';

const log = jsonLines((line) => process.stderr.write(line), Date.now, 'warn');
const entropy = systemEntropy;
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => {});

/** How long lightningd may take to pass a splice on, in milliseconds: the splice waits for it. */
const broadcastMs = 5_000;

const secp = backend(undefined, entropy);

/** Reads the policy and opens its state. What the operator has to put right is said in one line, without a stack. */
async function open(): Promise<OpenPolicy> {
  const { KEYHOLD_POLICY, KEYHOLD_NEW_STATE } = process.env;
  try {
    const file = await readPolicy(KEYHOLD_POLICY ?? ((await exists('policy.toml')) ? 'policy.toml' : undefined), secp);
    const begin = KEYHOLD_NEW_STATE === '1' || !(await exists('hsm_secret'));
    return await openPolicy({
      file,
      folder: 'keyhold-state',
      begin,
      owner: 'local',
      clock: systemClock,
      entropy,
      log,
      secp,
    });
  } catch (error: unknown) {
    if (!(error instanceof UsageError || error instanceof StoreError)) throw error;
    process.stderr.write(`keyhold: ${error.message}\n`);
    process.exit(1);
  }
}

const opened = await open();
const secret = secretFile({ path: 'hsm_secret', passphrase: undefined, create: true, entropy });
const signer = new Signer({ secp, secret, policy: opened.policy });
/** lightningd's own socket stands in its directory, where this runs, unless `rpc-file` names another place. */
const broadcast = (transaction: Uint8Array) =>
  callRpc(
    'lightning-rpc',
    { method: 'sendrawtransaction', params: { tx: toHex(transaction), allowhighfees: false } },
    AbortSignal.timeout(broadcastMs),
  );
const relay = new Relay({ patienceFor, ...relayDefaults, clock: systemClock, log, broadcast });
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
await opened[Symbol.asyncDispose]();
process.exit(0);
