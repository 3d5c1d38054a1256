/**
 * What value may leave for, or what may be promised: said by an owner's request, asked for by lightningd, and compared
 * here. A purpose names the one thing that cannot be exchanged for another: a payment hash, an address, a peer.
 */

import { equalBytes, toHex, utf8 } from '../../proto/bytes.ts';
import { sha256Of } from '../crypto/hash.ts';
import type { Bolt11Content } from '../lightning/bolt11.ts';

export type Purpose =
  /** HTLCs with this hash. The invoice's payee and offer are known where an invoice was shown. */
  | {
      readonly kind: 'payment';
      readonly paymentHash: Uint8Array;
      readonly payee?: Uint8Array | undefined;
      readonly offerId?: Uint8Array | undefined;
    }
  /** Whatever invoice answers this BOLT 12 offer. */
  | { readonly kind: 'offer'; readonly offerId: Uint8Array }
  /** A payment without an invoice; an owner's request seldom knows its hash. */
  | {
      readonly kind: 'keysend';
      readonly destination: Uint8Array;
      readonly paymentHash?: Uint8Array | undefined;
    }
  /** An output of a transaction of ours. */
  | { readonly kind: 'output'; readonly script: Uint8Array }
  /** A channel with this peer (node id, 33 bytes), which is given this much of it for nothing. */
  | { readonly kind: 'channel'; readonly peer: Uint8Array; readonly pushMsat: bigint }
  /** The end of a channel, under any name it goes by (peer, channel id, short channel id), to a script or our wallet. */
  | {
      readonly kind: 'close';
      readonly names: readonly string[];
      readonly script: Uint8Array | undefined;
    }
  /** An invoice of ours, as asked for. */
  | { readonly kind: 'issue'; readonly terms: InvoiceTerms }
  /** An invoice of ours, as it is about to be signed. */
  | { readonly kind: 'sign invoice'; readonly content: Bolt11Content }
  /** A message to sign with the node's key. */
  | { readonly kind: 'message'; readonly text: Uint8Array };

export interface InvoiceTerms {
  /** Undefined: any. */
  readonly amountMsat: bigint | undefined;
  readonly description: string;
  /** Whether only the description's hash is to stand in it. */
  readonly hashOnly: boolean;
  /** Undefined: not said. */
  readonly expirySeconds: number | undefined;
  readonly paymentHash: Uint8Array | undefined;
}

/** Whether something wanted is what a purpose was given for. Amounts are not looked at. */
export function serves(given: Purpose, wanted: Purpose): boolean {
  switch (given.kind) {
    case 'payment':
      return hashOf(wanted) !== undefined && same(given.paymentHash, hashOf(wanted));
    case 'offer':
      return wanted.kind === 'payment' && same(given.offerId, wanted.offerId);
    case 'keysend':
      return (
        wanted.kind === 'keysend' &&
        same(given.destination, wanted.destination) &&
        (given.paymentHash === undefined || same(given.paymentHash, wanted.paymentHash))
      );
    case 'output':
      return wanted.kind === 'output' && same(given.script, wanted.script);
    case 'channel':
      return wanted.kind === 'channel' && same(given.peer, wanted.peer) && wanted.pushMsat <= given.pushMsat;
    case 'close':
      return (
        wanted.kind === 'close' &&
        given.names.some((name) => wanted.names.includes(name)) &&
        (wanted.script === undefined || same(given.script, wanted.script))
      );
    case 'issue':
      return wanted.kind === 'sign invoice' && keeps(given.terms, wanted.content);
    case 'sign invoice':
      return false;
    case 'message':
      return wanted.kind === 'message' && same(given.text, wanted.text);
  }
}

/** The hash that a payment of this purpose has, where it is known. */
export function hashOf(purpose: Purpose): Uint8Array | undefined {
  return purpose.kind === 'payment' || purpose.kind === 'keysend' ? purpose.paymentHash : undefined;
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && equalBytes(a, b);
}

function keeps(terms: InvoiceTerms, content: Bolt11Content): boolean {
  const { description, hashOnly, expirySeconds, paymentHash } = terms;
  const described = hashOnly
    ? same(content.descriptionHash, sha256Of(utf8(description)))
    : content.description === description;
  return (
    described &&
    content.amountMsat === terms.amountMsat &&
    (expirySeconds === undefined || content.expirySeconds === expirySeconds) &&
    (paymentHash === undefined || same(paymentHash, content.paymentHash))
  );
}

/** A text that is equal exactly for equal purposes. */
export function keyOfPurpose(purpose: Purpose): string {
  return JSON.stringify(purpose, (_name, value: unknown) =>
    value instanceof Uint8Array ? toHex(value) : typeof value === 'bigint' ? `${value}` : value,
  );
}
