/**
 * A bridge's two ends as child processes, as an operator and an owner run them: one `keyhold host`, and a
 * `keyhold signer` for each node, with certificates made for the occasion.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createCertificates, createSignerCertificate } from './init.ts';

/** The path of an executable of this installation. */
export const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));

export interface Bridge extends AsyncDisposable {
  /** Where stand-ins connect. */
  readonly socket: string;
  /** Where signers and operators connect, `host:port`. */
  readonly address: string;
  /** The host's certificates, and an operator's. */
  readonly directory: string;
  readonly host: ChildProcess;
  /** Starts the signer of a node; its folder has the hsm_secret and gets the certificate. */
  attachSigner(directory: string, node: string): Promise<ChildProcess>;
}

export interface BridgeOptions {
  /** The node that the signer's certificate beside the host's is for. */
  readonly node?: string;
  /** More arguments for the host. */
  readonly host?: readonly string[];
}

/** Starts a host. Its files are put under `root`; disposing of it ends it and all its signers. */
export async function openBridge(
  root: string,
  { node = 'unused', host: more = [] }: BridgeOptions = {},
): Promise<Bridge> {
  const directory = join(root, 'host');
  await createCertificates(directory, node, [], 1);
  const socket = join(root, 'keyhold.sock');
  const listen = ['--socket', socket, '--listen', '127.0.0.1:0', '--log', 'error'];
  const host = keyhold(['host', '--dir', directory, ...listen, ...more]);
  const address = `127.0.0.1:${await portOf(host)}`;
  const children = [host];
  return {
    socket,
    address,
    directory,
    host,
    async attachSigner(dir, node) {
      await createSignerCertificate(directory, dir, node, 1);
      const secret = join(dir, 'hsm_secret');
      // What is replayed is compared with lightning_hsmd, which has no policy; and recorded invoices have expired.
      const policy = ['--policy', 'none', '--log', 'error'];
      const signer = keyhold(['signer', '--dir', dir, '--host', address, '--secret', secret, ...policy]);
      children.push(signer);
      return signer;
    },
    async [Symbol.asyncDispose]() {
      for (const child of children.reverse()) await end(child);
    },
  };
}

function keyhold(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [bin('keyhold.js'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Asks a child to end, and waits until it has. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function portOf(host: ChildProcess): Promise<number> {
  if (host.stdout === null) throw new Error('the host has no stdout');
  for await (const line of createInterface({ input: host.stdout })) {
    const said: unknown = JSON.parse(line);
    if (typeof said === 'object' && said !== null && 'listening' in said) return Number(said.listening);
  }
  throw new Error('the host ended before it listened');
}
