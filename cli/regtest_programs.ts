/** Where the programs of a regtest are: named by the environment, or on the PATH. */

import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { UsageError } from './command.ts';

export interface RegtestPrograms {
  readonly lightningd: string;
  /** What `lightningd --version` says. */
  readonly version: string;
  readonly bitcoind: string;
  readonly bitcoinCli: string;
  /** The hsmd that belongs to that lightningd, where it was found. */
  readonly hsmd: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

async function firstExecutable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths)
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  return undefined;
}

/**
 * Finds them: CLN names a built Core Lightning tree, BITCOIN a folder with bitcoind and bitcoin-cli; without one of them
 * the PATH is searched.
 * @throws UsageError that names everything that is missing, and what to do
 */
export async function findPrograms(env: Environment): Promise<RegtestPrograms> {
  const { CLN, BITCOIN, PATH = '' } = env;
  const onPath = (name: string) =>
    PATH.split(delimiter)
      .filter((folder) => folder !== '')
      .map((folder) => join(folder, name));
  const inBitcoin = (name: string) => (BITCOIN === undefined ? onPath(name) : [join(BITCOIN, name)]);
  const lightningd = await firstExecutable(
    CLN === undefined ? onPath('lightningd') : [join(CLN, 'lightningd/lightningd')],
  );
  const bitcoind = await firstExecutable(inBitcoin('bitcoind'));
  const bitcoinCli = await firstExecutable(inBitcoin('bitcoin-cli'));
  if (lightningd !== undefined && bitcoind !== undefined && bitcoinCli !== undefined)
    return { lightningd, version: await versionOf(lightningd), bitcoind, bitcoinCli, hsmd: await hsmdOf(lightningd) };
  const where = (folder: string | undefined) => (folder === undefined ? 'on the PATH' : `in ${folder}`);
  const missing = [
    lightningd === undefined && `lightningd (not ${where(CLN)})`,
    bitcoind === undefined && `bitcoind (not ${where(BITCOIN)})`,
    bitcoinCli === undefined && `bitcoin-cli (not ${where(BITCOIN)})`,
  ].filter((what) => what !== false);
  throw new UsageError(
    `missing: ${missing.join(', ')}. Install Core Lightning v26.06 and Bitcoin Core, or name a built Core Lightning tree in ` +
      'CLN and the folder of bitcoind and bitcoin-cli in BITCOIN',
  );
}

async function versionOf(lightningd: string): Promise<string> {
  const { stdout } = await promisify(execFile)(lightningd, ['--version']);
  return stdout.trim();
}

/** In a built tree it lies beside lightningd, in an installation in libexec. */
function hsmdOf(lightningd: string): Promise<string | undefined> {
  const folder = dirname(lightningd);
  return firstExecutable([join(folder, 'lightning_hsmd'), join(folder, '../libexec/c-lightning/lightning_hsmd')]);
}
