/**
 * What a client's request means: URI and protobuf to purposes with amounts. A table of the methods by which value leaves,
 * or is asked for, with just the fields that matter; every other method means nothing. Field numbers are those of
 * cln.Node (Core Lightning 26.06) and greenlight.Node.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { parseHeader } from '../chain/header.ts';
import type { Network } from '../chain/networks.ts';
import { parseBolt12Offer } from '../lightning/bolt12.ts';
import { parseInvoice } from '../lightning/invoice.ts';
import { scriptOfAddress } from './address.ts';
import type { ProtoMessage } from './protobuf.ts';
import type { Purpose } from './purpose.ts';
import { utf8 } from '../../proto/bytes.ts';

export interface Intent {
  readonly purpose: Purpose;
  /** The most that may leave for it, fees aside; 'all' where the client said so. */
  readonly amountMsat: bigint | 'all';
  /** The fee the client agreed to; undefined: what the owner's limits say. */
  readonly feeMsat: bigint | undefined;
}

/** A request that asks for something, but not in a way that can be granted. */
export class IntentError extends Error {
  override readonly name = 'IntentError';
}

type Reader = (message: ProtoMessage, network: Network) => readonly Intent[];

const msatPerSat = 1000n;
/** lightningd's own for an invoice request without an expiry: a week. */
const defaultExpirySeconds = 604_800;
/** Fees below this are not held to a percentage unless the client says otherwise (pay's exemptfee). */
const defaultExemptMsat = 5000n;

// biome-ignore format: one method a row
const readers: Readonly<Record<string, Reader>> = {
  '/cln.Node/Pay':               (m, n) => [payment(n, required(m.text(1)), amount(m, 13), amount(m, 15), maxFee(m))],
  '/cln.Node/Xpay':              (m, n) => [payment(n, required(m.text(1)), amount(m, 2), amount(m, 6), amount(m, 3))],
  '/cln.Node/RenePay':           (m, n) => [payment(n, required(m.text(1)), amount(m, 2), undefined, amount(m, 3))],
  '/cln.Node/SendAmount':        (m, n) => [payment(n, required(m.text(1)), amount(m, 2), undefined, amount(m, 3))],
  '/cln.Node/PreApproveInvoice': (m, n) => [payment(n, required(m.text(1)), undefined, undefined, undefined)],
  '/greenlight.Node/TrampolinePay': (m, n) => [payment(n, required(m.text(1)), m.number(3) || undefined, undefined, trampolineFee(m))],
  '/cln.Node/KeySend':           (m) => [keysend(m.bytes(1), undefined, amount(m, 10), maxFee(m))],
  '/cln.Node/Xkeysend':          (m) => [keysend(m.bytes(1), undefined, amount(m, 2), amount(m, 4))],
  '/cln.Node/PreApproveKeysend': (m) => [keysend(m.bytes(1), m.bytes(2), amount(m, 3), undefined)],
  '/cln.Node/SendPay':           (m) => [rawHtlc(m.bytes(2), m.messages(1)[0], 5)],
  '/cln.Node/SendOnion':         (m) => [rawHtlc(m.bytes(3), m.message(2), 2)],
  '/cln.Node/Withdraw':          (m, n) => [output(n, m.text(1), amountOrAll(m.message(2)))],
  '/cln.Node/MultiWithdraw':     (m, n) => m.messages(1).map((to) => output(n, to.text(1), required(amount(to, 2)))),
  '/cln.Node/TxPrepare':         (m, n) => m.messages(5).map((to) => output(n, to.text(1), required(amount(to, 2)))),
  '/cln.Node/FundChannel':       (m) => [channel(m.bytes(9), amountOrAll(m.message(1)))],
  '/cln.Node/FundChannelStart':  (m) => [channel(m.bytes(1), required(amount(m, 2)))],
  '/cln.Node/OpenChannelInit':   (m) => [channel(m.bytes(1), required(amount(m, 10)))],
  '/cln.Node/SpliceOut':         (m, n) => [output(n, m.text(3), satoshiText(required(m.text(2))))],
  '/cln.Node/Close':             (m, n) => [close(n, required(m.text(1)), m.text(3))],
  '/cln.Node/Invoice':           (m) => [issue(m)],
  '/greenlight.Node/LspInvoice': (m) => [lspInvoice(m)],
  '/cln.Node/SignMessage':       (m) => [{ purpose: { kind: 'message', text: utf8(required(m.text(1))) }, amountMsat: 0n, feeMsat: 0n }],
};

/**
 * What a request asks for; nothing where the method asks for nothing that needs approval. Throws IntentError,
 * InvoiceError, AddressError and WireError where it cannot be granted as it stands.
 */
export function intentsOf(uri: string, message: ProtoMessage, network: Network): readonly Intent[] {
  return Object.hasOwn(readers, uri) ? (readers[uri]?.(message, network) ?? []) : [];
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new IntentError('a field that says what for is missing');
  return value;
}

/** cln.Amount: millisatoshi. */
function amount(message: ProtoMessage, field: number): bigint | undefined {
  return message.message(field) && (message.message(field)?.number(1) ?? 0n);
}

