/**
 * Plays recordings through the real executables and sockets: inline (keyhold-hsmd-inline with its signer) or bridge
 * (keyhold-hsmd, a host process, a signer process, mTLS between the two). A process that still runs serves the next
 * session with the same secret too, as a signer serves a lightningd that restarts.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
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

/** Ways to seat an hsmd with a given secret in a folder of its own. */
export interface Seats extends AsyncDisposable {
  seat(directory: string, secretFile: Uint8Array): Promise<HsmdProcess>;
  /** The hsmd in this folder is not needed any more. */
  leave(directory: string): Promise<void>;
}

export type OpenSeats = (root: string) => Promise<Seats>;

export const inlineSeats: OpenSeats = () =>
  Promise.resolve({
    seat: (directory) => Promise.resolve(new HsmdProcess({ program: bin('keyhold-hsmd-inline'), args: ['--developer'], directory })),
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

/** One host for all, one signer for each secret, each under a node name of its own. */
export const bridgeSeats: OpenSeats = async (root) => {
  const hostDir = join(root, 'host');
  await createCertificates(hostDir, 'unused', [], 1);
  const socket = join(root, 'keyhold.sock');
  const host = keyhold(['host', '--dir', hostDir, '--socket', socket, '--listen', '127.0.0.1:0', '--log', 'error']);
  const address = `127.0.0.1:${await portOf(host)}`;
  const signers = new Map<string, ChildProcess>();
  let nodes = 0;
  return {
    async seat(directory) {
      const node = `replay-${nodes++}`;
      await createSignerCertificate(hostDir, directory, node, 1);
      const secret = join(directory, 'hsm_secret');
      signers.set(directory, keyhold(['signer', '--dir', directory, '--host', address, '--secret', secret, '--log', 'error']));
      return new HsmdProcess({ program: bin('keyhold-hsmd'), args: ['--developer'], directory, env: { KEYHOLD_SOCKET: socket, KEYHOLD_NODE: node } });
    },
    async leave(directory) {
      await end(signers.get(directory));
      signers.delete(directory);
    },
    async [Symbol.asyncDispose]() {
      for (const child of [...signers.values(), host]) await end(child);
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

interface Seated {
  readonly directory: string;
  readonly hsmd: HsmdProcess;
  withoutChannel: number;
}

export function throughExecutables(open: OpenSeats): Target {
  let root: string | undefined;
  let seats: Seats | undefined;
  const seated = new Map<string, Seated>();

  async function unseat(secret: string, { directory, hsmd }: Seated): Promise<void> {
    seated.delete(secret);
    await hsmd[Symbol.asyncDispose]();
    await seats?.leave(directory);
  }

  async function seatFor(secretFile: Uint8Array): Promise<Seated> {
    const secret = toHex(secretFile);
    const known = seated.get(secret);
    const usable = known?.hsmd.running && known.withoutChannel < mostClients.withoutChannel && known.hsmd.clients < mostClients.all;
    if (known !== undefined && usable) return known;
    // One at a time: thirty idle signers would only be in the way.
    for (const [other, seat] of [...seated]) await unseat(other, seat);
    root ??= await mkdtemp(join(tmpdir(), 'keyhold-replay-'));
    seats ??= await open(root);
    const directory = await mkdtemp(join(root, 'node-'));
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'hsm_secret'), secretFile, { mode: 0o400 });
    const fresh = { directory, hsmd: await seats.seat(directory, secretFile), withoutChannel: 0 };
    seated.set(secret, fresh);
    return fresh;
  }

  return {
    open: async (secretFile) => session(await seatFor(secretFile)),
    async [Symbol.asyncDispose]() {
      for (const [secret, seat] of [...seated]) await unseat(secret, seat);
      await seats?.[Symbol.asyncDispose]();
      if (root !== undefined) await rm(root, { recursive: true, force: true });
    },
  };
}

/** Recorded conns begin at 1 in each session; the process numbers on. */
function session(seat: Seated): TargetSession {
  const before = seat.hsmd.clients;
  return {
    async ask({ conn, bytes }: RecordedRequest): Promise<Outcome> {
      const type = messageType(bytes);
      if (type === calls.devPreinit.request.number) {
        seat.hsmd.tell(bytes);
        return 'silent';
      }
      if (type === calls.clientHsmfd.request.number && bytes.subarray(35, 43).every((byte) => byte === 0)) seat.withoutChannel++;
      return (await seat.hsmd.ask(conn === 0 ? 0 : before + conn, bytes)) ?? 'refused';
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
