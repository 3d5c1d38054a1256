/** `keyhold init`: the certificates by which host, signer and operator know each other. */

import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { systemEntropy } from '../proto/entropy.ts';
import { errorText } from '../proto/log.ts';
import {
  type Credentials,
  createAuthority,
  issueHost,
  issueOperator,
  issueSigner,
  type Validity,
  writeKeyFile,
} from '../server/certificates.ts';
import { command, UsageError } from './command.ts';
import { certificatePath, dirOption, type Role } from './directory.ts';

const day = 24 * 60 * 60 * 1000;

/** From a day ago, so that a machine whose clock is a little behind ours does not refuse them. */
function validFor(days: number): Validity {
  return { from: new Date(Date.now() - day), days: days + 1 };
}

async function write(dir: string, role: Role | 'ca', { cert, key }: Credentials): Promise<void> {
  await writeKeyFile(certificatePath(dir, role, 'key'), key);
  await writeFile(certificatePath(dir, role, 'cert'), cert);
}

/** @throws UsageError where the folder has this key already: none is ever written over */
async function mustHaveNone(dir: string, role: Role | 'ca'): Promise<void> {
  const found = await stat(certificatePath(dir, role, 'key')).catch(() => undefined);
  if (found !== undefined)
    throw new UsageError(`${dir} has certificates already: give --dir another folder, or move that one away`);
}

/** Lays out a new installation's certificates in `dir`, which must not have any yet. */
export async function createCertificates(
  dir: string,
  node: string,
  names: readonly string[],
  days: number,
): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await mustHaveNone(dir, 'ca');
  const validity = validFor(days);
  const authority = await createAuthority(validity, systemEntropy);
  await write(dir, 'ca', authority);
  await write(dir, 'host', await issueHost(authority, names, validity, systemEntropy));
  await write(dir, 'signer', await issueSigner(authority, node, validity, systemEntropy));
  await write(dir, 'operator', await issueOperator(authority, validity, systemEntropy));
}

/** Adds a signer's certificate for another node, by the authority in `authorityDir`. */
export async function createSignerCertificate(
  authorityDir: string,
  dir: string,
  node: string,
  days: number,
): Promise<void> {
  const file = (kind: 'cert' | 'key') =>
    readFile(certificatePath(authorityDir, 'ca', kind), 'utf8').catch((error: unknown) => {
      throw new UsageError(`--authority: expected a folder with ca.cert.pem and ca.key.pem (${errorText(error)})`);
    });
  const authority = { cert: await file('cert'), key: await file('key') };
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await mustHaveNone(dir, 'signer');
  await write(dir, 'signer', await issueSigner(authority, node, validFor(days), systemEntropy));
  await writeFile(certificatePath(dir, 'ca', 'cert'), authority.cert);
}

export const init = command({
  name: 'init',
  summary: 'Make the certificates by which host and signer know each other.',
  explanation:
    'Writes an authority and certificates for host, signer and operator into DIR. Give the host ca.cert.pem and host.*,\n' +
    'the signer ca.cert.pem and signer.*; keep ca.key.pem offline: who has it can pose as either.',
  options: {
    dir: dirOption,
    authority: {
      value: 'DIR',
      means: 'make only a signer’s certificate, by the authority in this folder: for another node',
    },
    node: { value: 'NAME', means: 'the node that the signer certificate is bound to', default: 'node' },
    name: {
      value: 'HOST[,HOST…]',
      means: 'DNS names or IP addresses the host is reached by, besides localhost',
      default: '',
    },
    days: { value: 'N', means: 'for how many days the certificates are valid', default: '825' },
  },
  async run(given) {
    const dir = given.option('dir') ?? '';
    const days = Number(given.option('days'));
    if (!Number.isInteger(days) || days < 1)
      throw new UsageError(`--days: expected a whole number of days, got ${given.option('days')}`);
    const authority = given.option('authority');
    if (authority !== undefined) {
      await createSignerCertificate(authority, dir, given.option('node') ?? '', days);
      console.log(`a certificate for a signer of ${given.option('node')} is in ${dir}`);
      return 0;
    }
    const names = (given.option('name') ?? '').split(',').filter((name) => name !== '');
    await createCertificates(dir, given.option('node') ?? '', names, days);
    console.log(`certificates for host, signer and operator are in ${dir}`);
    console.log(`next: keyhold host --dir ${dir}    and    keyhold signer --dir ${dir} --secret FILE`);
    return 0;
  },
});
