/**
 * Plays recordings through the real executables and sockets: inline (keyhold-hsmd-inline with its signer) or bridge
 * (keyhold-hsmd, a host process, a signer process, mTLS between the two). What still runs serves the next session with
 * the same secret too, as a signer serves a lightningd that restarts.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { toHex } from '../proto/bytes.ts';
import { calls } from '../proto/hsmd/calls.ts';
import { messageType } from '../proto/hsmd/message.ts';
import { HsmdProcess } from './hsmd_process.ts';
import { createCertificates, createSignerCertificate } from './init.ts';
import type { RecordedRequest } from './recordings.ts';
import type { Outcome, Target, TargetSession } from './replay_target.ts';

const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));

/** A way to run an hsmd in a folder of its own, which holds its hsm_secret. */
export interface Seats extends AsyncDisposable {
  /** Starts an hsmd there, for the first time or again. */
  start(directory: string): Promise<HsmdProcess>;
  /** The folder is not needed any more. */
  leave(directory: string): Promise<void>;
}

export type OpenSeats = (root: string) => Promise<Seats>;

export const inlineSeats: OpenSeats = () =>
  Promise.resolve({
    start: (directory) =>
      Promise.resolve(new HsmdProcess({ program: bin('keyhold-hsmd-inline'), args: ['--developer'], directory })),
    leave: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

function keyhold(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [bin('keyhold.js'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** One host for all; one signer for each folder, under a node name of its own. */
export const bridgeSeats: OpenSeats = async (root) => {
  const hostDir = join(root, 'host');
  await createCertificates(hostDir, 'unused', [], 1);
  const socket = join(root, 'keyhold.sock');
  const host = keyhold(['host', '--dir', hostDir, '--socket', socket, '--listen', '127.0.0.1:0', '--log', 'error']);
  const address = `127.0.0.1:${await portOf(host)}`;
  const signers = new Map<string, { readonly node: string; readonly signer: ChildProcess }>();

  async function attachSigner(dir: string) {
    const node = `replay-${signers.size}`;
    await createSignerCertificate(hostDir, dir, node, 1);
    const secret = join(dir, 'hsm_secret');
    const signer = keyhold(['signer', '--dir', dir, '--host', address, '--secret', secret, '--log', 'error']);
    const attached = { node, signer };
    signers.set(dir, attached);
    return attached;
  }

  return {
    async start(directory) {
      const { node } = signers.get(directory) ?? (await attachSigner(directory));
      const env = { KEYHOLD_SOCKET: socket, KEYHOLD_NODE: node };
      return new HsmdProcess({ program: bin('keyhold-hsmd'), args: ['--developer'], directory, env });
    },
    leave: (directory) => end(signers.get(directory)?.signer),
    async [Symbol.asyncDispose]() {
      for (const child of [...[...signers.values()].map(({ signer }) => signer), host]) await end(child);
    },
  };
};

async function portOf(host: ChildProcess): Promise<number> {
  if (host.stdout === null) throw new Error('the host has no stdout');
  for await (const line of createInterface({ input: host.stdout })) {
    const said: unknown = JSON.parse(line);
    if (typeof said === 'object' && said !== null && 'listening' in said) return Number(said.listening);
  }
  throw new Error('the host ended before it listened');
}

/** hsmd takes two clients without a channel in its life besides lightningd; sockets for clients are made in advance. */
const mostClients = { withoutChannel: 2, all: 280 } as const;

interface Seat {
  readonly directory: string;
  hsmd: HsmdProcess;
  withoutChannel: number;
}

function usable({ hsmd, withoutChannel }: Seat): boolean {
  return hsmd.running && withoutChannel < mostClients.withoutChannel && hsmd.clients < mostClients.all;
}

export function throughExecutables(open: OpenSeats): Target {
  let root: string | undefined;
  let seats: Seats | undefined;
  let taken: { readonly secret: string; readonly seat: Seat } | undefined;

  async function leave(): Promise<void> {
    if (taken === undefined) return;
    await taken.seat.hsmd[Symbol.asyncDispose]();
    await seats?.leave(taken.seat.directory);
    taken = undefined;
  }

  /** One secret at a time: thirty idle signers would only be in the way. */
  async function seatFor(secretFile: Uint8Array): Promise<Seat> {
    root ??= await mkdtemp(join(tmpdir(), 'keyhold-replay-'));
    seats ??= await open(root);
    const secret = toHex(secretFile);
    if (taken?.secret === secret) {
      const { seat } = taken;
      if (usable(seat)) return seat;
      await seat.hsmd[Symbol.asyncDispose]();
      return Object.assign(seat, { hsmd: await seats.start(seat.directory), withoutChannel: 0 });
    }
    await leave();
    const directory = await mkdtemp(join(root, 'node-'));
    await writeFile(join(directory, 'hsm_secret'), secretFile, { mode: 0o400 });
    const seat = { directory, hsmd: await seats.start(directory), withoutChannel: 0 };
    taken = { secret, seat };
    return seat;
  }

  return {
    open: async (secretFile) => session(await seatFor(secretFile)),
    async [Symbol.asyncDispose]() {
      await leave();
      await seats?.[Symbol.asyncDispose]();
      if (root !== undefined) await rm(root, { recursive: true, force: true });
    },
  };
}

/** Recorded conns begin at 1 in each session; the process numbers on. */
function session(seat: Seat): TargetSession {
  const before = seat.hsmd.clients;
  return {
    async ask({ conn, bytes }: RecordedRequest): Promise<Outcome> {
      const type = messageType(bytes);
      if (type === calls.devPreinit.request.number) {
        seat.hsmd.tell(bytes);
        return 'silent';
      }
      if (type === calls.clientHsmfd.request.number && bytes.subarray(35, 43).every((byte) => byte === 0))
        seat.withoutChannel++;
      return (await seat.hsmd.ask(conn === 0 ? 0 : before + conn, bytes)) ?? 'refused';
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
