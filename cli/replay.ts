/** `keyhold replay`: the proof that every byte is the real hsmd's. */

import { systemEntropy } from '../proto/entropy.ts';
import { backend } from '../signer/node/backends.ts';
import { command, UsageError } from './command.ts';
import { explain, type OnAnswer, play } from './play.ts';
import { loadRecordings } from './recordings.ts';
import { bridgeSeats, inlineSeats, throughExecutables } from './replay_executables.ts';
import { inProcess } from './replay_inprocess.ts';
import type { Target } from './replay_target.ts';

const differencesShown = 10;

function targetOf(through: string | undefined, secp: string | undefined): Target {
  if (through === undefined) return inProcess(backend(secp, systemEntropy));
  if (through === 'inline') return throughExecutables(inlineSeats);
  if (through === 'bridge') return throughExecutables(bridgeSeats);
  throw new UsageError(`--through: expected inline or bridge, got ${through}`);
}

/** One line that rewrites itself, where a person watches. */
function progress(total: number): OnAnswer {
  let done = 0;
  let shown = 0;
  return (session) => {
    done++;
    const now = Date.now();
    if (!process.stderr.isTTY || (now - shown < 100 && done < total)) return;
    shown = now;
    process.stderr.write(`\r\x1b[K${done}/${total}  ${session.name}${done === total ? '\r\x1b[K' : ''}`);
  };
}

export const replay = command({
  name: 'replay',
  summary: 'Play recordings of a real lightning_hsmd to the signer and compare every byte.',
  operands: 'PATH…',
  explanation:
    'PATH is a folder or a file: traces (NODE.jsonl[.gz] with their manifest.json), requests.json[.gz], secrets.json[.gz].\n' +
    'The last line printed is `N requests, E equal, D different`; the exit code is 1 where D is not 0. The first\n' +
    'differences are shown field by field.',
  options: {
    through: {
      value: 'WAY',
      means: 'inline or bridge: through the real executables and sockets, in lightningd’s place',
    },
    secp: {
      value: 'NAME',
      means: 'secp256k1 by native, tiny or noble, in this process (default: the fastest there is)',
    },
  },
  async run(given, signal) {
    if (given.operands.length === 0)
      throw new UsageError('replay: expected at least one PATH; see: keyhold replay --help');
    const sessions = await loadRecordings(given.operands);
    await using target = targetOf(given.option('through'), given.option('secp'));
    const total = sessions.reduce((sum, session) => sum + session.requests.length, 0);
    const { requests, different } = await play(sessions, target, progress(total), signal);
    for (const difference of different.slice(0, differencesShown)) console.log(explain(difference));
    if (different.length > differencesShown) console.log(`… and ${different.length - differencesShown} more`);
    console.log(`${requests} requests, ${requests - different.length} equal, ${different.length} different`);
    return different.length === 0 ? 0 : 1;
  },
});
