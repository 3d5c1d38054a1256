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
      return { type, seed: await openMnemonic(file, type, passphrase) };
  }
}

async function openMnemonic(file: Uint8Array, type: SecretType, passphrase: Secret | undefined): Promise<Secret> {
  const words = untilNul(file.subarray(32));
  if (type === secretTypes.mnemonicWithPassphrase) {
    if (passphrase === undefined) throw new HsmSecretError('passphraseRequired');
    const expected = Secret.copyOf(file.subarray(0, 32));
    const seed = await stretched(words, passphrase);
    if (!new Secret(seed.use(sha256)).equals(expected)) throw new HsmSecretError('wrongPassphrase');
    if (!isMnemonic(words)) throw new HsmSecretError('invalidMnemonic');
    return seed;
  }
  if (passphrase !== undefined) throw new HsmSecretError('passphraseNotNeeded');
  if (!isMnemonic(words)) throw new HsmSecretError('invalidMnemonic');
  return stretched(words, undefined);
}

function isMnemonic(words: Uint8Array): boolean {
  return validateMnemonic(new TextDecoder().decode(words), wordlist);
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** How a mnemonic becomes BIP 39's seed. */
const iterations = 2048;
const seedLength = 64;

/** Over raw bytes: @scure/bip39 would normalise the passphrase, which hsmd does not. */
function saltOf(passphrase: Secret | undefined): Uint8Array<ArrayBuffer> {
  return concat(utf8('mnemonic'), passphrase?.use((bytes) => Uint8Array.from(bytes)) ?? new Uint8Array(0));
}

/** BIP 39's seed. */
function seedOf(words: Uint8Array, passphrase: Secret | undefined): Secret {
  return new Secret(pbkdf2(sha512, words, saltOf(passphrase), { c: iterations, dkLen: seedLength }));
}

/** The same where a start of lightningd waits for it: by the platform's own code, which needs a hundredth of the time. */
async function stretched(words: Uint8Array, passphrase: Secret | undefined): Promise<Secret> {
  const { subtle } = globalThis.crypto;
  // A browser has none on a page that came without TLS.
  if (subtle === undefined) return seedOf(words, passphrase);
  const salt = saltOf(passphrase);
  const key = await subtle.importKey('raw', Uint8Array.from(words), 'PBKDF2', false, ['deriveBits']);
  const params = { name: 'PBKDF2', hash: 'SHA-512', salt, iterations };
  return new Secret(new Uint8Array(await subtle.deriveBits(params, key, seedLength * 8)));
}

/** The bytes of a new hsm_secret: a mnemonic of twelve words from 16 bytes of `entropy`, as hsmd creates it. */
export function newHsmSecret(entropy: Secret, passphrase: Secret | undefined): Uint8Array {
  const words = utf8(entropy.use((bytes) => entropyToMnemonic(bytes, wordlist)));
  const hash = passphrase === undefined ? new Uint8Array(32) : seedOf(words, passphrase).use(sha256);
  return concat(hash, words);
}
