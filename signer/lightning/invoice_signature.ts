/**
 * Who signed an invoice. BIP 340's verification is not in `Secp`, which is about our own keys; only public values pass
 * here, so whatever time it takes says nothing.
 */

import * as curve from 'tiny-secp256k1';
import type { Secp } from '../crypto/secp.ts';
import { recover } from '../crypto/tiny.ts';
import { InvoiceError } from './invoice_error.ts';

/**
 * The node (33 bytes) that made a BOLT 11 signature: r ‖ s ‖ recovery id. A payee that the invoice states is checked, with
 * low S as BOLT 11 wants it, in place of recovery, which takes both. Throws InvoiceError.
 */
export function payeeOf(
  digest: Uint8Array,
  signature: Uint8Array,
  stated: Uint8Array | undefined,
  recoverBy: Secp['recover'] = recover,
): Uint8Array {
  const compact = signature.subarray(0, 64);
  if (stated !== undefined) {
    if (!holds(() => curve.verify(digest, stated, compact, true)))
      throw new InvoiceError('not signed by the payee it states');
    return stated;
  }
  const recovered = recoverBy(digest, compact, signature[64] ?? NaN);
  if (recovered === undefined) throw new InvoiceError('a signature that no key can have made');
  return recovered;
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
