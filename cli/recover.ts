/** `keyhold signer recover`: takes over the host's copy of the signer's state, in place of one that was lost or put back. */

import { once } from 'node:events';
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { systemEntropy } from '../proto/entropy.ts';
import type { Log } from '../proto/log.ts';
import { NodeKeys } from '../signer/keys/node_keys.ts';
import { backend } from '../signer/node/backends.ts';
import { type FetchedCopy, fetchCopy } from '../signer/node/fetch_copy.ts';
import { openFileStore } from '../signer/node/file_store.ts';
import { disk } from '../signer/node/file_system.ts';
import { lockFolder } from '../signer/node/folder_lock.ts';
import { Seal, SealError } from '../signer/store/seal.ts';
import { openSealed } from '../signer/store/sealed.ts';
import { recoveryCommand, type Snapshot, StoreError } from '../signer/store/store.ts';
import { openSecret } from './check_secret.ts';
import { command, UsageError } from './command.ts';
import { dirOption, identityOf, noHost } from './directory.ts';
import { logAt, logOption } from './logging.ts';
import { exists, storeIn } from './policy_of.ts';
import { passphraseOf } from './signer.ts';

/** The state on this machine: what it is, or why it cannot be read; undefined where there is none. */
type Local = Snapshot | { readonly damage: string } | undefined;

/** This command has the folder locked for as long as it runs. */
const held = () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });

async function localState(folder: string, log: Log): Promise<Local> {
  if (!(await exists(join(folder, 'state.log')))) return undefined;
  try {
    const options = { folder, whenMissing: 'fail', log, entropy: systemEntropy, lock: held } as const;
    await using store = await openFileStore(options);
    return { entries: new Map(store.entries), versions: new Map(store.versions), head: store.head };
  } catch (error: unknown) {
    if (error instanceof StoreError) return { damage: error.message };
    throw error;
  }
}

function versionOf(local: Local): bigint {
  return local !== undefined && 'head' in local ? local.head.version : 0n;
}

/** What is in a state, for its owner. */
function contents({ entries, head }: Snapshot): string {
  const count = (prefix: string) => [...entries.keys()].filter((key) => key.startsWith(prefix)).length;
  return `version ${head.version}: ${count('channel/')} channels, ${count('approval/')} approved payments`;
}

function describe(local: Local, copy: Snapshot, storedMs: number): string {
  const found = `the host's copy, stored ${new Date(storedMs).toISOString()} by the host's clock\n  ${contents(copy)}`;
  if (local === undefined) return `${found}\nno state on this machine`;
  if ('damage' in local) return `${found}\nthe state on this machine cannot be read\n  ${local.damage}`;
  return `${found}\nthe state on this machine\n  ${contents(local)}`;
}

/** Opens the copy; one that is older than what is known of is an error. @throws UsageError */
function openCopy(seal: Seal, { entries, head }: FetchedCopy, minimum: bigint): Snapshot {
  try {
    return openSealed(seal, entries, head, minimum);
  } catch (error: unknown) {
    if (error instanceof SealError) throw new UsageError(`the host's copy cannot be used: ${error.message}`);
    throw error;
  }
}

async function confirmed(question: string, signal: AbortSignal): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const ended = once(terminal, 'close').then(() => '');
  try {
    return (await Promise.race([terminal.question(question, { signal }), ended])).trim() === 'yes';
  } finally {
    terminal.close();
  }
}

/**
 * Writes the state where the signer looks for it; one that is there is kept beside it. Whatever stops this, there is the
 * old state or the new one: where there was none, the next attempt would take any copy, however old.
 */
async function write(folder: string, recovered: Snapshot, log: Log): Promise<string | undefined> {
  const path = join(folder, 'state.log');
  const fresh = join(folder, 'recovered');
  await rm(fresh, { recursive: true, force: true });
  const options = { folder: fresh, whenMissing: { recovered }, log, entropy: systemEntropy, lock: held };
  await (await openFileStore(options))[Symbol.asyncDispose]();
  let aside: string | undefined;
  if (await exists(path)) {
    aside = `${folder}.before-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
    await mkdir(aside, { mode: 0o700 });
    await copyFile(path, join(aside, 'state.log'));
  }
  await rename(join(fresh, 'state.log'), path);
  await disk.syncFolder(folder);
  await rm(fresh, { recursive: true });
  return aside;
}

export const recover = command({
  name: 'signer recover',
  summary: 'Take over the host’s copy of the signer’s state, after the local one was lost.',
  explanation:
    'Stop the signer first. What the host has is opened with the secret: a copy that was altered, or is older than the state\n' +
    'on this machine, is refused. A host can still give a copy that is older than what was lost: --at-least says which version\n' +
    'you know was reached (the signer’s log and keyhold status have it). The old state is kept beside the new one.',
  options: {
    dir: dirOption,
    host: { value: 'HOST:PORT', means: 'the host that has the copy', default: '127.0.0.1:9737' },
    secret: { value: 'FILE', means: 'the hsm_secret of the node' },
    state: { value: 'DIR', means: 'where the signer keeps its state (default: state beside the certificates)' },
    'at-least': { value: 'VERSION', means: 'refuse a copy below this version', default: '0' },
    passphrase: { means: 'ask for the secret’s passphrase on the terminal' },
    'passphrase-fd': { value: 'N', means: 'read the passphrase from this file descriptor' },
    log: logOption,
  },
  async run(given, signal) {
    const path = given.option('secret');
    if (path === undefined)
      throw new UsageError(`--secret: expected the path of an hsm_secret; see: ${recoveryCommand} --help`);
    const atLeast = given.option('at-least') ?? '0';
    if (!/^\d{1,19}$/.test(atLeast)) throw new UsageError(`--at-least: expected a version, got ${atLeast}`);
    const dir = given.option('dir') ?? '';
    const log = logAt(given.option('log'));
    const folder = storeIn(given.option('state') ?? join(dir, 'state'));
    const passphrase = await passphraseOf(given.has('passphrase'), given.option('passphrase-fd'), signal);
    const secret = await openSecret(path, passphrase);
    const { state } = new NodeKeys(backend(undefined, systemEntropy), secret, undefined);

    const address = given.option('host') ?? '';
    const fetched = await fetchCopy(address, await identityOf(dir, 'signer'), signal).catch(noHost(address));
    if (fetched === undefined) throw new UsageError('the host has no copy of this node’s state');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await using _locked = await lockFolder(folder, systemEntropy);
    const local = await localState(folder, log);
    const minimum = versionOf(local) > BigInt(atLeast) ? versionOf(local) : BigInt(atLeast);
    const copy = openCopy(new Seal(state, systemEntropy), fetched, minimum);
    console.log(describe(local, copy, fetched.storedMs));
    if (local !== undefined && copy.head.version === versionOf(local) && sameHash(local, copy)) {
      console.log('they are the same: there is nothing to recover');
      return 0;
    }
    console.log('A copy that is older than what was lost would make this signer sign again what it has given up.');
    if (!(await confirmed('Is this the newest state of the node? Type yes to take it over: ', signal))) {
      console.log('nothing was changed');
      return 1;
    }
    const aside = await write(folder, copy, log);
    console.log(`the state is in ${folder}${aside === undefined ? '' : `; what was there is in ${aside}`}`);
    return 0;
  },
});

function sameHash(local: Local, copy: Snapshot): boolean {
  return local !== undefined && 'head' in local && Buffer.compare(local.head.hash, copy.head.hash) === 0;
}
