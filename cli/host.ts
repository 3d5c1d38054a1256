/** `keyhold host`: the cloud side. Shims connect to its unix socket, signers to its port. */

import { resolve } from 'node:path';
import { systemClock } from '../proto/clock.ts';
import { systemEntropy } from '../proto/entropy.ts';
import { Host } from '../server/host.ts';
import { command } from './command.ts';
import { dirOption, identityOf } from './directory.ts';
import { logAt, logOption, stopped } from './logging.ts';

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
      means: 'answer lightningd at once where that is safe, and keep here what the signer has not decided (docs/latency.md)',
    },
    'unsigned-penalties': { means: 'do not wait for the penalty transactions of watchtowers: they go out unsigned' },
    nodes: { value: 'NAME[,NAME…]', means: 'serve these nodes only (default: whichever come)' },
    log: logOption,
  },
  async run(given, signal) {
    const nodes = given.option('nodes')?.split(',');
    const journal = given.option('journal');
    await using running = await Host.open({
      sockets: [resolve(given.option('socket') ?? '')],
      listen: given.option('listen') ?? '',
      identity: await identityOf(given.option('dir') ?? '', 'host'),
      clock: systemClock,
      entropy: systemEntropy,
      log: logAt(given.option('log')),
      ...(nodes && { nodes }),
      ...(journal !== undefined && { journal: resolve(journal) }),
      unsignedPenalties: given.has('unsigned-penalties'),
    });
    // For whoever started this with port 0 and needs to know which one it became.
    console.log(JSON.stringify({ listening: running.port }));
    await stopped(signal);
    return 0;
  },
});
