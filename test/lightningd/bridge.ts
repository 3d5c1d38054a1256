/**
 * Host and signer of one node, with mutual TLS between them, for the stand-in that `bridge-hsmd` becomes:
 * `node bridge.js DIRECTORY PID`. The socket and the certificates are in DIRECTORY, which is removed in the end; the
 * hsm_secret is in the working directory, as hsmd has it. Ends with the process PID. How far apart the two are and what
 * the host may answer early, the environment says: LINK_RTT_MS (milliseconds), KEYHOLD_JOURNAL (a folder),
 * KEYHOLD_UNSIGNED_PENALTIES=1, KEYHOLD_ALWAYS_ASK=1.
 */

import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf } from '../../cli/directory.ts';
import { createCertificates } from '../../cli/init.ts';
import { toHex } from '../../proto/bytes.ts';
import { sleep, systemClock } from '../../proto/clock.ts';
import { BitcoinRpc, rpcAccess } from '../../server/bitcoin_rpc.ts';
import { BitcoindSource } from '../../server/bitcoind_source.ts';
import { Host } from '../../server/host.ts';
import { SlowLink } from '../bench/slow_link.ts';
import { parts, signHere } from './signer_here.ts';

/** What a stand-in calls its node where it is not told a name. */
const node = 'node';
const lookEveryMs = 200;

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

/** The bitcoind that the lightningd behind a stand-in was started with, as its command line says. */
function bitcoindOf(pid: number, signal: AbortSignal): BitcoinRpc | undefined {
  const [, parent = ''] = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  const args = readFileSync(`/proc/${parent}/cmdline`, 'utf8').split('\0');
  const option = (name: string) => args.find((arg) => arg.startsWith(`--bitcoin-${name}=`))?.split('=')[1];
  const [user, password, port] = [option('rpcuser'), option('rpcpassword'), option('rpcport')];
  if (user === undefined || password === undefined || port === undefined) return undefined;
  return new BitcoinRpc(rpcAccess(`http://${user}:${password}@127.0.0.1:${port}`, undefined), signal);
}

async function serve(directory: string, pid: number): Promise<void> {
  await createCertificates(directory, node, [], 1);
  const identity = await identityOf(directory, 'host');
  const sockets = [join(directory, 'keyhold.sock')];
  const stop = new AbortController();
  const rpc = bitcoindOf(pid, stop.signal);
  using chain = rpc && new BitcoindSource({ ...parts, rpc, pollMs: 500 });
  const broadcast = rpc && ((transaction: Uint8Array) => rpc.call('sendrawtransaction', toHex(transaction)));
  const kept = { copies: 'keyhold-copies', ...(chain && { chain }), ...(broadcast && { broadcast }) };
  const { KEYHOLD_JOURNAL, KEYHOLD_ALWAYS_ASK, KEYHOLD_UNSIGNED_PENALTIES, LINK_RTT_MS } = process.env;
  const answers = {
    journal: KEYHOLD_JOURNAL ?? 'keyhold-journal',
    alwaysAsk: KEYHOLD_ALWAYS_ASK === '1',
    unsignedPenalties: KEYHOLD_UNSIGNED_PENALTIES === '1',
  };
  await using host = await Host.open({ ...parts, ...kept, ...answers, sockets, listen: '127.0.0.1:0', identity });
  await using link = await SlowLink.open({ to: host.port, rttMs: Number(LINK_RTT_MS ?? 0) });
  const address = `127.0.0.1:${LINK_RTT_MS === undefined ? host.port : link.port}`;
  const attached = signHere(address, await identityOf(directory, 'signer'), stop.signal);
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
