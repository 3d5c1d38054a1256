/** The two ends of a demo: a host and a signer as processes of their own, watched, and asked how they are. */

import { type ChildProcess, execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Host as HostService } from '../proto/gen/keyhold/v1/host_pb.ts';
import { Channel } from '../proto/grpc.ts';
import { type Bridge, bin, openBridge } from './bridge_processes.ts';
import { identityOf } from './directory.ts';
import { until } from './regtest.ts';

const run = promisify(execFile);

/** The one node of a demo's host. */
const node = 'demo';

/** A folder that is gone, with all that is in it, when it is disposed of. */
export interface Folder extends AsyncDisposable {
  readonly path: string;
}

export async function temporaryFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'keyhold-demo-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

export interface DemoBridge extends AsyncDisposable {
  /** The host's socket, where the stand-in for hsmd connects. */
  readonly socket: string;
  /** The signer's folder, with its hsm_secret. */
  readonly keys: string;
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

async function statusOf({ directory, address }: Bridge): Promise<string> {
  const to = ['--dir', directory, '--host', address];
  const { stdout } = await run(process.execPath, [bin('keyhold.js'), 'status', ...to]);
  return stdout.trimEnd();
}

/** Waits until the host has a signer, so that no request's latency has the signer's start in it. */
export async function attached({ directory, address }: Bridge, signal: AbortSignal): Promise<void> {
  await using channel = new Channel(address, await identityOf(directory, 'operator'));
  const look = async () => {
    const { nodes } = await channel.client(HostService).status({ node: '' }, { signal });
    return nodes.find(({ signers }) => signers.length > 0);
  };
  await until('the signer to attach', look, signal);
}

function abortsWhenEnded(children: Readonly<Record<string, ChildProcess>>): AbortSignal {
  const ended = new AbortController();
  for (const [name, child] of Object.entries(children))
    child.once('exit', (code, killed) =>
      ended.abort(new Error(`keyhold ${name} ended (${killed ?? `status ${code}`})`)),
    );
  return ended.signal;
}

/** Starts both, with this hsm_secret file; resolves when the signer is attached. `stop` gives up waiting for that. */
export async function openDemoBridge(root: string, secretFile: Uint8Array, stop: AbortSignal): Promise<DemoBridge> {
  const keys = join(root, 'keys');
  await mkdir(keys, { mode: 0o700 });
  await writeFile(join(keys, 'hsm_secret'), secretFile, { mode: 0o400 });
  const bridge = await openBridge(root);
  try {
    const ended = abortsWhenEnded({ host: bridge.host, signer: await bridge.attachSigner(keys, node) });
    await attached(bridge, AbortSignal.any([stop, ended]));
    return {
      socket: bridge.socket,
      keys,
      environment: (path, lightningd) => ({
        KEYHOLD_SOCKET: path,
        KEYHOLD_NODE: node,
        KEYHOLD_LIGHTNINGD_VERSION: lightningd,
      }),
      status: () => statusOf(bridge),
      ended,
      [Symbol.asyncDispose]: () => bridge[Symbol.asyncDispose](),
    };
  } catch (error: unknown) {
    await bridge[Symbol.asyncDispose]();
    throw error;
  }
}
