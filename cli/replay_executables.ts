/**
 * Plays recordings through the real executables and sockets: inline (keyhold-hsmd-inline with its signer) or bridge
 * (keyhold-hsmd, a host process, a signer process, mTLS between the two). What still runs serves the next session with
 * the same secret too, as a signer serves a lightningd that restarts.
 */

import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../proto/bytes.ts';
import { calls } from '../proto/hsmd/calls.ts';
import { messageType } from '../proto/hsmd/message.ts';
import { bin, end, openBridge } from './bridge_processes.ts';
import { HsmdProcess } from './hsmd_process.ts';
import type { RecordedRequest } from './recordings.ts';
import type { Outcome, Target, TargetSession } from './replay_target.ts';

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
      Promise.resolve(
        new HsmdProcess({
          program: bin('keyhold-hsmd-inline'),
          args: ['--developer'],
          directory,
          env: { KEYHOLD_POLICY: 'none' },
        }),
      ),
    leave: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

/** One host for all; one signer for each folder, under a node name of its own. */
export const bridgeSeats: OpenSeats = async (root) => {
  const bridge = await openBridge(root);
  const nodes = new Map<string, { readonly name: string; readonly signer: ChildProcess }>();

  async function newNode(directory: string) {
    const name = `replay-${nodes.size}`;
    const node = { name, signer: await bridge.attachSigner(directory, name) };
    nodes.set(directory, node);
    return node;
  }

  return {
    async start(directory) {
      const { name } = nodes.get(directory) ?? (await newNode(directory));
      const env = { KEYHOLD_SOCKET: bridge.socket, KEYHOLD_NODE: name };
      return new HsmdProcess({ program: bin('keyhold-hsmd'), args: ['--developer'], directory, env });
    },
    async leave(directory) {
      const node = nodes.get(directory);
      if (node !== undefined) await end(node.signer);
    },
    [Symbol.asyncDispose]: () => bridge[Symbol.asyncDispose](),
  };
};

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
    open: async ({ secretFile }) => session(await seatFor(secretFile)),
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
