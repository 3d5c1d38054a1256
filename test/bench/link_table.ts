/**
 * `npm run bench:link [-- OPTIONS]`: how fast a real lightningd is whose signer is so many milliseconds away, as a table;
 * beside it the same with the real lightning_hsmd. Host and signer run before lightningd does, as processes of their
 * own; the peer has a real hsmd.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bin } from '../../cli/bridge_processes.ts';
import { UsageError } from '../../cli/command.ts';
import { Bitcoind } from '../../cli/regtest_bitcoind.ts';
import { Lightningd } from '../../cli/regtest_lightningd.ts';
import { findPrograms, type RegtestPrograms } from '../../cli/regtest_programs.ts';
import { openLinked, type WayToAnswer } from '../lightningd/linked.ts';
import { type Measures, measure, type Repeats } from './link_measures.ts';

const usage = `Measures a real lightningd on regtest whose signer is some milliseconds away.

Usage: npm run bench:link [-- OPTIONS]

  --rtt MS[,MS…]     round trip times of the link (default: 0,50,100,200)
  --answers W[,W…]   how much the host answers early: asked (every request is a round trip), acknowledged (answers
                     ahead and acknowledgements), unsigned (penalties for watchtowers unsigned, too); also ahead
                     (default: asked,acknowledged,unsigned)
  --policy P         the signer's policy: none, default, or a file (default: none)
  --jitter MS        at most so much more for a piece of data (default: 0)
  --quick            each thing once or twice
  --json             JSON, for programs
  --help             this text

Needs Core Lightning v26.06 and Bitcoin Core: CLN (a built Core Lightning tree) and BITCOIN (a folder with bitcoind and
bitcoin-cli) in the environment, or the programs on the PATH. Takes some ten minutes; --quick --rtt 100 one.
Times are medians in seconds. On a machine that does something else they say little.`;

const columns = ['start', 'pay', 'receive', 'burst', 'open'] as const;
const ways: readonly WayToAnswer[] = ['asked', 'ahead', 'acknowledged', 'unsigned'];
/** Single payments differ by a tenth of a second, whatever the link: of a few the median says nothing. */
const thorough = { start: 3, pay: 9, receive: 9, burst: 3, open: 3 } as const;
const quick = { start: 2, pay: 3, receive: 2, burst: 1, open: 1 } as const;
/** Where every request is a round trip of so many ms or more, a start takes longer than anybody wants to wait twice. */
const tedious = 20;
const patient = { start: 1, pay: 5, receive: 5, burst: 1, open: 1 } as const;

interface Row extends Measures {
  readonly rttMs: number;
  readonly answers: WayToAnswer | 'lightning_hsmd';
}

interface Wanted {
  readonly rtts: readonly number[];
  readonly answers: readonly WayToAnswer[];
  readonly policy: string | undefined;
  readonly jitterMs: number;
  readonly repeats: Repeats;
  readonly json: boolean;
}

function numberOf(text: string, name: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 10_000)) throw new UsageError(`--${name}: expected milliseconds, got ${text}`);
  return value;
}

/** Undefined where help was asked for. @throws UsageError */
function wanted(args: readonly string[]): Wanted | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rtt: { type: 'string', default: '0,50,100,200' },
      answers: { type: 'string', default: 'asked,acknowledged,unsigned' },
      policy: { type: 'string', default: 'none' },
      jitter: { type: 'string', default: '0' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const answers = values.answers.split(',').map((name) => {
    const way = ways.find((known) => known === name);
    if (way === undefined) throw new UsageError(`--answers: expected some of ${ways.join(', ')}, got ${name}`);
    return way;
  });
  return {
    rtts: values.rtt.split(',').map((text) => numberOf(text, 'rtt')),
    answers,
    policy: values.policy === 'default' ? undefined : values.policy,
    jitterMs: numberOf(values.jitter, 'jitter'),
    repeats: values.quick ? quick : thorough,
    json: values.json,
  };
}

function line(cells: readonly string[]): string {
  const widths = [6, 16];
  return cells.map((cell, at) => (at === 1 ? cell.padEnd(16) : cell.padStart(widths[at] ?? 9))).join('  ');
}

function lineOf({ rttMs, answers, ...times }: Row): string {
  return line([`${rttMs} ms`, answers, ...columns.map((column) => times[column]?.toFixed(3) ?? '-')]);
}

interface Stage {
  readonly programs: RegtestPrograms;
  readonly bitcoind: Bitcoind;
  readonly peer: Lightningd;
  readonly root: string;
}

/** Everything measured, row by row. */
async function* rows({ programs, bitcoind, peer, root }: Stage, asked: Wanted): AsyncGenerator<Row> {
  const { rtts, answers, policy, jitterMs, repeats } = asked;
  const common = { name: 'measured', programs, bitcoind, lookEveryMs: 20 };
  if (programs.hsmd !== undefined) {
    const real = { ...common, hsmd: programs.hsmd, directory: join(root, 'real') };
    yield { rttMs: 0, answers: 'lightning_hsmd', ...(await measure(real, peer, repeats)) };
  }
  const cookie = join(bitcoind.directory, 'regtest/.cookie');
  const chain = ['--bitcoin-rpc', `http://127.0.0.1:${bitcoind.rpcPort}`, '--bitcoin-cookie', cookie];
  for (const rttMs of rtts)
    for (const way of answers) {
      const name = `${rttMs}-${way}`;
      const hostOptions = policy === 'none' ? [] : chain;
      const link = { root: join(root, name), rttMs, jitterMs, answers: way, policy, hostOptions };
      await using linked = await openLinked(link, bitcoind.signal);
      const env = { ...linked.env, KEYHOLD_LIGHTNINGD_VERSION: programs.version };
      const options = { ...common, hsmd: bin('keyhold-hsmd'), env, directory: join(root, `n-${name}`) };
      const often = way === 'asked' && rttMs >= tedious ? patient : repeats;
      yield { rttMs, answers: way, ...(await measure(options, peer, often)) };
    }
}

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const asked = wanted(args);
  if (asked === undefined) {
    console.log(usage);
    return 0;
  }
  const programs = await findPrograms(process.env);
  const root = await mkdtemp(join(tmpdir(), 'kh-'));
  try {
    await using bitcoind = await Bitcoind.start(programs, join(root, 'bitcoind'), signal);
    const other = { name: 'peer', programs, bitcoind, directory: join(root, 'peer'), lookEveryMs: 20 };
    await using peer = await Lightningd.start(other);
    const measured: Row[] = [];
    if (!asked.json) console.log(line(['trip', 'answers', 'start', 'pay', 'receive', '20 at once', 'open']));
    for await (const row of rows({ programs, bitcoind, peer, root }, asked)) {
      measured.push(row);
      if (!asked.json) console.log(lineOf(row));
    }
    if (asked.json)
      console.log(JSON.stringify({ lightningd: programs.version, policy: asked.policy ?? 'default', measured }));
    return 0;
  } finally {
    await rm(root, { recursive: true, force: true, maxRetries: 3 });
  }
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort());
try {
  process.exitCode = await run(process.argv.slice(2), stop.signal);
} catch (error: unknown) {
  console.error(
    stop.signal.aborted ? 'stopped' : `bench:link: ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exitCode = stop.signal.aborted ? 130 : 2;
}
