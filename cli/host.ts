/** `keyhold host`: the cloud side. Shims connect to its unix socket, signers to its port. */

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { toHex } from '../proto/bytes.ts';
import { systemClock } from '../proto/clock.ts';
import { systemEntropy } from '../proto/entropy.ts';
import { errorText } from '../proto/log.ts';
import { BitcoinRpc, rpcAccess } from '../server/bitcoin_rpc.ts';
import { BitcoindSource } from '../server/bitcoind_source.ts';
import { Host } from '../server/host.ts';
import { lockFolder } from '../signer/node/folder_lock.ts';
import { command, UsageError } from './command.ts';
import { dirOption, identityOf } from './directory.ts';
import { logAt, logOption, stopped } from './logging.ts';

/** The bitcoind that the options name; undefined for none. @throws UsageError */
function bitcoindOf(url: string | undefined, cookie: string | undefined, signal: AbortSignal): BitcoinRpc | undefined {
  // A URL with a password is better here than among the arguments, which every user of the machine can read.
  const given = url ?? process.env['KEYHOLD_BITCOIN_RPC'];
  if (given === undefined) return undefined;
  try {
    return new BitcoinRpc(rpcAccess(given, cookie), signal);
  } catch (error: unknown) {
    if (error instanceof TypeError) throw new UsageError(`--bitcoin-rpc: ${error.message}`);
    throw error;
  }
}

/** Where the journal is; undefined for none. @throws UsageError */
function journalFolder(given: string | undefined, none: boolean, dir: string): string | undefined {
  if (given !== undefined && none) throw new UsageError('expected --journal or --no-journal, got both');
  return none ? undefined : resolve(given ?? join(dir, 'journal'));
}

/** Two hosts with one folder would each lose what the other writes. @throws UsageError */
async function hold(option: 'journal' | 'copies', folder: string, way: string): Promise<AsyncDisposable> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return await lockFolder(folder, systemEntropy, { name: 'host', why: `one folder of --${option} serves one host` });
  } catch (error: unknown) {
    throw new UsageError(`--${option}: ${errorText(error)} (${way})`);
  }
}

export const host = command({
  name: 'host',
  summary: 'Serve nodes: take requests from lightningd, have them answered by the signer.',
  explanation:
    'Start lightningd with --subdaemon=hsmd:…/bin/keyhold-hsmd and KEYHOLD_SOCKET set to this host’s socket (and KEYHOLD_NODE\n' +
    'to the node’s name, where there is more than one). Requests wait while no signer is attached; log and status show them.',
  options: {
    dir: dirOption,
    socket: { value: 'PATH', means: 'the unix socket for lightningd’s stand-in', default: 'keyhold.sock' },
    listen: { value: 'HOST:PORT', means: 'where signers connect', default: '127.0.0.1:9737' },
    journal: {
      value: 'DIR',
      means: 'keeps what was answered before the signer decided it (default: journal beside the certificates)',
    },
    'no-journal': { means: 'keep no journal: commitments and revocations wait for the signer too (docs/latency.md)' },
    'unsigned-penalties': { means: 'do not wait for the penalty transactions of watchtowers: they go out unsigned' },
    'always-ask': { means: 'let every request wait for the signer’s own answer: to see what answers ahead save' },
    copies: {
      value: 'DIR',
      means: 'where copies of the signers’ states are kept (default: copies beside the certificates)',
    },
    'bitcoin-rpc': {
      value: 'URL',
      means: 'a bitcoind to know the chain from and send splices to: http://HOST:PORT, with --bitcoin-cookie',
    },
    'bitcoin-cookie': { value: 'FILE', means: 'bitcoind’s .cookie, or a file with one line user:password' },
    nodes: { value: 'NAME[,NAME…]', means: 'serve these nodes only (default: whichever come)' },
    log: logOption,
  },
  async run(given, signal) {
    const nodes = given.option('nodes')?.split(',');
    const log = logAt(given.option('log'));
    const dir = given.option('dir') ?? '';
    const identity = await identityOf(dir, 'host');
    const journal = journalFolder(given.option('journal'), given.has('no-journal'), dir);
    const copies = resolve(given.option('copies') ?? join(dir, 'copies'));
    await using _journal =
      journal === undefined
        ? undefined
        : await hold('journal', journal, '--journal DIR keeps it elsewhere, --no-journal does without');
    await using _copies = await hold('copies', copies, '--copies DIR keeps them elsewhere');
    const rpc = bitcoindOf(given.option('bitcoin-rpc'), given.option('bitcoin-cookie'), signal);
    using chain = rpc && new BitcoindSource({ rpc, clock: systemClock, log });
    await using running = await Host.open({
      sockets: [resolve(given.option('socket') ?? '')],
      listen: given.option('listen') ?? '',
      identity,
      clock: systemClock,
      entropy: systemEntropy,
      log,
      copies,
      ...(chain && { chain }),
      ...(rpc && { broadcast: (transaction: Uint8Array) => rpc.call('sendrawtransaction', toHex(transaction)) }),
      ...(nodes && { nodes }),
      ...(journal !== undefined && { journal }),
      unsignedPenalties: given.has('unsigned-penalties'),
      alwaysAsk: given.has('always-ask'),
    });
    // For whoever started this with port 0 and needs to know which one it became.
    console.log(JSON.stringify({ listening: running.port }));
    await stopped(signal);
    return 0;
  },
});
