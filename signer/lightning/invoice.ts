/** An invoice of either kind, as lightningd passes it to preapprove_invoice: what paying it means. */

import { equalBytes } from '../../proto/bytes.ts';
import type { Secp } from '../crypto/secp.ts';
import { parseBolt11 } from './bolt11.ts';
import { parseBolt12Invoice } from './bolt12.ts';
import { InvoiceError } from './invoice_error.ts';

export interface Invoice {
  /** 32 bytes. */
  readonly paymentHash: Uint8Array;
  /** Undefined where the payer chooses (BOLT 11 only). */
  readonly amountMsat: bigint | undefined;
  /** Who is paid, 33 bytes, proven by the invoice's signature. */
  readonly payee: Uint8Array;
  /** Seconds since 1970: after this it should not be paid. */
  readonly expiresAt: number;
  /** The BOLT 12 offer it answers, 32 bytes. */
  readonly offerId: Uint8Array | undefined;
  /** BOLT 11's description, where it is not only a hash. */
  readonly description: string | undefined;
}

/** The parts of a network that an invoice must agree with. */
export interface InvoiceNetwork {
  /** BOLT 11's prefix behind `ln`. */
  readonly invoicePrefix: string;
  /** The genesis block's hash, 32 bytes, internal order. */
  readonly chain: Uint8Array;
}

const bitcoinPrefix = 'bc';

/** An invoice for this network, with or without `lightning:` in front; `recover` as in `parseBolt11`. Throws InvoiceError. */
export function parseInvoice(text: string, network: InvoiceNetwork, recover?: Secp['recover']): Invoice {
  const plain = text.replace(/^lightning:/i, '');
  return /^lni1/i.test(plain) ? fromBolt12(plain, network) : fromBolt11(plain, network, recover);
}

function fromBolt11(text: string, { invoicePrefix }: InvoiceNetwork, recover: Secp['recover'] | undefined): Invoice {
  const { prefix, paymentHash, amountMsat, payee, createdAt, expirySeconds, description } = parseBolt11(text, recover);
  if (prefix !== invoicePrefix)
    throw new InvoiceError(`expected an invoice of the network ${invoicePrefix}, got ${prefix}`);
  return { paymentHash, amountMsat, payee, expiresAt: createdAt + expirySeconds, offerId: undefined, description };
}

function fromBolt12(text: string, network: InvoiceNetwork): Invoice {
  const { chain, paymentHash, amountMsat, payee, createdAt, expirySeconds, offerId } = parseBolt12Invoice(text);
  const here = chain === undefined ? network.invoicePrefix === bitcoinPrefix : equalBytes(chain, network.chain);
  if (!here) throw new InvoiceError('expected an invoice of this network, got one of another');
  return { paymentHash, amountMsat, payee, expiresAt: createdAt + expirySeconds, offerId, description: undefined };
}
