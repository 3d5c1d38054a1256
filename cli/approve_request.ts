/** The arguments of `keyhold approve` to what a signer is asked: invoices, addresses and times are read here. */

import { toHex } from '../proto/bytes.ts';
import { AddressError, scriptOfAddress } from '../signer/approvals/address.ts';
import { parseHeader } from '../signer/chain/header.ts';
import { type Network, networks } from '../signer/chain/networks.ts';
import { parseBolt12Offer } from '../signer/lightning/bolt12.ts';
import { parseInvoice } from '../signer/lightning/invoice.ts';
import { InvoiceError } from '../signer/lightning/invoice_error.ts';
import type { Wish } from '../signer/policy/wish.ts';
import type { OwnerRequest } from './approver_requests.ts';
import { type Given, UsageError } from './command.ts';

export type ApproveOption =
  | 'invoice'
  | 'amount'
  | 'keysend'
  | 'output'
  | 'splice-out'
  | 'close'
  | 'uses'
  | 'until'
  | 'withdraw'
  | 'dir'
  | 'state'
  | 'json';

/** What the arguments ask the signer for; `now` in milliseconds. @throws UsageError */
export function requestOf(given: Given<ApproveOption>, now: number): OwnerRequest {
  const inAdvance = (['invoice', 'output', 'splice-out', 'close', 'keysend'] as const).filter(
    (name) => given.option(name) !== undefined,
  );
  if (given.operands.length + inAdvance.length !== 1)
    throw new UsageError(
      'approve: expected one of NUMBER, --invoice, --keysend, --output, --splice-out, --close; see: keyhold approve --help',
    );
  if (given.option('amount') !== undefined && (inAdvance[0] ?? 'invoice') !== 'invoice')
    throw new UsageError('--amount: expected it with NUMBER or --invoice');
  const terms = { uses: whole(given.option('uses'), '--uses'), until: untilOf(given.option('until') ?? '', now) };
  const [id] = given.operands;
  if (id === undefined) {
    if (given.has('withdraw')) throw new UsageError('--withdraw: expected a NUMBER from keyhold approvals');
    const { kind, target, amount } = wishIn(given);
    return { method: 'allow', wish: { kind, target, amount: `${amount}` }, ...terms };
  }
  return given.has('withdraw')
    ? { method: 'withdraw', id: whole(id, 'NUMBER') }
    : { method: 'approve', id: whole(id, 'NUMBER'), ...amountIn(given), ...terms };
}

function amountIn(given: Given<ApproveOption>): { readonly amount?: string } {
  const text = given.option('amount');
  return text === undefined ? {} : { amount: `${amountOf(text, '--amount')}` };
}

function whole(text: string | undefined, name: string): number {
  if (text === undefined || !/^[1-9]\d{0,8}$/.test(text))
    throw new UsageError(`${name}: expected a whole number above 0, got ${text}`);
  return Number(text);
}

const spans: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 };

/** Unix seconds. */
function untilOf(text: string, now: number): number {
  const [, count, unit] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  const until =
    count === undefined ? Math.floor(time / 1000) : Math.floor(now / 1000) + Number(count) * (spans[unit ?? ''] ?? 0);
  if (!(until * 1000 > now))
    throw new UsageError(`--until: expected a span (30m, 12h, 7d) or a time to come, got ${text}`);
  return until;
}

/** Options with an address, and what each allows. */
const toAddress = { output: 'spend', 'splice-out': 'spliceTo', close: 'closeTo' } as const;

function wishIn(given: Given<ApproveOption>): Wish {
  const invoice = given.option('invoice');
  if (invoice !== undefined) return invoiceWish(invoice.trim(), given.option('amount'));
  for (const name of ['output', 'splice-out', 'close'] as const) {
    const text = given.option(name);
    if (text === undefined) continue;
    const [address, amount] = pair(text, `--${name}`, 'ADDRESS:SAT');
    const script = onAnyNetwork((network) => scriptOfAddress(address, network), `--${name}`);
    return { kind: toAddress[name], target: toHex(script), amount };
  }
  const [target, amount] = pair(given.option('keysend') ?? '', '--keysend', 'NODEID:MSAT');
  if (!/^0[23][0-9a-f]{64}$/i.test(target)) throw new UsageError('--keysend: expected a node id of 33 bytes in hex');
  return { kind: 'keysend', target: target.toLowerCase(), amount };
}

function invoiceWish(text: string, given: string | undefined): Wish {
  const isOffer = /^(lightning:)?lno1/i.test(text);
  const { target, amountMsat } = isOffer ? offerIn(text.replace(/^lightning:/i, '')) : invoiceIn(text);
  const asked = given === undefined ? undefined : amountOf(given, '--amount');
  if (amountMsat !== undefined && asked !== undefined && amountMsat !== asked)
    throw new UsageError(`--amount: the ${isOffer ? 'offer' : 'invoice'} is for ${amountMsat} msat, not ${asked}`);
  const amount = amountMsat ?? asked;
  if (amount === undefined)
    throw new UsageError('--invoice: it has no amount: say with --amount MSAT how much may be paid');
  return { kind: isOffer ? 'offer' : 'pay', target, amount };
}

interface Payable {
  /** Hex: a payment hash, or an offer's id. */
  readonly target: string;
  readonly amountMsat: bigint | undefined;
}

function invoiceIn(text: string): Payable {
  const chainOf = ({ genesis }: Network) => parseHeader(genesis).hash;
  const { paymentHash, amountMsat } = onAnyNetwork(
    (network) => parseInvoice(text, { invoicePrefix: network.invoicePrefix, chain: chainOf(network) }),
    '--invoice',
  );
  return { target: toHex(paymentHash), amountMsat };
}

function offerIn(text: string): Payable {
  const { id, amountMsat } = onAnyNetwork(() => parseBolt12Offer(text), '--invoice');
  return { target: toHex(id), amountMsat };
}

function pair(text: string, name: string, form: string): readonly [string, bigint] {
  const end = text.lastIndexOf(':');
  if (end < 1) throw new UsageError(`${name}: expected ${form}, got ${text}`);
  return [text.slice(0, end), amountOf(text.slice(end + 1), name)];
}

function amountOf(text: string, name: string): bigint {
  const digits = text.replaceAll('_', '');
  if (!/^[1-9]\d{0,18}$/.test(digits)) throw new UsageError(`${name}: expected a whole amount above 0, got ${text}`);
  return BigInt(digits);
}

/** The signer knows its network, this end need not: what is of another one is never asked for. */
function onAnyNetwork<T>(read: (network: Network) => T, name: string): T {
  let first: unknown;
  for (const network of networks) {
    try {
      return read(network);
    } catch (error: unknown) {
      if (!(error instanceof AddressError || error instanceof InvoiceError)) throw error;
      first ??= error;
    }
  }
  if (first instanceof AddressError) throw new UsageError(`${name}: expected an address that is written right`);
  throw new UsageError(`${name}: ${first instanceof Error ? first.message : 'unreadable'}`);
}
