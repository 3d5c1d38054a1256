/**
 * Whom a client certificate is for, by its common name: a signer's is bound to one node, an operator's sees the status
 * of all. The certificate authority of a host signs nothing else.
 */

import { type Caller, StatusError } from '../proto/grpc.ts';

const signerPrefix = 'keyhold signer ';

/** The common name of an operator's certificate. */
export const operatorName = 'keyhold operator';

/** The common name of the host's own certificate. */
export const hostName = 'keyhold host';

/** Names of nodes: letters, digits, dots, dashes and underscores, 1 to 40 of them. */
export function isNodeName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,40}$/.test(name);
}

/** The common name of a signer's certificate. Throws `RangeError` for what cannot be a node's name. */
export function signerName(node: string): string {
  if (!isNodeName(node))
    throw new RangeError(
      `expected 1 to 40 letters, digits, dots, dashes or underscores as a node's name, got "${node}"`,
    );
  return `${signerPrefix}${node}`;
}

/** The node that a signer's certificate is for, undefined for every other name. */
export function nodeOf(commonName: string | undefined): string | undefined {
  if (commonName?.startsWith(signerPrefix) !== true) return undefined;
  const node = commonName.slice(signerPrefix.length);
  return isNodeName(node) ? node : undefined;
}

/** The node that a caller is a signer of. Throws `StatusError` where it is none's. */
export function nodeFor({ commonName }: Pick<Caller, 'commonName'>): string {
  const node = nodeOf(commonName);
  if (node === undefined)
    throw new StatusError('PERMISSION_DENIED', `this certificate is for no node: ${commonName ?? 'it has no name'}`);
  return node;
}

/**
 * The node that a caller may look at: a signer its own, an operator each, or with an empty name all (undefined). Throws
 * `StatusError` for anybody else.
 */
export function nodeSeenBy({ commonName }: Pick<Caller, 'commonName'>, wanted: string): string | undefined {
  if (commonName === operatorName) return wanted === '' ? undefined : wanted;
  const own = nodeOf(commonName);
  if (own === undefined)
    throw new StatusError('PERMISSION_DENIED', 'expected the certificate of a signer or an operator');
  if (wanted !== '' && wanted !== own)
    throw new StatusError('PERMISSION_DENIED', `this certificate is for the node ${own}, not for ${wanted}`);
  return own;
}
