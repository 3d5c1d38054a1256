/**
 * One node's host and signer as processes, as an operator and an owner run them: the signer has the policy that it has by
 * default, and nothing leaves but what `keyhold approve` allows.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { AskedJson, ListJson } from '../../cli/approver_requests.ts';
import { type Bridge, bin, end, openBridge } from '../../cli/bridge_processes.ts';
import { attached } from '../../cli/demo_bridge.ts';
import { createSignerCertificate } from '../../cli/init.ts';
import type { Bitcoind } from '../../cli/regtest_bitcoind.ts';

const run = promisify(execFile);
const node = 'owned';

export interface OwnedSignerOptions {
  /** A short path: the socket in it must stay below 108 bytes. */
  readonly root: string;
  /** Where the host has its news of the chain from; undefined: it has none. */
  readonly chain: Bitcoind | undefined;
}

export class OwnedSigner implements AsyncDisposable {
  readonly #bridge: Bridge;
  readonly #keys: string;
  readonly #signer: ChildProcess;

  private constructor(bridge: Bridge, keys: string, signer: ChildProcess) {
    this.#bridge = bridge;
    this.#keys = keys;
    this.#signer = signer;
  }

  /** Starts both, with a new secret; resolves when the signer is attached. */
  static async open({ root, chain }: OwnedSignerOptions, signal: AbortSignal): Promise<OwnedSigner> {
    const keys = join(root, 'keys');
    await mkdir(keys, { recursive: true, mode: 0o700 });
    const cookie = chain && join(chain.directory, 'regtest/.cookie');
    const feed = chain && ['--bitcoin-rpc', `http://127.0.0.1:${chain.rpcPort}`, '--bitcoin-cookie', `${cookie}`];
    const bridge = await openBridge(root, { host: feed ?? [] });
    await createSignerCertificate(bridge.directory, keys, node, 1);
    const log = await open(join(root, 'signer.log'), 'a');
    const secret = ['--secret', join(keys, 'hsm_secret'), '--create'];
    const signer = spawn(
      process.execPath,
      [bin('keyhold.js'), 'signer', '--dir', keys, '--host', bridge.address, ...secret],
      { stdio: ['ignore', log.fd, log.fd] },
    );
    await log.close();
    const owned = new OwnedSigner(bridge, keys, signer);
    try {
      await attached(bridge, signal);
      return owned;
    } catch (error: unknown) {
      await owned[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** For lightningd, so that its stand-in finds the host. */
  get env(): Readonly<Record<string, string>> {
    return { KEYHOLD_SOCKET: this.#bridge.socket, KEYHOLD_NODE: node };
  }

  /** What `keyhold approvals` has. */
  async approvals(): Promise<ListJson> {
    return JSON.parse(await this.#keyhold('approvals', '--json', '--dir', this.#keys)) as ListJson; // both are of one version
  }

  /** `keyhold approve …`. */
  async approve(...args: readonly string[]): Promise<void> {
    await this.#keyhold('approve', ...args, '--dir', this.#keys);
  }

  /** What `keyhold status` says. */
  status(): Promise<string> {
    return this.#keyhold('status', '--dir', this.#bridge.directory, '--host', this.#bridge.address);
  }

  /** Yes to all that waits, once each; what has no amount may cost `amountMsat`. */
  async yes(amountMsat = 0): Promise<readonly AskedJson[]> {
    const { asked } = await this.approvals();
    for (const { id, amount_msat: msat, amount_sat: sat } of asked) {
      const isOpen = msat === undefined && sat === undefined;
      await this.approve(`${id}`, ...(isOpen ? ['--amount', `${amountMsat}`] : []));
    }
    return asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#signer);
    await this.#bridge[Symbol.asyncDispose]();
  }

  async #keyhold(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(process.execPath, [bin('keyhold.js'), ...args]);
    return stdout.trimEnd();
  }
}
