/**
 * Loaded into a process to be measured (`node --import`): on SIGUSR2 it collects garbage and writes how many bytes are
 * alive to a file. Resident memory alone says little of a leak: V8 takes what it likes before it collects.
 */

import { existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sleep, systemClock } from '../../proto/clock.ts';

const { KEYHOLD_LIVE_MEMORY } = process.env;

if (KEYHOLD_LIVE_MEMORY !== undefined) {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  const path = fileOf(KEYHOLD_LIVE_MEMORY, process.pid);
  const collect = () => {
    if (typeof gc === 'function') gc();
  };
  process.on('SIGUSR2', () => {
    collect();
    // Buffers are given back after the collection that found them dead.
    setTimeout(() => {
      collect();
      const { heapUsed, external } = process.memoryUsage();
      void writeFile(`${path}.new`, String(heapUsed + external)).then(() => rename(`${path}.new`, path));
    }, 100);
  });
}

function fileOf(directory: string, pid: number | undefined): string {
  return join(directory, `${pid}.live`);
}

/** The environment of processes whose live memory can be asked for; they write into `directory`. */
export function measurable(directory: string): Readonly<Record<string, string>> {
  return { KEYHOLD_LIVE_MEMORY: directory, NODE_OPTIONS: `--import=${fileURLToPath(import.meta.url)}` };
}

/** Megabytes alive in such a process. */
export async function liveMb(directory: string, pid: number | undefined): Promise<number> {
  if (pid === undefined) throw new Error('the process was not started');
  const path = fileOf(directory, pid);
  await rm(path, { force: true });
  process.kill(pid, 'SIGUSR2');
  const signal = AbortSignal.timeout(10_000);
  while (!existsSync(path)) await sleep(systemClock, 20, signal);
  return Number(await readFile(path, 'utf8')) / 2 ** 20;
}
