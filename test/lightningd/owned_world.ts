/**
 * Three lightningds in a line on regtest: `near` pays through `node` to `far`. The keys of `node` are at a signer whose
 * owner says yes to nothing but what is approved.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AskedJson } from '../../cli/approver_requests.ts';
import { bin } from '../../cli/bridge_processes.ts';
import { Bitcoind } from '../../cli/regtest_bitcoind.ts';
import { Lightningd, type LightningdOptions } from '../../cli/regtest_lightningd.ts';
import { findPrograms } from '../../cli/regtest_programs.ts';
import { OwnedSigner } from './owned_signer.ts';

export type Neighbour = 'near' | 'far';

export interface World extends AsyncDisposable {
  readonly bitcoind: Bitcoind;
  readonly owned: OwnedSigner;
  readonly near: Lightningd;
  readonly node: Lightningd;
  readonly far: Lightningd;
  /** Lets go what `far` holds. */
  release(): Promise<void>;
  /** What broke so far, as `node`'s log has it, but for channels with these. */
  broken(except?: readonly Neighbour[]): Promise<readonly string[]>;
}

export interface WorldOptions {
  readonly chain: boolean;
  /** Whether `far` keeps every HTLC that reaches it. */
  readonly holds: boolean;
}

/** Played with a world of its own each. */
export type Stories = {
  readonly [name: string]: {
    readonly options?: Partial<WorldOptions>;
    /** Whose channel ends or rests in it. */
    readonly loses?: readonly Neighbour[];
    readonly play: (world: World) => Promise<void>;
  };
};

const channelSat = 2_000_000;
const walletSat = 10_000_000;
const holdPlugin = fileURLToPath(new URL('../../../test/lightningd/hold-plugin', import.meta.url));
/** Blocks between the expiries of a forwarded HTLC: as on mainnet, so that one can come back before the other is due. */
const cltvDelta = 34;
/** That two channels to one peer are equally good is no trouble. */
const trouble =
  /\*\*BROKEN\*\* (?!lightningd: Two equal candidates)|Peer transient failure|Peer permanent failure|Owning subdaemon \S+ died/;

async function openAll(folder: string, { chain, holds }: WorldOptions, opened: AsyncDisposable[], signal: AbortSignal) {
  const programs = await findPrograms(process.env);
  const keep = <T extends AsyncDisposable>(one: T): T => {
    opened.push(one);
    return one;
  };
  const bitcoind = keep(await Bitcoind.start(programs, join(folder, 'bitcoind'), signal));
  const owned = keep(await OwnedSigner.open({ root: join(folder, 'k'), chain: chain ? bitcoind : undefined }, signal));
  const start = async (name: string, more: Partial<LightningdOptions> = {}) => {
    const { options = [], ...others } = more;
    const common = [`--cltv-delta=${cltvDelta}`, '--dev-fast-reconnect', ...options];
    const directory = join(folder, name);
    return keep(await Lightningd.start({ name, programs, bitcoind, directory, options: common, ...others }));
  };
  const node = await start('node', { hsmd: bin('keyhold-hsmd'), env: owned.env });
  const near = await start('near');
  const far = await start('far', { options: holds ? [`--plugin=${holdPlugin}`] : [] });
  return { bitcoind, owned, near, node, far };
}

/** Starts all, with a channel from `near` to `node` and one from `node` to `far`. */
export async function openWorld(folder: string, options: WorldOptions, signal: AbortSignal): Promise<World> {
  const opened: AsyncDisposable[] = [];
  const close = async () => {
    for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]();
  };
  try {
    const parts = await openAll(folder, options, opened, signal);
    const { near, node, far, owned } = parts;
    await near.fund(walletSat);
    await node.fund(walletSat);
    await near.open(node, channelSat);
    await withWord(owned, () => node.open(far, channelSat));
    await near.knows(await node.channel(far));
    await far.knows(await near.channel(node));
    const broken = async (except: readonly Neighbour[] = []) => {
      const log = await readFile(join(folder, 'node/log'), 'utf8');
      const lines = log.split('\n').filter((line) => trouble.test(line));
      return lines.filter((line) => !except.some((name) => line.includes(parts[name].id)));
    };
    const release = () => writeFile(join(folder, 'far/regtest/release'), '');
    return { ...parts, release, broken, [Symbol.asyncDispose]: close };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

/** What the owner was asked about something, and what lightningd said when it was refused. */
export interface Word {
  readonly asked: readonly AskedJson[];
  readonly refused: string;
}

/** Does what the owner has to be asked about: it must be refused first, and pass once all that was asked is approved. */
export async function withWord(owned: OwnedSigner, attempt: () => Promise<unknown>, amountMsat = 0): Promise<Word> {
  const refused = await attempt().then(
    () => undefined,
    (error: unknown) => String(error),
  );
  if (refused === undefined) throw new Error('expected it to need the owner’s word, and it went through');
  const asked = await owned.yes(amountMsat);
  if (asked.length === 0) throw new Error(`expected something for the owner to approve after: ${refused}`);
  await attempt();
  return { asked, refused };
}
