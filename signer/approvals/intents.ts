/**
 * What a client's request means: URI and protobuf to wishes. A table of the methods by which value leaves, or is asked
 * for, with just the fields that matter; every other method means nothing. Field numbers are those of cln.Node (Core
 * Lightning 26.06) and greenlight.Node.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { fromHex, toHex } from '../../proto/bytes.ts';
import { parseHeader } from '../chain/header.ts';
import type { Network } from '../chain/networks.ts';
import { parseBolt12Offer } from '../lightning/bolt12.ts';
import { parseInvoice } from '../lightning/invoice.ts';
import type { InvoiceWish, Wish } from '../policy/wish.ts';
import { scriptOfAddress } from './address.ts';
import type { ProtoMessage } from './protobuf.ts';

export interface Intent {
  readonly wish: Wish | InvoiceWish;
  /** What leaves by it, msat, fees aside: what a rune may bound. 'all': whatever is there. */
  readonly leaves: bigint | 'all';
}

/** A request that asks for something, but not in a way that can be granted. */
export class IntentError extends Error {
  override readonly name = 'IntentError';
}

type Reader = (message: ProtoMessage, network: Network) => readonly Intent[];

const msatPerSat = 1000n;
/** 21 million bitcoin, in satoshi: no bound where a client said all. */
const everything = 2_100_000_000_000_000n;
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
  '/cln.Node/KeySend':           (m) => [pay('keysend', m.bytes(1), amount(m, 10), maxFee(m, amount(m, 10)))],
  '/cln.Node/Xkeysend':          (m) => [pay('keysend', m.bytes(1), amount(m, 2), amount(m, 4))],
  '/cln.Node/PreApproveKeysend': (m) => [pay('pay', m.bytes(2), amount(m, 3), undefined)],
  '/cln.Node/SendPay':           (m) => [rawHtlc(m.bytes(2), m.messages(1)[0], 5)],
  '/cln.Node/SendOnion':         (m) => [rawHtlc(m.bytes(3), m.message(2), 2)],
  '/cln.Node/Withdraw':          (m, n) => [onchain('spend', script(n, m.text(1)), amountOrAll(m.message(2)))],
  '/cln.Node/MultiWithdraw':     (m, n) => outputs(n, m.messages(1)),
  '/cln.Node/TxPrepare':         (m, n) => outputs(n, m.messages(5)),
  '/cln.Node/FundChannel':       (m, n) => channel(n, m.bytes(9), amountOrAll(m.message(1)), amount(m, 5), m.text(6)),
  '/cln.Node/FundChannelStart':  (m, n) => channel(n, m.bytes(1), required(amount(m, 2)), amount(m, 6), m.text(5)),
  '/cln.Node/OpenChannelInit':   (m, n) => channel(n, m.bytes(1), required(amount(m, 10)), undefined, m.text(6)),
  '/cln.Node/MultiFundChannel':  (m, n) => m.messages(1).flatMap((to) => channel(n, nodeId(to.text(1)), amountOrAll(to.message(2)), amount(to, 4), to.text(5))),
  '/cln.Node/SpliceOut':         (m, n) => [onchain('spliceTo', script(n, m.text(3)), satoshiText(required(m.text(2))))],
  '/cln.Node/Close':             (m, n) => close(n, required(m.text(1)), m.text(3)),
  '/cln.Node/Invoice':           (m) => [issue(m)],
  '/greenlight.Node/LspInvoice': (m) => [lspInvoice(m)],
};

/** Whether requests of this URI can mean anything here. */
export function asksForLeave(uri: string): boolean {
  return Object.hasOwn(readers, uri);
}

/**
 * What a request asks for; nothing where the method asks for nothing that needs approval. Throws IntentError,
 * InvoiceError, AddressError and WireError where it cannot be granted as it stands.
 */
export function intentsOf(uri: string, message: ProtoMessage, network: Network): readonly Intent[] {
  return asksForLeave(uri) ? (readers[uri]?.(message, network) ?? []) : [];
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
  const { kind, target, price } = payable(required(text), network);
  if (kind === 'pay' && price !== undefined && asked !== undefined && asked !== price)
    throw new IntentError(`an invoice of ${price} msat and an amount of ${asked} msat beside it`);
  const amountMsat = part ?? asked ?? price;
  if (amountMsat === undefined) throw new IntentError('nothing says how much to pay');
  return pay(kind, target, amountMsat, fee(amountMsat), kind === 'pay' && part !== undefined);
}

interface Payable {
  readonly kind: 'pay' | 'offer';
  readonly target: Uint8Array;
  /** What it costs, where it says so. */
  readonly price: bigint | undefined;
}

