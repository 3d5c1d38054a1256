/**
 * Who signed an invoice. Recovery and BIP 340's verification are not in `Secp`, which is about our own keys; only
 * public values pass here, so the plain JavaScript implementation serves.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { hashes, recoverPublicKey, schnorr, verify } from '@noble/secp256k1';
import { InvoiceError } from './invoice_error.ts';

// The library comes without hashes and takes them from here, for every user in the process.
hashes.sha256 = sha256;

/**
 * The node (33 bytes) that made a BOLT 11 signature: r ‖ s ‖ recovery id. A payee that the invoice states is checked, with
 * low S as BOLT 11 wants it, in place of recovery, which takes both. Throws InvoiceError.
 */
export function payeeOf(digest: Uint8Array, signature: Uint8Array, stated: Uint8Array | undefined): Uint8Array {
  const compact = signature.subarray(0, 64);
  if (stated !== undefined) {
    if (!holds(() => verify(compact, digest, stated, { prehash: false, lowS: true })))
      throw new InvoiceError('not signed by the payee it states');
    return stated;
  }
  const recovered = new Uint8Array(65);
  recovered[0] = signature[64] ?? 0;
  recovered.set(compact, 1);
  try {
    return recoverPublicKey(recovered, digest, { prehash: false });
  } catch (error: unknown) {
    throw new InvoiceError('a signature that no key can have made', { cause: error });
  }
}

/** Whether a BIP 340 signature of 32 bytes is by this node (33 bytes, whose first one BOLT 12 leaves aside). */
export function isSchnorrBy(node: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  return holds(() => schnorr.verify(signature, digest, node.subarray(1)));
}

/** The library throws where a signature or key is no such thing. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}
