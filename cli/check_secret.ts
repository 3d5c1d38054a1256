/** Whether a signer's hsm_secret opens, found out before it attaches: later nobody looks at its terminal. */

import { readFile } from 'node:fs/promises';
import { errorText, type Log } from '../proto/log.ts';
import type { Secret } from '../proto/secret.ts';
import { type HsmSecret, HsmSecretError, hsmSecretErrors, openHsmSecret } from '../signer/keys/hsm_secret.ts';
import { UsageError } from './command.ts';

export interface SecretToCheck {
  readonly path: string;
  readonly passphrase: Secret | undefined;
  /** Whether a missing file is made later. */
  readonly create: boolean;
}

/** What to do about each of hsmd's codes. */
const advice: ReadonlyMap<number, string> = new Map([
  [hsmSecretErrors.passphraseRequired[0], 'it has a passphrase: give --passphrase or --passphrase-fd N'],
  [hsmSecretErrors.passphraseNotNeeded[0], 'it has no passphrase: leave --passphrase and --passphrase-fd out'],
  [hsmSecretErrors.wrongPassphrase[0], 'this is not its passphrase: give the one it was made with'],
  [hsmSecretErrors.invalidMnemonic[0], 'its words are no valid mnemonic: take the file from a backup'],
  [hsmSecretErrors.invalidFormat[0], 'it is no hsm_secret: expected 32 bytes, 73 bytes, or 32 bytes and a mnemonic'],
]);

async function contentOf({ path, create }: SecretToCheck): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error: unknown) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing && create) return undefined;
    const hint = missing ? '; name another file, or let --create make it' : '';
    throw new UsageError(`--secret: cannot read ${path} (${errorText(error)})${hint}`);
  }
}

/** Opens a secret that is needed now. @throws UsageError that says what is wrong and what to do */
export async function openSecret(path: string, passphrase: Secret | undefined): Promise<HsmSecret> {
  const content = await readFile(path).catch((error: unknown) => {
    throw new UsageError(`--secret: cannot read ${path} (${errorText(error)})`);
  });
  try {
    return await openHsmSecret(content, passphrase);
  } catch (error: unknown) {
    if (!(error instanceof HsmSecretError)) throw error;
    throw new UsageError(`--secret: cannot open ${path}: ${advice.get(error.code) ?? error.message}`);
  } finally {
    content.fill(0);
  }
}

/**
 * Opens the file and forgets it. What the owner can set right here and now is thrown; anything else is logged, for
 * lightningd is told the same when it starts, in hsmd's own way. A passphrase that is needed and was not given is no
 * mistake yet: lightningd may bring it.
 * @throws UsageError that says what is wrong and what to do
 */
export async function checkSecret(secret: SecretToCheck, log: Log): Promise<void> {
  const content = await contentOf(secret);
  if (content === undefined) return;
  try {
    const { seed } = await openHsmSecret(content, secret.passphrase);
    seed[Symbol.dispose]();
  } catch (error: unknown) {
    if (!(error instanceof HsmSecretError)) throw error;
    if (error.code === hsmSecretErrors.passphraseRequired[0]) return;
    const problem = `cannot open ${secret.path}: ${advice.get(error.code) ?? error.message}`;
    if (secret.passphrase !== undefined) throw new UsageError(`--secret: ${problem}`);
    log('warn', 'the hsm_secret does not open', { problem });
  } finally {
    content.fill(0);
  }
}
