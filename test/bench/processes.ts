/** What Linux says of a process: resident memory and CPU time. */

import { readFile } from 'node:fs/promises';

/** Resident memory in MB, 0 where the process is gone. */
export async function residentMb(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

/** The one child of a process. */
export async function onlyChild(parent: number | undefined): Promise<number> {
  return Number((await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')).trim());
}

/** A tick of utime and stime, in microseconds: what USER_HZ is on every Linux. */
const tick = 10_000;

/** Microseconds of CPU a process has used, in user and in kernel mode. */
export async function cpuOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tick;
}
