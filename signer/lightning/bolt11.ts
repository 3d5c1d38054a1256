/**
 * BOLT 11 invoices: read to learn what a payment is for, and what one that we sign promises. As lenient as lightningd
 * (common/bolt11.c) where fields are to be skipped, strict in all that money depends on.
 */

import { bech32 } from '@scure/base';
import { utf8 } from '../../proto/bytes.ts';
import { sha256Of } from '../crypto/hash.ts';
import type { Secp } from '../crypto/secp.ts';
import { InvoiceError } from './invoice_error.ts';
import { payeeOf } from './invoice_signature.ts';
import { bytesOf, numberOf, packed } from './words.ts';

/** What an invoice says, signed or about to be. */
export interface Bolt11Content {
  /** BIP 173's prefix of the network: bc, tb, tbs, bcrt. */
  readonly prefix: string;
  /** Undefined where the payer chooses. */
  readonly amountMsat: bigint | undefined;
  /** Seconds since 1970. */
  readonly createdAt: number;
  readonly expirySeconds: number;
  /** 32 bytes. */
  readonly paymentHash: Uint8Array;
  /** 32 bytes. */
  readonly paymentSecret: Uint8Array;
  /** This, or its SHA-256. */
  readonly description: string | undefined;
  readonly descriptionHash: Uint8Array | undefined;
  readonly minFinalCltv: number;
  /** The payee's node id as the invoice states it; it mostly only follows from the signature. */
  readonly statedPayee: Uint8Array | undefined;
}

export interface Bolt11 extends Bolt11Content {
  /** Who signed it, 33 bytes. */
  readonly payee: Uint8Array;
}

const signatureWords = 104;
const timestampWords = 7;
const defaultExpiry = 3600;
const defaultFinalCltv = 18;
const maxMsat = 2_100_000_000_000_000_000n;
/** Picobitcoin in a unit of the amount; 10 of them are a millisatoshi. */
const multipliers: Readonly<Record<string, bigint>> = {
  '': 10n ** 12n,
  m: 10n ** 9n,
  u: 10n ** 6n,
  n: 10n ** 3n,
  p: 1n,
};
/** Features with an even bit that an invoice may demand (BOLT 9): 8, 14, 16, 24, 36, 48. */
const knownFeatures = new Set([8, 14, 16, 24, 36, 48]);

/** An invoice as it is passed around, in lower or upper case; `recover` is the fastest at hand. Throws InvoiceError. */
export function parseBolt11(text: string, recover?: Secp['recover']): Bolt11 {
  const decoded = bech32.decodeUnsafe(text, false);
  if (!decoded) throw new InvoiceError('no bech32 string with a good checksum');
  const { prefix, words } = decoded;
  if (words.length < timestampWords + signatureWords)
    throw new InvoiceError(`expected at least ${timestampWords + signatureWords} words, found ${words.length}`);
  const signed = words.slice(0, -signatureWords);
  const content = readBolt11(prefix, signed);
  const digest = sha256Of(utf8(prefix), packed(signed));
  return { ...content, payee: payeeOf(digest, packed(words.slice(-signatureWords)), content.statedPayee, recover) };
}

/** The content without a signature, as `sign_invoice` has it: human-readable part and five-bit words. Throws InvoiceError. */
export function readBolt11(humanReadable: string, words: readonly number[]): Bolt11Content {
  const fields = readFields(words);
  const paymentHash = fields.get('p');
  const paymentSecret = fields.get('s');
  const description = fields.get('d');
  const descriptionHash = fields.get('h');
  if (paymentHash === undefined) throw new InvoiceError('expected a payment hash, found none');
  if (paymentSecret === undefined) throw new InvoiceError('expected a payment secret, found none');
  if ((description === undefined) === (descriptionHash === undefined))
    throw new InvoiceError('expected a description or its hash, found both or neither');
  checkFeatures(fields.get('9') ?? []);
  return {
    ...readHumanPart(humanReadable),
    createdAt: numberOf(words.slice(0, timestampWords)),
    expirySeconds: optionalNumber(fields.get('x')) ?? defaultExpiry,
    paymentHash: bytesOf(paymentHash, 32),
    paymentSecret: bytesOf(paymentSecret, 32),
    description: description && readText(bytesOf(description)),
    descriptionHash: descriptionHash && bytesOf(descriptionHash, 32),
    minFinalCltv: optionalNumber(fields.get('c')) ?? defaultFinalCltv,
    statedPayee: optionalBytes(fields.get('n'), 33),
  };
}

function readHumanPart(text: string): Pick<Bolt11Content, 'prefix' | 'amountMsat'> {
  const [, prefix, digits, unit = ''] = /^ln([a-z]+?)(?:(\d+)([munp]?))?$/.exec(text) ?? [];
  if (prefix === undefined) throw new InvoiceError('expected ln, a network and perhaps an amount in front');
  if (digits === undefined) return { prefix, amountMsat: undefined };
  const pico = BigInt(digits) * (multipliers[unit] ?? 0n);
  if (pico % 10n !== 0n) throw new InvoiceError('expected a whole number of millisatoshi');
  const amountMsat = pico / 10n;
  if (amountMsat === 0n || amountMsat > maxMsat)
    throw new InvoiceError(`no amount that can be paid: ${amountMsat} msat`);
  return { prefix, amountMsat };
}

/** Letters of the fields that are read, by type; a length where another one makes the field unknown. */
const fieldTypes: Readonly<Record<number, readonly [letter: string, words?: number]>> = {
  1: ['p', 52],
  5: ['9'],
  6: ['x'],
  13: ['d'],
  16: ['s', 52],
  19: ['n', 53],
  23: ['h', 52],
  24: ['c'],
};

/** The first of each field; those of another length than theirs, repeated and unknown ones are skipped. */
function readFields(words: readonly number[]): ReadonlyMap<string, readonly number[]> {
  const fields = new Map<string, readonly number[]>();
  for (let at = timestampWords; at < words.length; ) {
    const length = numberOf(words.slice(at + 1, at + 3));
    const data = words.slice(at + 3, at + 3 + length);
    if (data.length < length || at + 3 > words.length)
      throw new InvoiceError(`a field at word ${at} that runs past the end`);
    const [letter, expected = length] = fieldTypes[words[at] ?? 0] ?? [];
    if (letter !== undefined && length === expected && !fields.has(letter)) fields.set(letter, data);
    at += 3 + length;
  }
  return fields;
}

function checkFeatures(words: readonly number[]): void {
  for (let bit = 0; bit < words.length * 5; bit += 2) {
    const word = words.at(-1 - Math.floor(bit / 5)) ?? 0;
    if (((word >> (bit % 5)) & 1) === 1 && !knownFeatures.has(bit))
      throw new InvoiceError(`it demands the unknown feature ${bit}`);
  }
}

function optionalNumber(words: readonly number[] | undefined): number | undefined {
  if (words === undefined) return undefined;
  const value = numberOf(words);
  if (!Number.isSafeInteger(value)) throw new InvoiceError('a number beyond 2^53');
  return value;
}

function optionalBytes(words: readonly number[] | undefined, length: number): Uint8Array | undefined {
  return words && bytesOf(words, length);
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readText(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (error: unknown) {
    throw new InvoiceError('a description that is not UTF-8', { cause: error });
  }
}
