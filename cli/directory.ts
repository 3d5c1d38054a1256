/** The files of one Keyhold installation: certificates and keys as `keyhold init` lays them out. */

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { StatusError, type TlsIdentity } from '../proto/grpc.ts';
import { UsageError } from './command.ts';

export const defaultDirectory = join(homedir(), '.keyhold');

/** The option every command with certificates has. */
export const dirOption = {
  value: 'DIR',
  means: 'where `keyhold init` put the certificates',
  default: defaultDirectory,
};

/** The roles a certificate is made for, and the files it stands in. */
export const roles = ['host', 'signer', 'operator'] as const;
export type Role = (typeof roles)[number];

export function certificatePath(dir: string, role: Role | 'ca', kind: 'cert' | 'key'): string {
  return join(dir, `${role}.${kind}.pem`);
}

/** What to say where no host answers. */
export function unreachable(address: string, { message }: StatusError): string {
  const cause = message
    .replace(/^No connection established\. Last error: (Error: )?/, '')
    .replace(/\W*Resolution note:.*$/, '');
  return `nothing answers at ${address} (${cause}): is keyhold host running there, and is --host its address?`;
}

/** Handles a failed call: where no host answered, the error says what to look at; another one stays what it is. */
export function noHost(address: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof StatusError && error.code === 'UNAVAILABLE') throw new Error(unreachable(address, error));
    throw error;
  };
}

/** Reads the identity of a role. @throws UsageError that says what to run */
export async function identityOf(dir: string, role: Role): Promise<TlsIdentity> {
  const read = async (path: string) => {
    try {
      return await readFile(path, 'utf8');
    } catch (error: unknown) {
      throw new UsageError(
        `cannot read ${path} (${error instanceof Error ? error.message : 'unknown error'}): run keyhold init, or name its folder with --dir`,
      );
    }
  };
  return {
    ca: await read(certificatePath(dir, 'ca', 'cert')),
    cert: await read(certificatePath(dir, role, 'cert')),
    key: await read(certificatePath(dir, role, 'key')),
  };
}
