/**
 * What a client's request means: URI and protobuf to purposes with amounts. A table of the methods by which value leaves,
 * or is asked for, with just the fields that matter; every other method means nothing. Field numbers are those of
 * cln.Node (Core Lightning 26.06) and greenlight.Node.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { fromHex, utf8 } from '../../proto/bytes.ts';
import { parseHeader } from '../chain/header.ts';
import type { Network } from '../chain/networks.ts';
import { parseBolt12Offer } from '../lightning/bolt12.ts';
import { parseInvoice } from '../lightning/invoice.ts';
import { scriptOfAddress } from './address.ts';
import type { ProtoMessage } from './protobuf.ts';
import type { Purpose } from './purpose.ts';

export interface Intent {
  readonly purpose: Purpose;
  /** The most that may leave for it, fees aside; 'all' where the client said so. */
  readonly amountMsat: bigint | 'all';
  /** The fee the client agreed to; undefined: what the owner's limits say. */
  readonly feeMsat: bigint | undefined;
  /** One part of a payment whose other parts the client asks for separately (sendpay). */
  readonly isPart?: boolean;
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
  '/cln.Node/Pay':               (m, n) => [payment(n, m.text(1), amount(m, 13), amount(m, 15), (sent) => maxFee(m, sent))],
  '/cln.Node/Xpay':              (m, n) => [payment(n, m.text(1), amount(m, 2), amount(m, 6), () => amount(m, 3))],
  '/cln.Node/RenePay':           (m, n) => [payment(n, m.text(1), amount(m, 2), undefined, () => amount(m, 3))],
  '/cln.Node/SendAmount':        (m, n) => [payment(n, m.text(1), amount(m, 2), undefined, () => amount(m, 3))],
  '/cln.Node/PreApproveInvoice': (m, n) => [payment(n, m.text(1), undefined, undefined, () => undefined)],
  '/greenlight.Node/TrampolinePay': (m, n) => [payment(n, m.text(1), m.number(3) || undefined, undefined, (sent) => percentOf(sent, m.float(5)))],
  '/cln.Node/KeySend':           (m) => [keysend(m.bytes(1), undefined, amount(m, 10), maxFee(m, amount(m, 10)))],
  '/cln.Node/Xkeysend':          (m) => [keysend(m.bytes(1), undefined, amount(m, 2), amount(m, 4))],
  '/cln.Node/PreApproveKeysend': (m) => [keysend(m.bytes(1), m.bytes(2), amount(m, 3), undefined)],
  '/cln.Node/SendPay':           (m) => [rawHtlc(m.bytes(2), m.messages(1)[0], 5)],
  '/cln.Node/SendOnion':         (m) => [rawHtlc(m.bytes(3), m.message(2), 2)],
  '/cln.Node/Withdraw':          (m, n) => [output(n, m.text(1), amountOrAll(m.message(2)))],
  '/cln.Node/MultiWithdraw':     (m, n) => m.messages(1).map((to) => output(n, to.text(1), required(amount(to, 2)))),
  '/cln.Node/TxPrepare':         (m, n) => m.messages(5).map((to) => output(n, to.text(1), required(amount(to, 2)))),
  '/cln.Node/FundChannel':       (m) => [channel(m.bytes(9), amountOrAll(m.message(1)), amount(m, 5))],
  '/cln.Node/FundChannelStart':  (m) => [channel(m.bytes(1), required(amount(m, 2)), amount(m, 6))],
  '/cln.Node/OpenChannelInit':   (m) => [channel(m.bytes(1), required(amount(m, 10)), undefined)],
  '/cln.Node/MultiFundChannel':  (m) => m.messages(1).map((to) => channel(nodeId(to.text(1)), amountOrAll(to.message(2)), amount(to, 4))),
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
  const inner = message.message(field);
  return inner && (inner.number(1) ?? 0n);
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
  text: string | undefined,
  asked: bigint | undefined,
  part: bigint | undefined,
  fee: (sent: bigint) => bigint | undefined,
): Intent {
  const { purpose, price } = payable(required(text), network);
  if (purpose.kind === 'payment' && price !== undefined && asked !== undefined && asked !== price)
    throw new IntentError(`an invoice of ${price} msat and an amount of ${asked} msat beside it`);
  const amountMsat = part ?? asked ?? price;
  if (amountMsat === undefined) throw new IntentError('nothing says how much to pay');
  return { purpose, amountMsat, feeMsat: fee(amountMsat) };
}

/** An invoice or an offer, and what it costs if it says so. */
function payable(text: string, network: Network): { readonly purpose: Purpose; readonly price: bigint | undefined } {
  const plain = text.replace(/^lightning:/i, '');
  if (/^lno1/i.test(plain)) {
    const { id, amountMsat } = parseBolt12Offer(plain);
    return { purpose: { kind: 'offer', offerId: id }, price: amountMsat };
  }
  const chain = parseHeader(network.genesis).hash;
  const { paymentHash, amountMsat } = parseInvoice(plain, { invoicePrefix: network.invoicePrefix, chain });
  return { purpose: { kind: 'payment', paymentHash }, price: amountMsat };
}

/** pay's and keysend's: maxfee (11), or the larger of maxfeepercent (4) and exemptfee (7). */
function maxFee(message: ProtoMessage, sent: bigint | undefined): bigint | undefined {
  const absolute = amount(message, 11);
  const share = sent === undefined ? undefined : percentOf(sent, message.double(4));
  if (absolute !== undefined || share === undefined) return absolute;
  const exempt = amount(message, 7) ?? defaultExemptMsat;
  return share > exempt ? share : exempt;
}

function percentOf(sent: bigint, percent: number | undefined): bigint | undefined {
  if (percent === undefined) return undefined;
  if (!(percent >= 0 && percent <= 100)) throw new IntentError('expected a percentage from 0 to 100');
  return (sent * BigInt(Math.floor(percent * 10_000))) / 1_000_000n;
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
  return { purpose: { kind: 'payment', paymentHash: required(paymentHash) }, amountMsat, feeMsat: 0n, isPart: true };
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

function channel(peer: Uint8Array | undefined, amountMsat: bigint | 'all', push: bigint | undefined): Intent {
  const purpose: Purpose = { kind: 'channel', peer: required(peer), pushMsat: push ?? 0n };
  return { purpose, amountMsat, feeMsat: undefined };
}

/** `node id@host:port`. */
function nodeId(text: string | undefined): Uint8Array | undefined {
  const [, hex] = /^(0[23][0-9a-f]{64})(?:@|$)/i.exec(text ?? '') ?? [];
  return hex === undefined ? undefined : fromHex(hex);
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
