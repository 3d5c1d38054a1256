/** One lightningd on regtest whose hsmd is a program of ours, and the steps that tests and demos take with it. */

import { setMaxListeners } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { callRpc } from './lightning_rpc.ts';
import { Program } from './program.ts';
import { freePort, until } from './regtest.ts';
import type { Bitcoind } from './regtest_bitcoind.ts';
import type { RegtestPrograms } from './regtest_programs.ts';

export interface LightningdOptions {
  readonly name: string;
  readonly programs: RegtestPrograms;
  readonly bitcoind: Bitcoind;
  readonly directory: string;
  /** The program in the place of lightning_hsmd; its own where not given. */
  readonly hsmd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly options?: readonly string[];
  /** How often is looked whether something has come about, in milliseconds; 100 if not given. */
  readonly lookEveryMs?: number;
}

/** What is used of a `listpeerchannels` row. */
interface PeerChannel {
  readonly state: string;
  readonly channel_id: string;
  readonly short_channel_id?: string;
  readonly htlcs: readonly { readonly expiry: number }[];
}

/** States in which a channel is over. */
const over: readonly string[] = ['ONCHAIN', 'CLOSED'];
/** Blocks until both sides take a transaction for settled, and a channel may be announced. */
const deepBlocks = 6;

/** Gossip and the chain are looked at every second instead of every minute. */
const quick = ['--developer', '--dev-fast-gossip', '--dev-bitcoind-poll=1'];
/** Plugins that serve the network, and only slow the start. */
const without = ['cln-grpc', 'clnrest', 'wss-proxy'];

function argumentsFor(
  { name, programs, bitcoind, directory, hsmd, options = [] }: LightningdOptions,
  port: number,
): string[] {
  return [
    '--network=regtest',
    `--lightning-dir=${directory}`,
    `--log-file=${join(directory, 'log')}`,
    `--alias=${name}`,
    `--addr=127.0.0.1:${port}`,
    `--bitcoin-cli=${programs.bitcoinCli}`,
    `--bitcoin-datadir=${bitcoind.directory}`,
    `--bitcoin-rpcport=${bitcoind.rpcPort}`,
    ...quick,
    ...without.map((plugin) => `--disable-plugin=${plugin}`),
    ...(hsmd === undefined ? [] : [`--subdaemon=hsmd:${hsmd}`]),
    ...options,
  ];
}

export class Lightningd implements AsyncDisposable {
  readonly #program: Program;
  readonly #signal: AbortSignal;
  readonly #socket: string;
  readonly #bitcoind: Bitcoind;
  readonly #port: number;
  readonly #lookEveryMs: number | undefined;
  #id = '';

