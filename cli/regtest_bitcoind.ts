/** One bitcoind on regtest with a wallet that has coins, driven by bitcoin-cli. */

import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Program } from './program.ts';
import { freePort, until } from './regtest.ts';
import type { RegtestPrograms } from './regtest_programs.ts';

const run = promisify(execFile);

/**
 * A coinbase output can be spent after 100 blocks more. And the wallet sets a locktime up to 100 blocks back now and then:
 * from 122 on that is never 21, which some bitcoinds do not relay.
 */
const firstBlocks = 130;

export class Bitcoind implements AsyncDisposable {
  readonly directory: string;
  readonly rpcPort: number;
  readonly #cli: string;
  readonly #program: Program;
  /** Stops the waiting, here and in nodes on this chain. */
  readonly signal: AbortSignal;

  private constructor(programs: RegtestPrograms, directory: string, rpcPort: number, signal: AbortSignal) {
    this.directory = directory;
    this.rpcPort = rpcPort;
    this.#cli = programs.bitcoinCli;
    const args = ['-regtest', '-server', '-listen=0', '-txindex', '-fallbackfee=0.00001', '-printtoconsole=0'];
    this.#program = new Program({
      name: 'bitcoind',
      path: programs.bitcoind,
      args: [...args, `-datadir=${directory}`, `-rpcport=${rpcPort}`],
      directory,
    });
    this.signal = AbortSignal.any([signal, this.#program.ended]);
  }

  /** Starts one in a folder of its own; resolves when its wallet has coins to send. */
  static async start(programs: RegtestPrograms, directory: string, signal: AbortSignal): Promise<Bitcoind> {
    await mkdir(directory, { recursive: true });
    const bitcoind = new Bitcoind(programs, directory, await freePort(), signal);
    try {
      await until(
        'bitcoind to answer',
        () => bitcoind.cli('getblockchaininfo').catch(() => undefined),
        bitcoind.signal,
      );
      await bitcoind.cli('createwallet', 'regtest');
      await bitcoind.mine(firstBlocks);
      return bitcoind;
    } catch (error: unknown) {
      await bitcoind[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a command; resolves to its JSON, or to text where it prints no JSON. */
  async cli(...args: readonly string[]): Promise<unknown> {
    const common = ['-regtest', `-datadir=${this.directory}`, `-rpcport=${this.rpcPort}`];
    const printed = await run(this.#cli, [...common, ...args], { signal: this.signal }).catch((error: unknown) => {
      this.signal.throwIfAborted(); // the reason says more than that it was aborted
      throw error;
    });
    try {
      return JSON.parse(printed.stdout);
    } catch {
      return printed.stdout.trim();
    }
  }

  /** Mines blocks, once so many transactions wait to be mined. */
  async mine(blocks: number, transactions = 0): Promise<void> {
    const enough = async () => {
      const waiting = await this.cli('getrawmempool');
      return Array.isArray(waiting) && waiting.length >= transactions ? true : undefined;
    };
    if (transactions > 0) await until(`${transactions} transactions to mine`, enough, this.signal);
    await this.cli('generatetoaddress', String(blocks), String(await this.cli('getnewaddress')));
  }

  /** Sends coins, in satoshi. */
  async send(address: string, sat: number): Promise<void> {
    await this.cli('sendtoaddress', address, (sat / 1e8).toFixed(8));
  }

  async height(): Promise<number> {
    return Number(await this.cli('getblockcount'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}
