/**
 * The small certificate authority of a host: one root, and the certificates of the host itself, of its nodes' signers
 * and of operators, all ECDSA over P-256. Used when a host is set up and when a signer is admitted, not while it serves.
 */

import './reflect_metadata.ts';
import { chmod, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { Entropy } from '../proto/entropy.ts';
import { hostName, operatorName, signerName } from './certificate_name.ts';

/** A certificate and its private key (PKCS 8), both PEM. */
export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** Since when and for how many days a certificate is valid. */
export interface Validity {
  readonly from: Date;
  readonly days: number;
}

interface Issue {
  readonly commonName: string;
  readonly usage: ExtendedKeyUsage;
  /** DNS names and IP addresses that a server may be reached by. */
  readonly names: readonly string[];
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const day = 24 * 60 * 60 * 1000;

const until = ({ from, days }: Validity) => new Date(from.getTime() + days * day);

/** 16 bytes, positive: the first bit is clear, the second set so that none has to be left out. */
function serialNumber(entropy: Entropy): string {
  const bytes = Uint8Array.from(entropy(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

const newKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

async function pemOf(key: CryptoKey): Promise<string> {
  return PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

/** Makes a certificate authority. */
export async function createAuthority(validity: Validity, entropy: Entropy): Promise<Credentials> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=keyhold authority',
    keys,
    serialNumber: serialNumber(entropy),
    notBefore: validity.from,
    notAfter: until(validity),
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: certificate.toString('pem'), key: await pemOf(keys.privateKey) };
}

async function issue(authority: Credentials, what: Issue, validity: Validity, entropy: Entropy): Promise<Credentials> {
  const issuer = new X509Certificate(authority.cert);
  const signingKey = await crypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(authority.key), algorithm, false, [
    'sign',
  ]);
  const keys = await newKeys();
  const names = what.names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value }));
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${what.commonName}`,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey,
    serialNumber: serialNumber(entropy),
    notBefore: validity.from,
    notAfter: until(validity),
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([what.usage]),
      ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : []),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { cert: certificate.toString('pem'), key: await pemOf(keys.privateKey) };
}

/** A certificate for the host itself: valid for this machine's own names and the given DNS names and IP addresses. */
export function issueHost(
  authority: Credentials,
  names: readonly string[],
  validity: Validity,
  entropy: Entropy,
): Promise<Credentials> {
  const all = [...new Set(['localhost', '127.0.0.1', '::1', ...names])];
  return issue(authority, { commonName: hostName, usage: ExtendedKeyUsage.serverAuth, names: all }, validity, entropy);
}

/** A certificate for a signer of this node, and of no other. Throws `RangeError` for what cannot be a node's name. */
export function issueSigner(
  authority: Credentials,
  node: string,
  validity: Validity,
  entropy: Entropy,
): Promise<Credentials> {
  return issue(
    authority,
    { commonName: signerName(node), usage: ExtendedKeyUsage.clientAuth, names: [] },
    validity,
    entropy,
  );
}

/** A certificate that sees the status of every node and serves none. */
export function issueOperator(authority: Credentials, validity: Validity, entropy: Entropy): Promise<Credentials> {
  return issue(
    authority,
    { commonName: operatorName, usage: ExtendedKeyUsage.clientAuth, names: [] },
    validity,
    entropy,
  );
}

/** Writes a private key that only this user may read (0600). Fails where the file exists: a key is not overwritten. */
export async function writeKeyFile(path: string, pem: string): Promise<void> {
  await writeFile(path, pem, { mode: 0o600, flag: 'wx' });
  // The mask of the process may have taken more than it should.
  await chmod(path, 0o600);
}
