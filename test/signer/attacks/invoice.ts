/** Invoices of the test network (BOLT 11), as payees write them. */

import { bech32 } from '@scure/base';
import { utf8 } from '../../../proto/bytes.ts';
import { sha256Of } from '../../../signer/crypto/hash.ts';
import type { NodeKeys } from '../../../signer/keys/node_keys.ts';
import { packed } from '../../../signer/lightning/words.ts';
import { secp } from './world.ts';

export interface InvoiceTerms {
  /** Millionths of a bitcoin. */
  /** Undefined where the payer chooses. */
  readonly micro: number | undefined;
  readonly hash: Uint8Array;
  readonly description: string;
  /** Unix seconds. */
  readonly createdAt: number;
}

/** A number as so many five-bit words. */
function words(value: number, length: number): number[] {
  return Array.from({ length }, (_, i) => Math.floor(value / 32 ** (length - 1 - i)) % 32);
}

function field(type: number, bytes: Uint8Array): number[] {
  const data = bech32.toWords(bytes);
  return [type, ...words(data.length, 2), ...data];
}

/** The human-readable part and the words in front of the signature. */
export function unsignedInvoice({ micro, hash, description, createdAt }: InvoiceTerms) {
  const secret = field(16, new Uint8Array(32).fill(5));
  const data = [...words(createdAt, 7), ...field(1, hash), ...secret, ...field(13, utf8(description))];
  return { hrp: micro === undefined ? 'lnbcrt' : `lnbcrt${micro}u`, words: data };
}

export function signedInvoice(payee: NodeKeys, terms: InvoiceTerms): string {
  const { hrp, words: data } = unsignedInvoice(terms);
  const { signature, recoveryId } = secp.signRecoverable(sha256Of(hrp, packed(data)), payee.node.secret);
  return bech32.encode(hrp, [...data, ...bech32.toWords(Uint8Array.of(...signature, recoveryId))], false);
}
