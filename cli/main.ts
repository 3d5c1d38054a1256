/** The one CLI: finds the command, reads its arguments, runs it, and says what went wrong in one line. */

import { type Command, help, parse, UsageError } from './command.ts';
import { software } from './version.ts';

/** A command is loaded when it is used: what a host runs for months should not hold the code of the others. */
const commands = {
  init: async () => (await import('./init.ts')).init,
  host: async () => (await import('./host.ts')).host,
  signer: async () => (await import('./signer.ts')).signer,
  'signer recover': async () => (await import('./recover.ts')).recover,
  approvals: async () => (await import('./approve.ts')).approvals,
  approve: async () => (await import('./approve.ts')).approve,
  policy: async () => (await import('./policy_command.ts')).policy,
  rune: async () => (await import('./rune.ts')).rune,
  status: async () => (await import('./status.ts')).status,
  trace: async () => (await import('./trace.ts')).trace,
  replay: async () => (await import('./replay.ts')).replay,
} as const;

type Name = keyof typeof commands;

function isCommand(name: string): name is Name {
  return Object.hasOwn(commands, name);
}

/** Options are read under each command's own names; here it only matters that there are some. */
async function load(name: Name): Promise<Command> {
  return (await commands[name]()) as unknown as Command;
}

async function overview(): Promise<string> {
  const names = Object.keys(commands).filter(isCommand);
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const rows = await Promise.all(names.map(async (name) => `  ${name.padEnd(width)}${(await load(name)).summary}`));
  return [
    'keyhold: a Lightning node in the cloud whose keys stay in your hand\n',
    'Usage: keyhold COMMAND [options]\n',
    'Commands:',
    ...rows,
    '\n`keyhold COMMAND --help` explains one.',
  ].join('\n');
}

/** Runs the CLI with the arguments behind its name; resolves to the exit code. */
export async function main(args: readonly string[], signal: AbortSignal): Promise<number> {
  const [asked, ...others] = args;
  // `keyhold help COMMAND` is `keyhold COMMAND --help`.
  if (asked === 'help' && others.length > 0) return main([...others, '--help'], signal);
  const [first, second] = args;
  // A command of two words comes before the one its first word names.
  const two = `${first} ${second}`;
  const name = isCommand(two) ? two : first;
  const rest = args.slice(isCommand(two) ? 2 : 1);
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(await overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    console.log(software);
    return 0;
  }
  try {
    if (!isCommand(name)) throw new UsageError(`there is no command ${name}; see: keyhold --help`);
    const chosen = await load(name);
    if (rest.includes('--help') || rest.includes('-h')) {
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
