/**
 * Payments: asked for before they are made (preapprove), and held to it when their HTLCs stand in a commitment. For one
 * payment hash no more goes out than came in, was approved, and its fee budget allows.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Call } from '../../proto/hsmd/calls.ts';
import { wirestringText } from '../../proto/hsmd/codec.ts';
import { type Invoice, parseInvoice } from '../lightning/invoice.ts';
import { InvoiceError } from '../lightning/invoice_error.ts';
import { Refusal } from '../refusal.ts';
import type { Approval } from '../state/approvals.ts';
import { type NodeState, pour } from '../state/node_state.ts';
import type { PaymentTerms, Purpose } from './purpose.ts';
import type { Tag } from './rules.ts';
import { type Checks, fromMsat, type Scope, type Verdict } from './scope.ts';
import { feeBudget } from './settings.ts';

type PayPurpose = Extract<Purpose, { readonly kind: 'pay' }>;
type Preapproval = Extract<
  Call,
  'preapproveInvoice' | 'preapproveInvoiceCheck' | 'preapproveKeysend' | 'preapproveKeysendCheck'
>;

/** How long an approval without an expiry of its own is good for, in seconds. */
const goodFor = 24 * 60 * 60;
const no = { reply: { approved: false } } as const;

/**
 * Within the owner's limits for payments nobody asks about; the node with what that uses up, undefined where it is not.
 * An invoice is signed by its payee; whom a keysend pays is only what the host says, for its hash could be anybody's.
 */
function automatic(
  { settings, now }: Scope,
  node: NodeState,
  { amountMsat, feeBudgetMsat, payee, how }: PayPurpose,
): NodeState | undefined {
  if (how === 'invoice' && payee !== undefined && settings.allowedNodes.has(payee)) return node;
  if (amountMsat > settings.autoPayMsat) return undefined;
  // The host may spend the budget to the last msat: it counts as paid.
  const payments = pour(node.buckets.payments, amountMsat + feeBudgetMsat, settings.paymentsMsatPerDay, now);
  return payments && { ...node, buckets: { ...node.buckets, payments } };
}

/** How many old approvals are looked at with each new one, so that those nothing can ask for any more do not pile up. */
const lookedAt = 2;

/** The node with an approval added. Of the oldest, those that may be asked for again wait for their next turn. */
function withApproval({ state, now }: Scope, node: NodeState, hash: string, approval: Approval): NodeState {
  let { approvals } = node;
  for (const [old, known] of approvals.oldest(lookedAt)) {
    const isOver = known.until <= now && state.flows(old, undefined).length === 0;
    approvals = isOver ? approvals.without(old) : approvals.with(old, known);
  }
  return { ...node, approvals: approvals.with(hash, approval) };
}

/**
 * The node in which this payment may be made; undefined where nobody allows it. Until its invoice expires, and whoever
 * allows it would do so again, it is remembered that it was made. Times in Unix seconds.
 */
export async function allowPayment(
  scope: Scope,
  node: NodeState,
  purpose: PayPurpose,
  invoiceExpires?: number,
): Promise<NodeState | undefined> {
  const within = automatic(scope, node, purpose);
  const consent = within !== undefined || (await scope.approved(purpose));
  if (consent === false) return undefined;
  return withTerms(scope, within ?? node, purpose, consent === true ? purpose : consent, invoiceExpires);
}

/** The node in which this payment is approved on these terms. */
function withTerms(
  scope: Scope,
  node: NodeState,
  { hash, how }: PayPurpose,
  { amountMsat, feeBudgetMsat, until = 0 }: PaymentTerms,
  invoiceExpires?: number,
): NodeState {
  const expires = Math.min(scope.now + goodFor, invoiceExpires ?? Infinity);
  const remembered = Math.max(expires, invoiceExpires ?? 0, until);
  const soFar = how === 'uninvoiced' || undefined;
  return withApproval(scope, node, hash, { amountMsat, feeBudgetMsat, expires, until: remembered, usesLeft: 1, soFar });
}

/** Small enough to need no approval, but for what was paid today. */
function tooMuchToday({ settings }: Scope, { amountMsat }: PayPurpose): Tag {
  return amountMsat <= settings.autoPayMsat
    ? 'policy-commitment-payment-velocity'
    : 'policy-commitment-payment-approved';
}

/** lightningd asks again for each attempt; one that was paid already is not opened again. */
function isAllowed(scope: Scope, { hash, amountMsat }: PayPurpose): boolean {
  const known = scope.state.node.approvals.get(hash);
  if (known === undefined) return false;
  if (known.usesLeft > 0) return known.expires > scope.now && known.amountMsat >= amountMsat;
  scope.broken('policy-payment-once', { amount: fromMsat(amountMsat) });
  return true;
}

