/** What every command of the CLI is: an explanation, its options as a table, and what it does. */

import { parseArgs } from 'node:util';

/** One option: what its value is called (none for a switch), what it means, and what it is when left out. */
export interface OptionRow {
  readonly value?: string;
  readonly means: string;
  readonly default?: string;
}

/** The options and operands a command was given. */
export interface Given<N extends string> {
  /** The value of an option, its default, or undefined. */
  option(name: N): string | undefined;
  /** Whether a switch was given. */
  has(name: N): boolean;
  readonly operands: readonly string[];
}

export interface Command<N extends string = string> {
  readonly name: string;
  readonly summary: string;
  /** What stands behind the name: operands, `[PATH…]`. */
  readonly operands?: string;
  readonly explanation: string;
  readonly options: { readonly [O in N]: OptionRow };
  /** Resolves to the exit code. `signal` aborts when the process is asked to stop. */
  run(given: Given<N>, signal: AbortSignal): Promise<number>;
}

/** The operator's mistake, to be shown without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Binds a command's option names to its type. */
export function command<const N extends string>(parts: Command<N>): Command<N> {
  return parts;
}

/** Reads a command's arguments; unknown options are refused. @throws UsageError */
export function parse<N extends string>(of: Command<N>, args: readonly string[]): Given<N> {
  const rows = Object.entries<OptionRow>(of.options);
  const options = Object.fromEntries(
    rows.map(([name, row]) => [name, { type: row.value === undefined ? ('boolean' as const) : ('string' as const) }]),
  );
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options,
      allowPositionals: of.operands !== undefined,
    });
    return {
      operands: positionals,
      has: (name) => values[name] === true,
      option(name) {
        const value = values[name];
        return typeof value === 'string' ? value : of.options[name].default;
      },
    };
  } catch (error: unknown) {
    throw new UsageError(`${error instanceof Error ? error.message : 'bad arguments'}; see: keyhold ${of.name} --help`);
  }
}

/** The `--help` of one command. */
export function help(of: Command): string {
  const rows = Object.entries(of.options).map(([name, row]) => ({
    left: `  --${name}${row.value === undefined ? '' : ` ${row.value}`}`,
    right: `${row.means}${row.default === undefined || row.default === '' ? '' : ` (default: ${row.default})`}`,
  }));
  const width = Math.max(0, ...rows.map((row) => row.left.length)) + 2;
  const usage = `keyhold ${of.name}${rows.length > 0 ? ' [options]' : ''}${of.operands === undefined ? '' : ` ${of.operands}`}`;
  return [
    `${of.summary}\n`,
    `Usage: ${usage}\n`,
    `${of.explanation}\n`,
    ...(rows.length > 0 ? ['Options:', ...rows.map((row) => `${row.left.padEnd(width)}${row.right}`)] : []),
  ].join('\n');
}
