/** `keyhold replay`: the proof that every byte is the real hsmd's. */

import { systemEntropy } from '../proto/entropy.ts';
import { backend } from '../signer/node/backends.ts';
import { command, UsageError } from './command.ts';
import { explain, type OnAnswer, play } from './play.ts';
import { readPolicy } from './policy_of.ts';
import { loadRecordings } from './recordings.ts';
import { judge } from './replay_exceptions.ts';
import { bridgeSeats, inlineSeats, throughExecutables } from './replay_executables.ts';
import { inProcess } from './replay_inprocess.ts';
import { policies } from './replay_policy.ts';
import type { Broken, Outcome, Target } from './replay_target.ts';

const differencesShown = 10;

type Answered = Outcome | Broken;

/** The executables to go through; undefined for none, in this process. */
function seatsOf(through: string | undefined) {
  if (through === undefined) return undefined;
  if (through === 'inline') return inlineSeats;
  if (through === 'bridge') return bridgeSeats;
  throw new UsageError(`--through: expected inline or bridge, got ${through}`);
}

/** One line that rewrites itself, where a person watches. */
function progress(total: number): OnAnswer<Answered> {
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
    policy: {
      value: 'FILE|none',
      means: 'judge by this policy, its owner saying yes to everything; in this process',
      default: 'none',
    },
    secp: {
      value: 'NAME',
      means: 'secp256k1 by native, tiny or noble, in this process (default: the fastest there is)',
    },
  },
  async run(given, signal) {
    if (given.operands.length === 0)
      throw new UsageError('replay: expected at least one PATH; see: keyhold replay --help');
    const seats = seatsOf(given.option('through'));
    const sessions = await loadRecordings(given.operands);
    if (sessions.length === 0)
      throw new UsageError(`replay: expected recordings in ${given.operands.join(', ')}, found none`);
    const secp = backend(given.option('secp'), systemEntropy);
    const file = await readPolicy(given.option('policy'), secp);
    const judged = file.policy !== 'none';
    if (judged && seats !== undefined)
      throw new UsageError(
        '--policy: expected none with --through, whose clock is the real one: recorded invoices have expired',
      );
    await using target: Target<Answered> =
      seats === undefined ? inProcess(secp, policies(file, sessions, secp)) : throughExecutables(seats);
    const total = sessions.reduce((sum, session) => sum + session.requests.length, 0);
    const played = await play(sessions, target, progress(total), signal);
    const { different, excused, missed } = judged
      ? judge(sessions, played.different)
      : { ...played, excused: [], missed: [] };
    for (const difference of different.slice(0, differencesShown)) console.log(explain(difference));
    if (different.length > differencesShown) console.log(`… and ${different.length - differencesShown} more`);
    for (const { why, times } of excused) console.log(`not held against it, ${times} times: ${why}`);
    for (const miss of missed) console.log(miss);
    const bad = different.length + missed.length;
    const others = excused.reduce((sum, { times }) => sum + times, 0);
    const equal = played.requests - others - bad;
    console.log(
      `${played.requests} requests, ${equal} equal, ${bad} different${others > 0 ? `, ${others} as they must be` : ''}`,
    );
    return bad === 0 ? 0 : 1;
  },
});