  private constructor(options: LightningdOptions, port: number) {
    const { name, programs, bitcoind, directory, env = {}, lookEveryMs } = options;
    this.#lookEveryMs = lookEveryMs;
    this.#bitcoind = bitcoind;
    this.#port = port;
    this.#socket = join(directory, 'regtest/lightning-rpc');
    const args = argumentsFor(options, port);
    this.#program = new Program({ name, path: programs.lightningd, args, directory, env });
    this.#signal = AbortSignal.any([bitcoind.signal, this.#program.ended]);
    setMaxListeners(0, this.#signal); // each call that is on its way listens
  }

  /** Starts one; resolves when it answers. */
  static async start(options: LightningdOptions): Promise<Lightningd> {
    await mkdir(options.directory, { recursive: true });
    const node = new Lightningd(options, await freePort());
    try {
      const info = () => node.rpc<{ readonly id: string }>('getinfo').catch(() => undefined);
      node.#id = (await until(`${options.name} to answer`, info, node.#signal, options.lookEveryMs)).id;
      return node;
    } catch (error: unknown) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The node's id, hex. */
  get id(): string {
    return this.#id;
  }

  /** Calls a method; `T` is what the caller uses of lightningd's published answer. */
  async rpc<T = unknown>(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<T> {
    return (await callRpc(this.#socket, { method, params }, this.#signal)) as T; // lightningd's schemas vouch for it
  }

  /** Resolves when this node knows the chain's tip. */
  async sync(): Promise<void> {
    const tip = await this.#bitcoind.height();
    await this.eventually(`block ${tip}`, async () => {
      const { blockheight } = await this.rpc<{ readonly blockheight: number }>('getinfo');
      return blockheight >= tip;
    });
  }

  /** Puts coins, in satoshi, into its wallet. */
  async fund(sat: number): Promise<void> {
    const { bech32 } = await this.rpc<{ readonly bech32: string }>('newaddr', { addresstype: 'bech32' });
    await this.#bitcoind.send(bech32, sat);
    await this.#bitcoind.mine(1, 1);
    await this.eventually('coins in its wallet', async () => {
      const { outputs } = await this.rpc<{ readonly outputs: readonly { readonly status: string }[] }>('listfunds');
      return outputs.some(({ status }) => status === 'confirmed');
    });
  }

  /** Connects to another node, or finds that it is. */
  async connect(other: Lightningd): Promise<void> {
    await this.rpc('connect', { id: other.id, host: '127.0.0.1', port: other.#port });
  }

  /** Opens an announced channel of this many satoshi, which both can use when this resolves. */
  async open(other: Lightningd, sat: number): Promise<void> {
    await this.connect(other);
    await this.rpc('fundchannel', { id: other.id, amount: sat });
    await this.confirm(other);
    await this.knows(await this.channel(other));
  }

  /** Resolves when this node has heard of a channel, be it its own or others'. */
  async knows({ short_channel_id }: PeerChannel): Promise<void> {
    await this.eventually('the channel in gossip', async () => {
      const known = await this.rpc<{ readonly channels: readonly unknown[] }>('listchannels', { short_channel_id });
      return known.channels.length === 2; // one for each direction
    });
  }

  /** Mines what waits, until both can use their channel again. */
  async confirm(other: Lightningd): Promise<void> {
    await this.#bitcoind.mine(deepBlocks, 1);
    await this.usable(other);
  }

  /** Resolves when both know the chain's tip, and can use their channel. */
  async usable(other: Lightningd): Promise<void> {
    await this.sync();
    await other.sync();
    await this.eventually('a usable channel', async () => {
      const states = [await this.channel(other), await other.channel(this)].map(({ state }) => state);
      return states.every((state) => state === 'CHANNELD_NORMAL');
    });
  }

  /** The channel that is open with another node. */
  async channel(other: Lightningd): Promise<PeerChannel> {
    const { channels } = await this.rpc<{ readonly channels: readonly PeerChannel[] }>('listpeerchannels', {
      id: other.id,
    });
    const open = channels.findLast(({ state }) => !over.includes(state));
    if (open === undefined) throw new Error('expected an open channel, found none');
    return open;
  }

  /** Has the other make an invoice, in millisatoshi, and pays it; resolves when no HTLC is left on either side. */
  async pay(other: Lightningd, msat: number, description: string): Promise<void> {
    const params = { amount_msat: msat, label: `${description} ${performance.now()}`, description };
    const { bolt11 } = await other.rpc<{ readonly bolt11: string }>('invoice', params);
    await this.rpc('pay', { bolt11 });
    await this.settled(other);
  }

  /** Resolves when no HTLC is left in the channel with another node, on either side. */
  async settled(other: Lightningd): Promise<void> {
    await this.eventually('the payment to be settled', async () => {
      const ends = [await this.channel(other), await other.channel(this)];
      return ends.every(({ htlcs }) => htlcs.length === 0);
    });
  }

  /** Adds satoshi of its wallet to the channel. */
  async spliceIn(other: Lightningd, sat: number): Promise<void> {
    const { channel_id } = await this.channel(other);
    await this.rpc('splicein', { channel: channel_id, amount: `${sat}sat` });
    await this.confirm(other);
  }

  /** Closes the channel by mutual consent, and sees the closing transaction confirmed on both sides. */
  async close(other: Lightningd): Promise<void> {
    await this.rpc('close', { id: other.id });
    await this.#bitcoind.mine(1, 1);
    await this.sync();
    await other.sync();
    await this.eventually('the channel closed on chain', async () => {
      const { channels } = await this.rpc<{ readonly channels: readonly PeerChannel[] }>('listpeerchannels', {
        id: other.id,
      });
      return channels.every(({ state }) => over.includes(state));
    });
  }

  /** Looks until something has come about. */
  async eventually(what: string, done: () => Promise<boolean>): Promise<void> {
    await until(what, async () => ((await done()) ? true : undefined), this.#signal, this.#lookEveryMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}
