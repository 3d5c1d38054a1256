/**
 * Host and signer of one node, with mutual TLS between them, for the stand-in that `bridge-hsmd` becomes:
 * `node bridge.js DIRECTORY PID`. The socket and the certificates are in DIRECTORY, which is removed in the end; the
 * hsm_secret is in the working directory, as hsmd has it. Ends with the process PID.
 */

import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf } from '../../cli/directory.ts';
import { createCertificates } from '../../cli/init.ts';
import { exists, type OpenPolicy, openPolicy, readPolicy } from '../../cli/policy_of.ts';
import { sleep, systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { jsonLines } from '../../proto/log.ts';
import { BitcoinRpc, rpcAccess } from '../../server/bitcoin_rpc.ts';
import { BitcoindSource } from '../../server/bitcoind_source.ts';
import { Host } from '../../server/host.ts';
import { Signer } from '../../signer/dispatch.ts';
import { backend } from '../../signer/node/backends.ts';
import { keepAttached } from '../../signer/node/link.ts';
import { secretFile } from '../../signer/node/secret_file.ts';
import { Session } from '../../signer/session.ts';

/** What a stand-in calls its node where it is not told a name. */
const node = 'node';
const lookEveryMs = 200;
const parts = {
  clock: systemClock,
  entropy: systemEntropy,
  log: jsonLines((line) => process.stderr.write(line), Date.now),
};
const secp = backend(undefined, systemEntropy);

/** Resolves when a process is gone; one that nobody waited for yet is gone too. */
async function ended(pid: number): Promise<void> {
  const runs = () => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  };
  const forever = new AbortController().signal;
  while (runs()) await sleep(systemClock, lookEveryMs, forever);
}

/** As the inline signer has it (cli/inline.ts): whoever calls this lightningd is the owner. */
async function policyHere(): Promise<OpenPolicy> {
  const { KEYHOLD_POLICY, KEYHOLD_NEW_STATE } = process.env;
  return openPolicy({
    ...parts,
    secp,
    file: await readPolicy(KEYHOLD_POLICY, secp),
    folder: 'keyhold-state',
    begin: KEYHOLD_NEW_STATE === '1' || !(await exists('hsm_secret')),
    owner: 'local',
    link: { chainRequired: false },
  });
}

/** The bitcoind that the lightningd behind a stand-in was started with, as its command line says. */
function bitcoindOf(pid: number, signal: AbortSignal): BitcoindSource | undefined {
  const [, parent = ''] = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  const args = readFileSync(`/proc/${parent}/cmdline`, 'utf8').split('\0');
  const option = (name: string) => args.find((arg) => arg.startsWith(`--bitcoin-${name}=`))?.split('=')[1];
  const [user, password, port] = [option('rpcuser'), option('rpcpassword'), option('rpcport')];
  if (user === undefined || password === undefined || port === undefined) return undefined;
  const rpc = new BitcoinRpc(rpcAccess(`http://${user}:${password}@127.0.0.1:${port}`, undefined), signal);
  return new BitcoindSource({ ...parts, rpc, pollMs: 500 });
}

async function serve(directory: string, pid: number): Promise<void> {
  await createCertificates(directory, node, [], 1);
  const identity = await identityOf(directory, 'host');
  const sockets = [join(directory, 'keyhold.sock')];
  const stop = new AbortController();
  using chain = bitcoindOf(pid, stop.signal);
  const kept = { copies: 'keyhold-copies', ...(chain && { chain }) };
  await using host = await Host.open({ ...parts, ...kept, sockets, listen: '127.0.0.1:0', identity });
  const secret = secretFile({ path: 'hsm_secret', passphrase: undefined, create: true, entropy: systemEntropy });
  await using opened = await policyHere();
  const signer = new Signer({ secp, secret, policy: opened.policy });
  const about = { id: systemEntropy(16), name: 'test', software: 'test', signal: stop.signal };
  const session = new Session({ ...parts, ...about, signer, companions: opened.companions });
  const address = `127.0.0.1:${host.port}`;
  const attached = keepAttached(
    { ...parts, session, address, identity: await identityOf(directory, 'signer') },
    stop.signal,
  );
  await ended(pid);
  stop.abort();
  await attached;
}

const [directory, pid] = process.argv.slice(2);
if (directory === undefined || pid === undefined) throw new Error('expected a directory and the pid of a stand-in');
try {
  await serve(directory, Number(pid));
} finally {
  await rm(directory, { recursive: true, force: true });
}
