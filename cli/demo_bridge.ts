/** The two ends of a demo: `keyhold host` and `keyhold signer` as processes of their own, with certificates made for it. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Host as HostService } from '../proto/gen/keyhold/v1/host_pb.ts';
import { Channel } from '../proto/grpc.ts';
import { identityOf } from './directory.ts';
import { createCertificates } from './init.ts';
import { bin, keyhold, listeningPort } from './program.ts';
import { until } from './regtest.ts';

const run = promisify(execFile);

/** The one node of a demo's host. */
const node = 'demo';
const certificateDays = 1;

/** A folder that is gone, with all that is in it, when it is disposed of. */
export interface Folder extends AsyncDisposable {
  readonly path: string;
}

export async function temporaryFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'keyhold-demo-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

export interface Bridge extends AsyncDisposable {
  /** The host's socket, where the stand-in for hsmd connects. */
  readonly socket: string;
  /**
   * What the stand-in must have in its environment to come to `socket`, or to another that leads there, and to say
   * which lightningd it belongs to.
   */
  environment(socket: string, lightningd: string): Readonly<Record<string, string>>;
  /** What `keyhold status` prints now. */
  status(): Promise<string>;
  /** Aborts, with the reason, where one of the two processes ends too soon. */
  readonly ended: AbortSignal;
}

export interface BridgeOptions {
  /** A folder for certificates and socket. */
  readonly directory: string;
  /** The hsm_secret of the signer. */
  readonly secret: string;
  /** Whether the signer makes the secret. */
  readonly create?: boolean;
}

async function statusOf(dir: string, address: string): Promise<string> {
  const { stdout } = await run(process.execPath, [bin('keyhold.js'), 'status', '--dir', dir, '--host', address]);
  return stdout.trimEnd();
}

/** Waits until the host has a signer, so that no request's latency has the signer's start in it. */
async function attached(address: string, dir: string, signal: AbortSignal): Promise<void> {
  await using channel = new Channel(address, await identityOf(dir, 'operator'));
  const look = async () => {
    const { nodes } = await channel.client(HostService).status({ node: '' }, { signal });
    return nodes.find(({ signers }) => signers.length > 0);
  };
  await until('the signer to attach', look, signal);
}

/** Starts both; resolves when the signer is attached. `stop` gives up waiting for that. */
export async function openBridge(
  { directory, secret, create = false }: BridgeOptions,
  stop: AbortSignal,
): Promise<Bridge> {
  const dir = join(directory, 'certificates');
  const socket = join(directory, 'keyhold.sock');
  await createCertificates(dir, node, [], certificateDays);
  const common = ['--dir', dir, '--log', 'error'];
  const host = keyhold(directory, ['host', ...common, '--socket', socket, '--listen', '127.0.0.1:0']);
  const started = [host];
  const end = async () => {
    for (const program of started.toReversed()) await program[Symbol.asyncDispose]();
  };
  try {
    const address = `127.0.0.1:${await listeningPort(host)}`;
    const names = ['--host', address, '--secret', secret, '--name', 'demo signer', ...(create ? ['--create'] : [])];
    const signer = keyhold(directory, ['signer', ...common, ...names]);
    started.push(signer);
    const ended = AbortSignal.any([host.ended, signer.ended]);
    await attached(address, dir, AbortSignal.any([stop, ended]));
    return {
      socket,
      environment: (path, lightningd) => ({
        KEYHOLD_SOCKET: path,
        KEYHOLD_NODE: node,
        KEYHOLD_LIGHTNINGD_VERSION: lightningd,
      }),
      status: () => statusOf(dir, address),
      ended,
      [Symbol.asyncDispose]: end,
    };
  } catch (error: unknown) {
    await end();
    throw error;
  }
}
