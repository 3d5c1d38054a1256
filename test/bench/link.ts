/**
 * What the way from lightningd to the signer costs: the round trip of a request that needs no cryptography, from the
 * shim's socket over host, mutual TLS and session and back; and the memory of a host with a thousand idle shims.
 *
 * Host, signer and shims are processes of their own: `node dist/test/bench/link.js`.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import type { TlsIdentity } from '../../proto/grpc.ts';
import { silent } from '../../proto/log.ts';
import { FakeShim } from '../server/fake_shim.ts';
import { channeld, checkFutureSecret, clientHsmfd, correct } from '../server/messages.ts';

const idleShims = 1000;
const roundTrips = 5000;
const lanes = 64;

interface Job {
  readonly role: 'host' | 'signer';
  readonly identity: TlsIdentity;
  readonly socket?: string;
  readonly port?: number;
}

function start(job: Job): ChildProcess {
  const child = fork(fileURLToPath(import.meta.url));
  child.send(job);
  return child;
}

async function serve({ role, identity, socket = '', port = 0 }: Job): Promise<void> {
  // Each process loads only what it needs, as in earnest.
  if (role === 'signer') {
    const { attachSigner } = await import('../server/host_under_test.ts');
    attachSigner({ port, identity, handle: () => ({ kind: 'reply', bytes: correct }) });
    return;
  }
  const { Host } = await import('../../server/host.ts');
  const parts = { clock: systemClock, entropy: systemEntropy, log: silent, identity };
  const host = await Host.open({ ...parts, sockets: [socket], listen: '127.0.0.1:0' });
  process.send?.(host.port);
}

/** Resident memory of a process, in MB. */
async function residentMb(child: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Processor time a process has used, in milliseconds. */
async function cpuMs(child: ChildProcess): Promise<number> {
  const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8');
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user + system) * 10;
}

function quantile(sorted: readonly number[], q: number): string {
  return (sorted[Math.floor(sorted.length * q)] ?? 0).toFixed(3);
}

async function latency(shim: FakeShim): Promise<void> {
  const conn = await shim.newClient(clientHsmfd(channeld(1n)));
  const times: number[] = [];
  for (let i = 0; i < roundTrips; i++) {
    const from = performance.now();
    await shim.ask(conn, checkFutureSecret(1));
    if (i >= roundTrips / 10) times.push(performance.now() - from);
  }
  times.sort((a, b) => a - b);
  console.log(
    `one request at a time: p50 ${quantile(times, 0.5)} ms, p90 ${quantile(times, 0.9)} ms, p99 ${quantile(times, 0.99)} ms`,
  );
}

async function throughput(shim: FakeShim, host: ChildProcess, signer: ChildProcess): Promise<void> {
  const conns: number[] = [];
  for (let i = 0; i < lanes; i++) conns.push(await shim.newClient(clientHsmfd(channeld(BigInt(2 + i)))));
  const cpu = async () => [await cpuMs(host), await cpuMs(signer)] as const;
  const before = await cpu();
  const from = performance.now();
  for (const conn of conns) shim.request(conn, checkFutureSecret(1));
  const total = roundTrips * 4;
  for (let done = 0; done < total; done++) {
    const { conn } = await shim.nextOf('reply');
    if (done < total - lanes) shim.request(conn, checkFutureSecret(1));
  }
  const seconds = (performance.now() - from) / 1000;
  const after = await cpu();
  const [hostUs, signerUs] = [0, 1].map((i) => Math.round((((after[i] ?? 0) - (before[i] ?? 0)) * 1000) / total));
  console.log(`${lanes} lanes at once: ${Math.round(total / seconds)} requests a second`);
  console.log(`processor time a request: host ${hostUs} µs, signer ${signerUs} µs`);
}

interface Stage {
  readonly host: ChildProcess;
  readonly port: number;
  readonly socket: string;
}

async function onStage(identity: TlsIdentity, play: (stage: Stage) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhold-'));
  const socket = join(directory, 'keyhold.sock');
  const host = start({ role: 'host', identity, socket });
  const [port] = (await once(host, 'message')) as [number];
  try {
    await play({ host, port, socket });
  } finally {
    host.kill();
    await rm(directory, { recursive: true });
  }
}

async function main(): Promise<void> {
  const { Authority } = await import('../server/host_under_test.ts');
  const authority = await Authority.create();
  await onStage(authority.host, async ({ host, port, socket }) => {
    const signer = start({ role: 'signer', identity: await authority.signer('alice'), port });
    await using shim = await FakeShim.open(socket, 'alice');
    await latency(shim);
    await throughput(shim, host, signer);
    signer.kill();
  });
  await onStage(authority.host, async ({ host, socket }) => {
    console.log(`a host without shims: ${(await residentMb(host)).toFixed(0)} MB resident`);
    const shims: FakeShim[] = [];
    for (let i = 0; i < idleShims; i++) shims.push(await FakeShim.open(socket, `node-${i}`));
    await new Promise((resolve) => setTimeout(resolve, 2000));
    console.log(`with ${idleShims} idle ones: ${(await residentMb(host)).toFixed(0)} MB resident`);
    await Promise.all(shims.map((each) => each[Symbol.asyncDispose]()));
  });
}

if (process.send === undefined) await main();
else process.once('message', (job) => void serve(job as Job));
