/**
 * Who signed an invoice. Recovery and BIP 340's verification are not in `Secp`, which is about our own keys; only
 * public values pass here, so whatever time it takes says nothing.
 */

import * as curve from 'tiny-secp256k1';
import { InvoiceError } from './invoice_error.ts';

/**
 * The node (33 bytes) that made a BOLT 11 signature: r ‖ s ‖ recovery id. A payee that the invoice states is checked, with
 * low S as BOLT 11 wants it, in place of recovery, which takes both. Throws InvoiceError.
 */
export function payeeOf(digest: Uint8Array, signature: Uint8Array, stated: Uint8Array | undefined): Uint8Array {
  const compact = signature.subarray(0, 64);
  if (stated !== undefined) {
    if (!holds(() => curve.verify(digest, stated, compact, true)))
      throw new InvoiceError('not signed by the payee it states');
    return stated;
  }
  try {
    const recovered = curve.recover(digest, compact, recoveryIdOf(signature), true);
    if (recovered !== null) return recovered;
  } catch (error: unknown) {
    throw new InvoiceError('a signature that no key can have made', { cause: error });
  }
  throw new InvoiceError('a signature that no key can have made');
}

function recoveryIdOf(signature: Uint8Array): 0 | 1 | 2 | 3 {
  const id = signature[64];
  if (id === 0 || id === 1 || id === 2 || id === 3) return id;
  throw new InvoiceError('a recovery id that is none');
}

/** Whether a BIP 340 signature of 32 bytes is by this node (33 bytes, whose first one BOLT 12 leaves aside). */
export function isSchnorrBy(node: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  return holds(() => curve.verifySchnorr(digest, node.subarray(1), signature));
}

/** The library throws where a signature or key is no such thing. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}
