/** Runs this package's programs as a person does, and keeps what they print. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export const keyholdScript = join(root, 'bin/keyhold.js');
export const demoScript = join(root, 'dist/cli/demo.js');

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  /** What was printed so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves when it has ended. */
  readonly finished: Promise<Finished>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads from fd 3. */
  readonly fd3?: string;
}

/** Starts a script under Node; it is killed with the test. */
export function start(
  t: ExecutionContext,
  script: string,
  args: readonly string[],
  { env, fd3 }: StartOptions = {},
): Running {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', fd3 === undefined ? 'ignore' : 'pipe'],
  });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (text) => {
      printed[name] += String(text);
    });
  const given = child.stdio[3];
  if (fd3 !== undefined && given instanceof Object && 'end' in given) given.end(fd3);
  const finished = once(child, 'close').then(([code]) => ({ code: code as number | null, ...printed })); // 'close' is declared with any[]
  t.teardown(async () => {
    child.kill('SIGKILL');
    await finished;
  });
  return { child, stdout: () => printed.stdout, stderr: () => printed.stderr, finished };
}

/** Runs `keyhold` to its end. */
export function keyhold(t: ExecutionContext, args: readonly string[], options?: StartOptions): Promise<Finished> {
  return start(t, keyholdScript, args, options).finished;
}

export async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhold-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Resolves when this is among what was printed; rejects where the stream ends without it. */
export function said(stream: ChildProcess['stdout'], printed: () => string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (printed().includes(text)) resolve();
      else if (stream === null || stream.readableEnded)
        reject(new Error(`expected "${text}", it ended with: ${printed()}`));
    };
    stream?.on('data', look).once('end', look);
    look();
  });
}