/** cln.AmountOrAll. */
function amountOrAll(message: ProtoMessage | undefined): bigint | 'all' {
  const some = message && amount(message, 1);
  if (some !== undefined) return some;
  if (message?.number(2) !== 1n) throw new IntentError('expected an amount or all');
  return 'all';
}

function payment(
  network: Network,
  text: string,
  asked: bigint | undefined,
  part: bigint | undefined,
  feeMsat: bigint | undefined,
): Intent {
  if (/^(lightning:)?lno1/i.test(text)) {
    const { id, amountMsat } = parseBolt12Offer(text.replace(/^lightning:/i, ''));
    const limit = part ?? asked ?? amountMsat;
    if (limit === undefined) throw new IntentError('an offer whose price is open, and no amount beside it');
    return { purpose: { kind: 'offer', offerId: id }, amountMsat: limit, feeMsat };
  }
  const chain = parseHeader(network.genesis).hash;
  const { paymentHash, amountMsat } = parseInvoice(text, { invoicePrefix: network.invoicePrefix, chain });
  if (amountMsat !== undefined && asked !== undefined && asked !== amountMsat)
    throw new IntentError(`an invoice of ${amountMsat} msat and an amount of ${asked} msat beside it`);
  const limit = part ?? amountMsat ?? asked;
  if (limit === undefined) throw new IntentError('an invoice without an amount, and none beside it');
  return { purpose: { kind: 'payment', paymentHash }, amountMsat: limit, feeMsat };
}

/** pay's and keysend's: maxfee (11), or the larger of maxfeepercent (4) and exemptfee (7). */
function maxFee(message: ProtoMessage): bigint | undefined {
  const absolute = amount(message, 11);
  const percent = message.double(4);
  if (absolute !== undefined || percent === undefined) return absolute;
  const base = amount(message, 13) ?? amount(message, 10);
  // The percentage is of an amount that may stand in the invoice only: then the owner's limits say how much.
  if (base === undefined) return undefined;
  return larger(percentOf(base, percent), amount(message, 7) ?? defaultExemptMsat);
}

function trampolineFee(message: ProtoMessage): bigint | undefined {
  const percent = message.float(5);
  const base = message.number(3);
  return percent === undefined || base === undefined ? undefined : percentOf(base, percent);
}

function percentOf(base: bigint, percent: number): bigint {
  if (!(percent >= 0 && percent <= 100)) throw new IntentError('expected a percentage from 0 to 100');
  return (base * BigInt(Math.floor(percent * 10_000))) / 1_000_000n;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function keysend(
  destination: Uint8Array | undefined,
  paymentHash: Uint8Array | undefined,
  amountMsat: bigint | undefined,
  feeMsat: bigint | undefined,
): Intent {
  const purpose: Purpose = { kind: 'keysend', destination: required(destination), paymentHash };
  return { purpose, amountMsat: required(amountMsat), feeMsat };
}

/** sendpay and sendonion: what the first hop is given includes all fees. */
function rawHtlc(paymentHash: Uint8Array | undefined, firstHop: ProtoMessage | undefined, field: number): Intent {
  const amountMsat = required(firstHop && amount(firstHop, field));
  return { purpose: { kind: 'payment', paymentHash: required(paymentHash) }, amountMsat, feeMsat: 0n };
}

function output(network: Network, address: string | undefined, amountMsat: bigint | 'all'): Intent {
  return {
    purpose: { kind: 'output', script: scriptOfAddress(required(address), network) },
    amountMsat,
    feeMsat: undefined,
  };
}

function satoshiText(text: string): bigint {
  const [, digits] = /^(\d{1,16})(?:sat)?$/.exec(text) ?? [];
  if (digits === undefined) throw new IntentError('expected an amount in satoshi');
  return BigInt(digits) * msatPerSat;
}

function channel(peer: Uint8Array | undefined, amountMsat: bigint | 'all'): Intent {
  return { purpose: { kind: 'channel', peer: required(peer) }, amountMsat, feeMsat: undefined };
}

function close(network: Network, name: string, destination: string | undefined): Intent {
  const script = destination === undefined ? undefined : scriptOfAddress(destination, network);
  return { purpose: { kind: 'close', names: [name.toLowerCase()], script }, amountMsat: 'all', feeMsat: undefined };
}

function issue(message: ProtoMessage): Intent {
  const preimage = message.bytes(5);
  const terms = {
    amountMsat: amount(required(message.message(10)), 1),
    description: message.text(2) ?? '',
    hashOnly: message.number(9) === 1n,
    expirySeconds: Number(message.number(7) ?? defaultExpirySeconds),
    paymentHash: preimage && sha256(preimage),
  };
  return { purpose: { kind: 'issue', terms }, amountMsat: 0n, feeMsat: 0n };
}

/** The provider's part of the invoice is not known to the client: only amount and description are. */
function lspInvoice(message: ProtoMessage): Intent {
  const terms = {
    amountMsat: message.number(3) || undefined,
    description: message.text(4) ?? '',
    hashOnly: false,
    expirySeconds: undefined,
    paymentHash: undefined,
  };
  return { purpose: { kind: 'issue', terms }, amountMsat: 0n, feeMsat: 0n };
}