/**
 * What an invoice without an amount costs, only its HTLCs tell: too late for a no that fails the payment and not the
 * channel. So there must be a word for it now, with the most it may cost, or limits within which nobody is asked.
 */
async function preapproveAmountless(
  scope: Scope,
  purpose: PayPurpose,
  expires: number,
  checkOnly: boolean,
): Promise<Verdict<Preapproval>> {
  if (scope.context.failPreapprove) return no;
  if (isAllowed(scope, purpose) || scope.settings.autoPayMsat > 0n) return {};
  const consent = await scope.approved(purpose);
  if (consent === false) scope.broken('policy-commitment-payment-approved', { amount: 'not in the invoice' });
  if (checkOnly || typeof consent === 'boolean') return {};
  return { changes: { node: withTerms(scope, scope.state.node, purpose, consent, expires) } };
}

async function preapprove(
  scope: Scope,
  purpose: PayPurpose,
  invoiceExpires: number | undefined,
  checkOnly: boolean,
): Promise<Verdict<Preapproval>> {
  if (scope.context.failPreapprove) return no;
  const { node } = scope.state;
  if (isAllowed(scope, purpose)) return {};
  const allowed = await allowPayment(scope, node, purpose, invoiceExpires);
  if (allowed === undefined) scope.broken(tooMuchToday(scope, purpose), { amount: fromMsat(purpose.amountMsat) });
  if (checkOnly || allowed === undefined) return {};
  return { changes: { node: allowed } };
}

async function invoice(scope: Scope, bytes: Uint8Array, checkOnly: boolean): Promise<Verdict<Preapproval>> {
  const text = wirestringText(bytes);
  let parsed: Invoice;
  try {
    parsed = parseInvoice(text, scope.network, scope.context.secp.recover);
  } catch (error: unknown) {
    if (!(error instanceof InvoiceError)) throw error;
    scope.broken('policy-invoice-amount', { invoice: error.message });
    return {};
  }
  if (parsed.expiresAt <= scope.now)
    scope.broken('policy-invoice-not-expired', { expired: parsed.expiresAt, now: scope.now });
  const amountMsat = parsed.amountMsat ?? 0n;
  const purpose: PayPurpose = {
    kind: 'pay',
    how: 'invoice',
    hash: toHex(parsed.paymentHash),
    payee: toHex(parsed.payee),
    amountMsat,
    feeBudgetMsat: feeBudget(scope.settings, amountMsat),
    invoice: text,
    offer: parsed.offerId && toHex(parsed.offerId),
  };
  if (parsed.amountMsat === undefined) return preapproveAmountless(scope, purpose, parsed.expiresAt, checkOnly);
  return preapprove(scope, purpose, parsed.expiresAt, checkOnly);
}

function keysend(
  scope: Scope,
  request: { readonly destination: Uint8Array; readonly paymentHash: Uint8Array; readonly amountMsat: bigint },
  checkOnly: boolean,
): Promise<Verdict<Preapproval>> {
  const { destination, paymentHash, amountMsat } = request;
  const purpose: PayPurpose = {
    kind: 'pay',
    how: 'keysend',
    hash: toHex(paymentHash),
    payee: toHex(destination),
    amountMsat,
    feeBudgetMsat: feeBudget(scope.settings, amountMsat),
    invoice: undefined,
  };
  return preapprove(scope, purpose, undefined, checkOnly);
}

/** A refusal here is an answer of its own: "not approved", which fails the payment and nothing else. */
async function orNotApproved(verdict: Promise<Verdict<Preapproval>>, scope: Scope): Promise<Verdict<Preapproval>> {
  try {
    return await verdict;
  } catch (error: unknown) {
    if (!(error instanceof Refusal)) throw error;
    scope.note(error);
    return no;
  }
}

export const paymentChecks: Checks<Preapproval> = {
  preapproveInvoice: (scope, { invstring }) => orNotApproved(invoice(scope, invstring, false), scope),
  preapproveInvoiceCheck: (scope, { invstring, checkOnly }) =>
    orNotApproved(invoice(scope, invstring, checkOnly), scope),
  preapproveKeysend: (scope, request) => orNotApproved(keysend(scope, request, false), scope),
  preapproveKeysendCheck: (scope, request) => orNotApproved(keysend(scope, request, request.checkOnly), scope),
};
