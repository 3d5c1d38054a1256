/**
 * The 73-byte form of hsm_secret: a 24-byte header and the seed as one XChaCha20-Poly1305 secretstream message, under
 * argon2id of the passphrase. libsodium itself does both; it is loaded only when such a file is opened, since its
 * argon2id takes 256 MiB and its code a megabyte.
 */

import { utf8 } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';

const headerLength = 24;
/** 16 bytes: the name and zeros. */
const salt = Uint8Array.of(...utf8('c-lightning'), 0, 0, 0, 0, 0);

/** The 32-byte seed, or undefined where the passphrase is not the one. */
export async function decryptSeed(file: Uint8Array, passphrase: Secret): Promise<Secret | undefined> {
  const { default: sodium } = await import('libsodium-wrappers-sumo');
  await sodium.ready;
  const key = passphrase.use((bytes) =>
    sodium.crypto_pwhash(
      32,
      bytes,
      salt,
      sodium.crypto_pwhash_OPSLIMIT_MODERATE,
      sodium.crypto_pwhash_MEMLIMIT_MODERATE,
      sodium.crypto_pwhash_ALG_ARGON2ID13,
    ),
  );
  try {
    const state = sodium.crypto_secretstream_xchacha20poly1305_init_pull(file.subarray(0, headerLength), key);
    const pulled: { message: Uint8Array } | false = sodium.crypto_secretstream_xchacha20poly1305_pull(
      state,
      file.subarray(headerLength),
      null,
    );
    return pulled === false ? undefined : new Secret(pulled.message);
  } finally {
    key.fill(0);
  }
}
