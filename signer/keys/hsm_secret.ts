/**
 * The hsm_secret file in all its forms, from bytes to the seed that every key comes from (common/hsm_secret.c).
 *
 * 32 bytes are the seed itself; 73 bytes are it encrypted; longer is SHA-256 of the BIP 39 seed (zeros for "no
 * passphrase") and the mnemonic.
 */

import { pbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { entropyToMnemonic, validateMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { concat, utf8 } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';
import { decryptSeed } from './encrypted_seed.ts';

/** The type numbers of init's reply. */
export const secretTypes = { plain: 0, encrypted: 1, mnemonic: 2, mnemonicWithPassphrase: 3 } as const;
export type SecretType = (typeof secretTypes)[keyof typeof secretTypes];

/** An opened hsm_secret: a seed of 32 bytes, or BIP 39's 64. */
export interface HsmSecret {
  readonly type: SecretType;
  readonly seed: Secret;
}

/** Code and text of hsmd's init failure. */
export const hsmSecretErrors = {
  passphraseRequired: [1, 'Passphrase required but not provided'],
  passphraseNotNeeded: [2, 'Passphrase provided but not needed'],
  wrongPassphrase: [3, 'Wrong passphrase'],
  invalidMnemonic: [4, 'Invalid mnemonic'],
  invalidFormat: [7, 'Invalid hsm_secret format'],
} as const;

/** Why an hsm_secret did not open. */
export class HsmSecretError extends Error {
  override readonly name = 'HsmSecretError';
  readonly code: number;

  constructor(problem: keyof typeof hsmSecretErrors) {
    const [code, text] = hsmSecretErrors[problem];
    super(`Failed to load hsm_secret: ${text}`);
    this.code = code;
  }
}

/** What form a file's bytes have; undefined where it is none. */
export function detectSecretType(file: Uint8Array): SecretType | undefined {
  if (file.length < 32) return undefined;
  if (file.length === 32) return secretTypes.plain;
  if (file.length === 73) return secretTypes.encrypted;
  return file.subarray(0, 32).every((byte) => byte === 0) ? secretTypes.mnemonic : secretTypes.mnemonicWithPassphrase;
}

/**
 * Opens an hsm_secret. `passphrase` is taken as the raw bytes given, without Unicode normalisation; a plain seed ignores
 * it, as hsmd does.
 * @throws HsmSecretError
 */
export async function openHsmSecret(file: Uint8Array, passphrase: Secret | undefined): Promise<HsmSecret> {
  const type = detectSecretType(file);
  switch (type) {
    case undefined:
      throw new HsmSecretError('invalidFormat');
    case secretTypes.plain:
      return { type, seed: Secret.copyOf(file) };
    case secretTypes.encrypted: {
      if (passphrase === undefined) throw new HsmSecretError('passphraseRequired');
      const seed = await decryptSeed(file, passphrase);
      if (seed === undefined) throw new HsmSecretError('wrongPassphrase');
      return { type, seed };
    }
    case secretTypes.mnemonic:
    case secretTypes.mnemonicWithPassphrase:
      return { type, seed: openMnemonic(file, type, passphrase) };
  }
}

function openMnemonic(file: Uint8Array, type: SecretType, passphrase: Secret | undefined): Secret {
  const words = untilNul(file.subarray(32));
  if (type === secretTypes.mnemonicWithPassphrase) {
    if (passphrase === undefined) throw new HsmSecretError('passphraseRequired');
    const expected = Secret.copyOf(file.subarray(0, 32));
    if (!new Secret(seedOf(words, passphrase).use(sha256)).equals(expected))
      throw new HsmSecretError('wrongPassphrase');
  } else if (passphrase !== undefined) throw new HsmSecretError('passphraseNotNeeded');
  if (!validateMnemonic(new TextDecoder().decode(words), wordlist)) throw new HsmSecretError('invalidMnemonic');
  return seedOf(words, passphrase);
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** BIP 39's seed, over raw bytes: @scure/bip39 would normalise the passphrase, which hsmd does not. */
function seedOf(words: Uint8Array, passphrase: Secret | undefined): Secret {
  const salt = concat(utf8('mnemonic'), passphrase?.use((bytes) => Uint8Array.from(bytes)) ?? new Uint8Array(0));
  return new Secret(pbkdf2(sha512, words, salt, { c: 2048, dkLen: 64 }));
}

/** The bytes of a new hsm_secret: a mnemonic of twelve words from 16 bytes of `entropy`, as hsmd creates it. */
export function newHsmSecret(entropy: Secret, passphrase: Secret | undefined): Uint8Array {
  const words = utf8(entropy.use((bytes) => entropyToMnemonic(bytes, wordlist)));
  const hash = passphrase === undefined ? new Uint8Array(32) : seedOf(words, passphrase).use(sha256);
  return concat(hash, words);
}
