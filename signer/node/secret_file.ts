/** The hsm_secret on disk: read, or created the way hsmd does it, synced to disk before anything depends on it. */

import { open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Secret } from '../../proto/secret.ts';
import { newHsmSecret, openHsmSecret } from '../keys/hsm_secret.ts';
import type { SecretSource } from '../startup.ts';

export interface SecretFileOptions {
  readonly path: string;
  /** The passphrase the owner gave this signer; without one, the one lightningd gives in `init` is tried. */
  readonly passphrase: Secret | undefined;
  /** Whether a missing file is created, with a new mnemonic of twelve words. */
  readonly create: boolean;
  readonly entropy: (length: number) => Uint8Array;
}

/** A software key in a file. */
export function secretFile({ path, passphrase, create, entropy }: SecretFileOptions): SecretSource {
  return {
    async open(fromInit) {
      const given = passphrase ?? fromInit;
      if (create) await createIfMissing(path, given, entropy);
      return openHsmSecret(await readFile(path), given);
    },
  };
}

/** O_EXCL and mode 0400, then fsync of file and folder (maybe_create_new_hsm). */
async function createIfMissing(
  path: string,
  passphrase: Secret | undefined,
  entropy: (length: number) => Uint8Array,
): Promise<void> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'wx', 0o400);
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return;
    throw error;
  }
  try {
    const seed = new Secret(entropy(16));
    await file.writeFile(newHsmSecret(seed, passphrase));
    seed[Symbol.dispose]();
    await file.sync();
  } finally {
    await file.close();
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
