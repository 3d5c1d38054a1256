/** Memory of host and signer: a host with a thousand idle stand-ins, and both over very many requests. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bridge, bin } from '../../cli/bridge_processes.ts';
import { identityOf } from '../../cli/directory.ts';
import type { HsmdProcess } from '../../cli/hsmd_process.ts';
import { openClient } from '../../cli/recordings.ts';
import { toHex } from '../../proto/bytes.ts';
import { sleep, systemClock } from '../../proto/clock.ts';
import { Host as HostService } from '../../proto/gen/keyhold/v1/host_pb.ts';
import { Channel } from '../../proto/grpc.ts';
import { nameOf } from './cost.ts';
import { liveMb, measurable } from './live_memory.ts';
import { residentMb } from './processes.ts';
import { initialise, onStage, type Stage } from './stage.ts';

const everything = 0x1ffn;

/** Prints the host's memory with so many real stand-ins attached, which ask nothing. */
export async function idleShims(count: number, targetMb: number): Promise<void> {
  await onStage(async ({ bridge, hostPid }) => {
    const before = await residentMb(hostPid);
    const shims: ChildProcess[] = [];
    try {
      for (let i = 0; i < count; i++) shims.push(idleShim(bridge, `node-${i}`));
      await attached(bridge, count);
      await sleep(systemClock, 2000, new AbortController().signal);
      const after = await residentMb(hostPid);
      const verdict = after <= targetMb ? 'met' : 'missed';
      console.log(
        `host: ${before.toFixed(0)} MB resident alone, ${after.toFixed(0)} MB with ${count} idle stand-ins, target ${targetMb}: ${verdict}`,
      );
      const theirs = await Promise.all(shims.map(({ pid }) => residentMb(pid)));
      console.log(`stand-ins: ${(theirs.reduce((sum, mb) => sum + mb, 0) / count).toFixed(2)} MB resident each`);
    } finally {
      const ended = shims.map((shim) => (shim.exitCode === null ? once(shim, 'exit') : undefined));
      for (const shim of shims) shim.kill('SIGKILL');
      await Promise.all(ended);
    }
  });
}

/** Its fd 0 and 3 are sockets, as lightningd's would be; it opens no clients, so nothing needs to receive descriptors. */
function idleShim(bridge: Bridge, node: string): ChildProcess {
  return spawn(bin('keyhold-hsmd'), [], {
    env: { KEYHOLD_SOCKET: bridge.socket, KEYHOLD_NODE: node, KEYHOLD_LIGHTNINGD_VERSION: 'v26.06.6' },
    stdio: ['pipe', 'ignore', 'inherit', 'pipe'],
  });
}

/** Waits until the host's status has so many stand-ins. */
async function attached(bridge: Bridge, count: number): Promise<void> {
  await using channel = new Channel(bridge.address, await identityOf(bridge.directory, 'operator'));
  const host = channel.client(HostService);
  const signal = AbortSignal.timeout(30_000);
  for (;;) {
    const { nodes } = await host.status({ node: '' }, { signal });
    if (nodes.filter(({ shim }) => shim !== undefined).length >= count) return;
    await sleep(systemClock, 250, signal);
  }
}

/** Plays a recorded node's requests over and over, its clients side by side, and prints memory ten times on the way. */
export async function growth(total: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhold-bench-'));
  Object.assign(process.env, measurable(directory)); // for the processes that are started on this stage
  await onStage(async (stage) => {
    await using shim = stage.shim();
    await initialise(shim, stage.session);
    const lanes = await openLanes(shim, stage);
    const processes = [
      { name: 'host', pid: stage.hostPid, alive: [] as number[] },
      { name: 'signer', pid: stage.signerPid, alive: [] as number[] },
    ];
    for (let step = 1; step <= 10; step++) {
      await playUntil(shim, lanes, total / 10);
      const texts: string[] = [];
      for (const { name, pid, alive } of processes) {
        const resident = await residentMb(pid);
        const live = await liveMb(directory, pid);
        alive.push(live);
        texts.push(`${name} ${resident.toFixed(0)} MB resident, ${live.toFixed(1)} alive`);
      }
      console.log(`after ${String((step * total) / 10).padStart(6)} requests: ${texts.join('; ')}`);
    }
    for (const { name, alive } of processes) {
      // The first two steps fill what is remembered; the least of several is what stays.
      const grown = Math.min(...alive.slice(6)) - Math.min(...alive.slice(2, 6));
      console.log(
        `${name}: ${grown.toFixed(2)} MB more alive in the last steps, target at most 1: ${grown <= 1 ? 'met' : 'missed'}`,
      );
    }
  });
  await rm(directory, { recursive: true, force: true });
}

async function playUntil(
  shim: HsmdProcess,
  lanes: ReadonlyMap<number, readonly Uint8Array[]>,
  total: number,
): Promise<void> {
  let asked = 0;
  await Promise.all(
    [...lanes].map(async ([conn, requests]) => {
      for (let i = 0; asked < total; i++, asked++) {
        const request = requests[i % requests.length];
        if (request === undefined || (await shim.ask(conn, request)) === undefined)
          throw new Error(`a request on conn ${conn} was refused`);
      }
    }),
  );
}

/** The requests of each client, under its conn; a channel has one client at a time, which gets every capability. */
async function openLanes(shim: HsmdProcess, { session }: Stage): Promise<ReadonlyMap<number, readonly Uint8Array[]>> {
  const lanes = new Map<number, Uint8Array[]>([[0, []]]);
  const conns = new Map<string, number>();
  for (const request of session.requests) {
    if (nameOf(request) === undefined) continue;
    const { conn, client, bytes } = request;
    const key = `${toHex(client.nodeId)}/${client.dbid}`;
    if (conn !== 0 && !conns.has(key)) {
      await shim.ask(0, openClient({ ...client, capabilities: everything }));
      conns.set(key, shim.clients);
    }
    const at = conn === 0 ? 0 : (conns.get(key) ?? 0);
    lanes.set(at, [...(lanes.get(at) ?? []), bytes]);
  }
  return lanes;
}
