/**
 * BOLT 12 offers and invoices, as far as approving a payment needs them: what an invoice asks for, that its node signed
 * it, and which offer it answers. lightningd hands the invoice's text to preapprove_invoice as it does with BOLT 11.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { concat, equalBytes } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import { taggedHash } from '../crypto/hash.ts';
import { merkleRoot } from './bolt12_merkle.ts';
import { pathEnds } from './bolt12_paths.ts';
import { InvoiceError } from './invoice_error.ts';
import { isSchnorrBy } from './invoice_signature.ts';
import { readRecords, type TlvRecord } from './tlv_records.ts';
import { bytesOf } from './words.ts';

export interface Bolt12Offer {
  /** SHA-256 of the offer's own records: what its invoices repeat. */
  readonly id: Uint8Array;
  /** What it asks for, where it says so in millisatoshi; in another currency it is undefined. */
  readonly amountMsat: bigint | undefined;
  /** 33 bytes; undefined where only paths lead to it. */
  readonly issuer: Uint8Array | undefined;
}

export interface Bolt12Invoice {
  /** Genesis hash, 32 bytes; undefined is Bitcoin's. */
  readonly chain: Uint8Array | undefined;
  readonly amountMsat: bigint;
  /** Seconds since 1970. */
  readonly createdAt: number;
  readonly expirySeconds: number;
  /** 32 bytes. */
  readonly paymentHash: Uint8Array;
  /** The node that signed it, 33 bytes. */
  readonly payee: Uint8Array;
  /** The offer it answers, as `Bolt12Offer.id`; undefined where it answers none. */
  readonly offerId: Uint8Array | undefined;
}

const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const defaultExpiry = 7200;
/** Even records of an offer above this one are unknown and not to be skipped. */
const lastKnownOffers = 22n;

/** A signed invoice (`lni1…`). Throws InvoiceError. */
export function parseBolt12Invoice(text: string): Bolt12Invoice {
  const records = decode(text, 'lni');
  const fields = byType(records);
  const payee = need(fields, 176, 33);
  const root = merkleRoot(records);
  if (
    root === undefined ||
    !isSchnorrBy(payee, taggedHash(['lightning', 'invoice', 'signature'], root), need(fields, 240, 64))
  )
    throw new InvoiceError('not signed by the node it states');
  const issuers = issuersOf(fields);
  if (issuers.length > 0 && !issuers.some((issuer) => equalBytes(issuer, payee)))
    throw new InvoiceError("not signed by its offer's issuer");
  return {
    chain: fields.has(80) ? need(fields, 80, 32) : undefined,
    amountMsat: positive(need(fields, 170)),
    createdAt: seconds(need(fields, 164)),
    expirySeconds: fields.has(166) ? seconds(need(fields, 166)) : defaultExpiry,
    paymentHash: need(fields, 168, 32),
    payee,
    // What repeats an offer's records without being signed for it (a refund) answers none.
    offerId: issuers.length > 0 ? offerId(records) : undefined,
  };
}

/** An offer (`lno1…`). Throws InvoiceError. */
export function parseBolt12Offer(text: string): Bolt12Offer {
  const records = decode(text, 'lno');
  const fields = byType(records);
  const id = offerId(records);
  if (id === undefined || !records.every(({ type }) => isOffers(type) && (type % 2n === 1n || type <= lastKnownOffers)))
    throw new InvoiceError('expected the records of an offer and no others');
  const issuer = fields.get(22);
  if (issuersOf(fields).length === 0) throw new InvoiceError('an offer without issuer and paths');
  const amount = fields.has(6) ? undefined : fields.get(8);
  return { id, amountMsat: amount && positive(amount), issuer: issuer && need(fields, 22, 33) };
}

/** Records that stand in an offer and are repeated in its invoices. */
function isOffers(type: bigint): boolean {
  return (type >= 1n && type <= 79n) || (type >= 1_000_000_000n && type <= 1_999_999_999n);
}

function offerId(records: readonly TlvRecord[]): Uint8Array | undefined {
  const own = records.filter(({ type }) => isOffers(type));
  return own.length === 0 ? undefined : sha256(concat(...own.map(({ bytes }) => bytes)));
}

/** Who may sign invoices of the offer that these fields repeat: its issuer, or the end of one of its paths. */
function issuersOf(fields: FieldsByType): readonly Uint8Array[] {
  const issuer = fields.get(22);
  const ends = wire(() => pathEnds(fields.get(16) ?? new Uint8Array()));
  return issuer === undefined ? ends : [issuer];
}

/** Bech32 without a checksum; `+` and whitespace may join pieces. */
function decode(text: string, prefix: string): readonly TlvRecord[] {
  const joined = text.replace(/(?<=\S)\+\s*(?=[^\s+])/g, '');
  const lower = joined.toLowerCase();
  if (joined !== lower && joined !== joined.toUpperCase()) throw new InvoiceError('upper and lower case mixed');
  if (!lower.startsWith(`${prefix}1`)) throw new InvoiceError(`expected a text that begins with ${prefix}1`);
  const words = lower
    .slice(prefix.length + 1)
    .split('')
    .map((letter) => alphabet.indexOf(letter));
  if (words.includes(-1)) throw new InvoiceError('a letter that bech32 does not have');
  if ((words.length * 5) % 8 > 4) throw new InvoiceError('a last letter that carries no bits');
  return wire(() => readRecords(bytesOf(words)));
}

function wire<T>(read: () => T): T {
  try {
    return read();
  } catch (error: unknown) {
    if (!(error instanceof WireError)) throw error;
    throw new InvoiceError(error.message, { cause: error });
  }
}

type FieldsByType = ReadonlyMap<number, Uint8Array>;

function byType(records: readonly TlvRecord[]): FieldsByType {
  return new Map(records.map(({ type, value }) => [Number(type), value]));
}

function need(fields: FieldsByType, type: number, length?: number): Uint8Array {
  const value = fields.get(type);
  if (value === undefined || (length !== undefined && value.length !== length))
    throw new InvoiceError(`expected a record ${type}${length === undefined ? '' : ` of ${length} bytes`}`);
  return value;
}

/** BOLT 1's tu64: no zero bytes in front. */
function truncated(value: Uint8Array): bigint {
  if (value.length > 8 || value[0] === 0) throw new InvoiceError('a number that is not in its shortest form');
  return value.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function positive(value: Uint8Array): bigint {
  const amount = truncated(value);
  if (amount === 0n) throw new InvoiceError('an amount of zero');
  return amount;
}

function seconds(value: Uint8Array): number {
  const number = truncated(value);
  if (number > 0xffffffffffn) throw new InvoiceError(`a time of ${number} seconds`);
  return Number(number);
}
