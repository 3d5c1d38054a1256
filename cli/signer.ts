/** `keyhold signer`: the owner's side. Opens the key, attaches to the host, answers, attaches again. */

import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../proto/clock.ts';
import { systemEntropy } from '../proto/entropy.ts';
import { errorText } from '../proto/log.ts';
import type { Secret } from '../proto/secret.ts';
import { Signer } from '../signer/dispatch.ts';
import { backend } from '../signer/node/backends.ts';
import { keepAttached } from '../signer/node/link.ts';
import { secretFile } from '../signer/node/secret_file.ts';
import { Session } from '../signer/session.ts';
import { promptOwner } from './approver_terminal.ts';
import { checkSecret } from './check_secret.ts';
import { command, UsageError } from './command.ts';
import { dirOption, identityOf } from './directory.ts';
import { logAt, logOption } from './logging.ts';
import { passphraseFromFd, passphraseFromTerminal } from './passphrase.ts';
import { exists, openPolicy, policyOption, readPolicy } from './policy_of.ts';
import { software } from './version.ts';

/** The passphrase that the options ask for. @throws UsageError */
export async function passphraseOf(
  ask: boolean,
  fd: string | undefined,
  signal: AbortSignal,
): Promise<Secret | undefined> {
  if (fd !== undefined) {
    if (!/^\d+$/.test(fd))
      throw new UsageError(`--passphrase-fd: expected the number of an open file descriptor, got ${fd}`);
    return passphraseFromFd(Number(fd)).catch((error: unknown) => {
      throw new UsageError(`--passphrase-fd: expected an open file descriptor, got ${fd} (${errorText(error)})`);
    });
  }
  return ask ? passphraseFromTerminal('passphrase of the hsm_secret: ', signal) : undefined;
}

export const signer = command({
  name: 'signer',
  summary: 'Hold the keys and answer a host’s requests.',
  explanation:
    'The secret is an hsm_secret file as lightningd makes it: 32 bytes, encrypted, or a mnemonic with or without passphrase.\n' +
    'A passphrase comes from a prompt or a file descriptor, never from an argument. Stop it with Ctrl-C; it says goodbye first.\n' +
    'Without a policy file nothing leaves but what the owner allows: see keyhold approvals, keyhold policy example.',
  options: {
    dir: dirOption,
    host: { value: 'HOST:PORT', means: 'the host to attach to', default: '127.0.0.1:9737' },
    secret: { value: 'FILE', means: 'the hsm_secret to sign with' },
    create: { means: 'make a new secret (a mnemonic of twelve words) where FILE does not exist' },
    policy: policyOption,
    state: { value: 'DIR', means: 'where the signer keeps its state (default: state beside the certificates)' },
    'new-state': { means: 'begin with an empty state: for a secret whose node has no channels' },
    'require-chain': { means: 'trust no outpoint without proof, also where the host tells nothing of the chain' },
    passphrase: { means: 'ask for the secret’s passphrase on the terminal' },
    'passphrase-fd': { value: 'N', means: 'read the passphrase from this file descriptor' },
    name: { value: 'NAME', means: 'what this signer calls itself in the host’s status', default: hostname() },
    secp: { value: 'NAME', means: 'secp256k1 by native, tiny or noble (default: the fastest there is)' },
    log: logOption,
  },
  async run(given, signal) {
    const path = given.option('secret');
    if (path === undefined)
      throw new UsageError('--secret: expected the path of an hsm_secret; see: keyhold signer --help');
    const dir = given.option('dir') ?? '';
    const identity = await identityOf(dir, 'signer');
    const secp = backend(given.option('secp'), systemEntropy);
    const file = await readPolicy(given.option('policy'), secp);
    const passphrase = await passphraseOf(given.has('passphrase'), given.option('passphrase-fd'), signal);
    const log = logAt(given.option('log'));
    await checkSecret({ path, passphrase, create: given.has('create') }, log);
    const secret = secretFile({ path, passphrase, create: given.has('create'), entropy: systemEntropy });
    const isNew = given.has('create') && !(await exists(path));
    await using opened = await openPolicy({
      file,
      folder: given.option('state') ?? join(dir, 'state'),
      begin: isNew || given.has('new-state'),
      owner: 'remote',
      link: { chainRequired: given.has('require-chain') },
      clock: systemClock,
      entropy: systemEntropy,
      log,
      secp,
    });
    const { stdin: input, stderr: output } = process;
    const prompts = opened.owned !== undefined && input.isTTY && output.isTTY;
    using _prompt = prompts ? promptOwner({ ...opened.owned, clock: systemClock }, { input, output }) : undefined;
    const session = new Session({
      signer: new Signer({ secp, secret, policy: opened.policy }),
      id: systemEntropy(16),
      name: given.option('name') ?? '',
      software,
      clock: systemClock,
      log,
      signal,
      companions: opened.companions,
    });
    const address = given.option('host') ?? '';
    await keepAttached({ session, address, identity, clock: systemClock, entropy: systemEntropy, log }, signal);
    return 0;
  },
});