function payable(text: string, network: Network): Payable {
  const plain = text.replace(/^lightning:/i, '');
  if (/^lno1/i.test(plain)) {
    const { id, amountMsat } = parseBolt12Offer(plain);
    return { kind: 'offer', target: id, price: amountMsat };
  }
  const chain = parseHeader(network.genesis).hash;
  const { paymentHash, amountMsat } = parseInvoice(plain, { invoicePrefix: network.invoicePrefix, chain });
  return { kind: 'pay', target: paymentHash, price: amountMsat };
}

function pay(
  kind: 'pay' | 'offer' | 'keysend',
  target: Uint8Array | undefined,
  amountMsat: bigint | undefined,
  feeBudgetMsat: bigint | undefined,
  isPart = false,
): Intent {
  const amount = required(amountMsat);
  return { wish: { kind, target: toHex(required(target)), amount, feeBudgetMsat, isPart }, leaves: amount };
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

/** sendpay and sendonion: what the first hop is given includes all fees. */
function rawHtlc(paymentHash: Uint8Array | undefined, firstHop: ProtoMessage | undefined, field: number): Intent {
  return pay('pay', paymentHash, firstHop && amount(firstHop, field), 0n, true);
}

function script(network: Network, address: string | undefined): string {
  return toHex(scriptOfAddress(required(address), network));
}

function onchain(
  kind: Exclude<Wish['kind'], 'pay' | 'offer' | 'keysend' | 'push'>,
  target: string,
  leaves: bigint | 'all',
): Intent {
  return { wish: { kind, target, amount: leaves === 'all' ? everything : leaves / msatPerSat }, leaves };
}

/** Several outputs to one script are one. */
function outputs(network: Network, described: readonly ProtoMessage[]): readonly Intent[] {
  const sums = new Map<string, bigint>();
  for (const each of described) {
    const target = script(network, each.text(1));
    sums.set(target, (sums.get(target) ?? 0n) + required(amount(each, 2)));
  }
  return [...sums].map(([target, sum]) => onchain('spend', target, sum));
}

function satoshiText(text: string): bigint {
  const [, digits] = /^(\d{1,16})(?:sat)?$/.exec(text) ?? [];
  if (digits === undefined) throw new IntentError('expected an amount in satoshi');
  return BigInt(digits) * msatPerSat;
}

/** What is pushed is a part of the amount. */
function channel(
  network: Network,
  peerId: Uint8Array | undefined,
  leaves: bigint | 'all',
  push: bigint | undefined,
  closeTo: string | undefined,
): readonly Intent[] {
  const peer = toHex(required(peerId));
  const opened = onchain('open', peer, leaves);
  const pushed: Intent = { wish: { kind: 'push', target: peer, amount: push ?? 0n }, leaves: 0n };
  return [opened, ...(push ? [pushed] : []), ...closing(network, peer, closeTo, 0n)];
}

/** `node id@host:port`. */
function nodeId(text: string | undefined): Uint8Array | undefined {
  const [, hex] = /^(0[23][0-9a-f]{64})(?:@|$)/i.exec(text ?? '') ?? [];
  return hex === undefined ? undefined : fromHex(hex);
}

/** A close to our wallet needs nobody's leave. */
function closing(network: Network, name: string, to: string | undefined, leaves: bigint | 'all'): readonly Intent[] {
  if (to === undefined) return [];
  const wish: Wish = { kind: 'closeTo', target: script(network, to), amount: everything, channel: name };
  return [{ wish, leaves }];
}

function close(network: Network, name: string, to: string | undefined): readonly Intent[] {
  if (to !== undefined && !/^([0-9a-f]{64}|0[23][0-9a-f]{64})$/i.test(name))
    throw new IntentError('expected the channel by its id or its peer’s, which the signer knows too');
  return closing(network, name.toLowerCase(), to, 'all');
}

function issue(message: ProtoMessage): Intent {
  const preimage = message.bytes(5);
  return issuing({
    amountMsat: amount(required(message.message(10)), 1),
    description: message.text(2) ?? '',
    hashOnly: message.number(9) === 1n,
    expirySeconds: Number(message.number(7) ?? defaultExpirySeconds),
    paymentHash: preimage && sha256(preimage),
  });
}

/** The provider's part of the invoice is not known to the client: only amount and description are. */
function lspInvoice(message: ProtoMessage): Intent {
  return issuing({
    amountMsat: message.number(3) || undefined,
    description: message.text(4) ?? '',
    hashOnly: false,
    expirySeconds: undefined,
    paymentHash: undefined,
  });
}

function issuing(invoice: Omit<InvoiceWish, 'kind'>): Intent {
  return { wish: { kind: 'issue', ...invoice }, leaves: 0n };
}
