/** Runs a command in this process, which is quicker than a process of its own. */

import { main } from '../../cli/main.ts';
import type { Finished } from './keyhold_process.ts';

/** Only one at a time: what is printed is caught meanwhile. */
export async function run(...args: readonly string[]): Promise<Finished> {
  const { log, error } = console;
  const printed = { stdout: '', stderr: '' };
  console.log = (text: string) => {
    printed.stdout += `${text}\n`;
  };
  console.error = (text: string) => {
    printed.stderr += `${text}\n`;
  };
  try {
    return { code: await main(args, new AbortController().signal), ...printed };
  } finally {
    Object.assign(console, { log, error });
  }
}
