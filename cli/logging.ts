/** How much a long-running command says, and where: JSON lines on stderr. */

import { jsonLines, type Log, type LogLevel } from '../proto/log.ts';
import { UsageError } from './command.ts';

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export const logOption = {
  value: 'LEVEL',
  means: `the least that is logged to stderr: ${levels.join(', ')}`,
  default: 'info',
};

export function logAt(level: string | undefined): Log {
  const least = levels.find((known) => known === level);
  if (least === undefined) throw new UsageError(`--log: expected one of ${levels.join(', ')}, got ${level}`);
  return jsonLines((line) => process.stderr.write(line), Date.now, least);
}

/** Resolves when `signal` aborts. */
export function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
