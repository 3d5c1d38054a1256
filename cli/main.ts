/** The one CLI: finds the command, reads its arguments, runs it, and says what went wrong in one line. */

import { approvals, approve } from './approve.ts';
import { type Command, help, parse, UsageError } from './command.ts';
import { host } from './host.ts';
import { init } from './init.ts';
import { policy } from './policy_command.ts';
import { recover } from './recover.ts';
import { replay } from './replay.ts';
import { rune } from './rune.ts';
import { signer } from './signer.ts';
import { status } from './status.ts';
import { trace } from './trace.ts';

// Options are read under each command's own names; the table only needs to know that there are some.
const commands = [
  init,
  host,
  signer,
  recover,
  approvals,
  approve,
  policy,
  rune,
  status,
  trace,
  replay,
] as unknown as readonly Command[];

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  return [
    'keyhold: a Lightning node in the cloud whose keys stay in your hand\n',
    'Usage: keyhold COMMAND [options]\n',
    'Commands:',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`),
    '\n`keyhold COMMAND --help` explains one.',
  ].join('\n');
}

/** Runs the CLI with the arguments behind its name; resolves to the exit code. */
export async function main(args: readonly string[], signal: AbortSignal): Promise<number> {
  const [first, ...behind] = args;
  // A command of two words comes before the one its first word names.
  const two = commands.find((candidate) => candidate.name === `${first} ${behind[0]}`);
  const name = two?.name ?? first;
  const rest = two === undefined ? behind : behind.slice(1);
  if (name === undefined || name === '--help' || name === 'help') {
    console.log(overview());
    return name === undefined ? 2 : 0;
  }
  const chosen = commands.find((candidate) => candidate.name === name);
  try {
    if (chosen === undefined) throw new UsageError(`there is no command ${name}; see: keyhold --help`);
    if (rest.includes('--help')) {
      console.log(help(chosen));
      return 0;
    }
    return await chosen.run(parse(chosen, rest), signal);
  } catch (error: unknown) {
    if (signal.aborted) return 130;
    console.error(`keyhold: ${error instanceof Error ? error.message : String(error)}`);
    return error instanceof UsageError ? 2 : 1;
  }
}
