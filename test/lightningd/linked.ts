/**
 * Host and signer of one node as processes that run before its lightningd does, as in real life, with a slow link
 * between them.
 */

import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { end, openBridge } from '../../cli/bridge_processes.ts';
import { attached } from '../../cli/demo_bridge.ts';
import { SlowLink } from '../bench/slow_link.ts';

/** How much the host answers without waiting for the signer, from nothing to all it can. */
export const waysToAnswer = ['asked', 'ahead', 'acknowledged', 'unsigned'] as const;
export type WayToAnswer = (typeof waysToAnswer)[number];

export interface LinkedOptions {
  /** A short path: the socket in it must stay below 108 bytes. */
  readonly root: string;
  readonly rttMs: number;
  readonly jitterMs?: number;
  readonly answers: WayToAnswer;
  /** The signer's policy: `none`, a file, or undefined for the default one, where whoever calls lightningd is the owner. */
  readonly policy?: string | undefined;
  /** More arguments for the host. */
  readonly hostOptions?: readonly string[];
}

export interface Linked extends AsyncDisposable {
  /** For lightningd, so that its stand-in finds the host. */
  readonly env: Readonly<Record<string, string>>;
  /** Where the host listens (`host:port`), and the folder with an operator's certificate, for `keyhold trace`. */
  readonly address: string;
  readonly directory: string;
  readonly link: SlowLink;
}

const node = 'linked';
const signerProgram = fileURLToPath(new URL('link_signer.js', import.meta.url));

function hostOptionsFor(answers: WayToAnswer, root: string): readonly string[] {
  const journal = ['--journal', join(root, 'journal')];
  const options: { readonly [W in WayToAnswer]: readonly string[] } = {
    asked: ['--always-ask'],
    ahead: ['--no-journal'],
    acknowledged: journal,
    unsigned: [...journal, '--unsigned-penalties'],
  };
  return options[answers];
}

/** Starts them, the signer with a new secret; resolves when it is attached. */
export async function openLinked(options: LinkedOptions, signal: AbortSignal): Promise<Linked> {
  const { root, rttMs, jitterMs = 0, answers, policy, hostOptions = [] } = options;
  await mkdir(root, { recursive: true });
  const host = [...hostOptionsFor(answers, root), ...hostOptions];
  const closing: (() => PromiseLike<void>)[] = [];
  const close = async () => {
    for (const each of closing.splice(0).reverse()) await each();
  };
  try {
    const bridge = await openBridge(root, { node, host });
    closing.push(() => bridge[Symbol.asyncDispose]());
    const link = await SlowLink.open({ to: Number(bridge.address.split(':')[1]), rttMs, jitterMs });
    closing.push(() => link[Symbol.asyncDispose]());
    const keys = join(root, 'keys');
    await mkdir(keys, { mode: 0o700 });
    const env = { ...process.env, KEYHOLD_NEW_STATE: '1', ...(policy !== undefined && { KEYHOLD_POLICY: policy }) };
    // Where there is no distance there is no link either.
    const to = rttMs === 0 && jitterMs === 0 ? bridge.address : `127.0.0.1:${link.port}`;
    const args = [signerProgram, bridge.directory, to];
    const signer = spawn(process.execPath, args, { cwd: keys, env, stdio: 'ignore' });
    closing.push(() => end(signer));
    await attached(bridge, signal);
    const { socket, address, directory } = bridge;
    const found = { KEYHOLD_SOCKET: socket, KEYHOLD_NODE: node };
    return { env: found, address, directory, link, [Symbol.asyncDispose]: close };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}
