/** What an owner says yes to, in the form in which asking and allowing can be compared: one kind, one target, one amount. */

import { equalBytes, utf8 } from '../../proto/bytes.ts';
import { sha256Of } from '../crypto/hash.ts';
import type { Bolt11Content } from '../lightning/bolt11.ts';
import type { Consent, Outgoing, Purpose } from './purpose.ts';
import type { Tag } from './rules.ts';

/**
 * Some can be allowed before all of what is asked is known: a keysend by whom it pays, an offer's invoice by the offer, a
 * splice-out by where it goes.
 */
export type WishKind = Outgoing['kind'] | 'keysend' | 'offer' | 'spliceTo';

export interface Wish {
  readonly kind: WishKind;
  /** Hex: a payment hash, a node id, a scriptPubKey, the id of an offer. */
  readonly target: string;
  /** In the unit of its kind; the most, where it is allowed in advance. */
  readonly amount: bigint;
  /** The routing fee a payment may cost besides, msat; undefined: what the settings say. */
  readonly feeBudgetMsat?: bigint | undefined;
  /** Whether it is for a part of a payment, and adds to other parts of it. */
  readonly isPart?: boolean | undefined;
  /** Of the channel to be closed, one of its names; undefined: any. */
  readonly channel?: string | undefined;
}

/** An invoice of ours, as asked for. */
export interface InvoiceWish {
  readonly kind: 'issue';
  /** Undefined: any. */
  readonly amountMsat: bigint | undefined;
  readonly description: string;
  /** Whether only the description's hash is to stand in it. */
  readonly hashOnly: boolean;
  /** Undefined: not said. */
  readonly expirySeconds: number | undefined;
  readonly paymentHash: Uint8Array | undefined;
}

export interface WishKindRow {
  readonly unit: 'msat' | 'sat';
  readonly target: 'payment hash' | 'node' | 'script' | 'offer';
  /** For people: `pay 5000 msat`. */
  readonly verb: string;
  /** The rule that refuses it without the owner's word. */
  readonly rule: Tag;
}

// biome-ignore format: one kind a row
export const wishKinds: { readonly [K in WishKind]: WishKindRow } = {
  pay:       { unit: 'msat', target: 'payment hash', verb: 'pay', rule: 'policy-commitment-payment-approved' },
  keysend:   { unit: 'msat', target: 'node', verb: 'send', rule: 'policy-commitment-payment-approved' },
  offer:     { unit: 'msat', target: 'offer', verb: 'pay the offer', rule: 'policy-commitment-payment-approved' },
  spend:     { unit: 'sat', target: 'script', verb: 'send on-chain', rule: 'policy-onchain-no-unknown-outputs' },
  open:      { unit: 'sat', target: 'node', verb: 'open a channel with', rule: 'policy-onchain-signed-request' },
  push:      { unit: 'msat', target: 'node', verb: 'give the peer at opening', rule: 'policy-onchain-no-channel-push' },
  spliceOut: { unit: 'sat', target: 'node', verb: 'take out of a channel', rule: 'policy-splice-balance' },
  spliceTo:  { unit: 'sat', target: 'script', verb: 'take out of a channel to', rule: 'policy-splice-destination' },
  closeTo:   { unit: 'sat', target: 'script', verb: 'close a channel to', rule: 'policy-mutual-destination-allowlisted' },
};

export function isWishKind(text: string): text is WishKind {
  return Object.hasOwn(wishKinds, text);
}

export function wishOf(purpose: Outgoing): Wish {
  switch (purpose.kind) {
    case 'pay':
      return { kind: 'pay', target: purpose.hash, amount: purpose.amountMsat };
    case 'spend':
    case 'closeTo':
      return { kind: purpose.kind, target: purpose.script, amount: purpose.amountSat };
    case 'open':
    case 'spliceOut':
      return { kind: purpose.kind, target: purpose.peer, amount: purpose.amountSat };
    case 'push':
      return { kind: 'push', target: purpose.peer, amount: purpose.amountMsat };
  }
}

/**
 * What a yes to something asked allows. lightningd tries again with another payment hash where it makes one for each
 * attempt: for a keysend, and for the invoice that answers an offer.
 */
export function askedWish(purpose: Outgoing): Wish {
  const wish = wishOf(purpose);
  if (purpose.kind !== 'pay') return wish;
  const { how, payee, offer } = purpose;
  if (offer !== undefined) return { ...wish, kind: 'offer', target: offer };
  return how === 'keysend' && payee !== undefined ? { ...wish, kind: 'keysend', target: payee } : wish;
}

/** A close's fee is found in rounds, and what it leaves us moves with it: this much more than was allowed passes. */
const closeSlackPercent = 10n;

/** What leave given for `allowed` says to `purpose`. */
export function consentOf(allowed: Wish | InvoiceWish, purpose: Purpose): Consent {
  if (allowed.kind === 'issue') return purpose.kind === 'issue' && isAsWished(allowed, purpose.content);
  if (purpose.kind === 'issue' || !isAbout(allowed, purpose)) return false;
  if (purpose.kind === 'pay') return paymentTerms(allowed, purpose);
  const { amount } = wishOf(purpose);
  return amount <= (purpose.kind === 'closeTo' ? (allowed.amount * (100n + closeSlackPercent)) / 100n : allowed.amount);
}

/** Whether all but the amount fits. */
function isAbout(allowed: Wish, purpose: Outgoing): boolean {
  const { kind, target } = allowed;
  if (kind === 'keysend') return purpose.kind === 'pay' && purpose.how === 'keysend' && purpose.payee === target;
  if (kind === 'offer') return purpose.kind === 'pay' && purpose.offer === target;
  if (kind === 'spliceTo')
    // All that leaves goes there: what else is paid is not ours.
    return (
      purpose.kind === 'spliceOut' &&
      (purpose.outputs ?? []).some(({ script, amountSat }) => script === target && amountSat >= purpose.amountSat)
    );
  if (purpose.kind === 'closeTo' && allowed.channel !== undefined && !purpose.channel?.includes(allowed.channel))
    return false;
  const wanted = wishOf(purpose);
  return kind === wanted.kind && target === wanted.target;
}

/** Whether it is for an invoice that leaves the amount to its payer. */
export function isAmountless({ kind, amount }: Wish): boolean {
  return kind === 'pay' && amount === 0n;
}

/** HTLCs without an invoice are all there is to see of a payment: their fees are in them. */
function paymentTerms(allowed: Wish, purpose: Extract<Purpose, { readonly kind: 'pay' }>): Consent {
  const { amountMsat, how } = purpose;
  const feeBudgetMsat = allowed.feeBudgetMsat ?? purpose.feeBudgetMsat;
  if (how === 'uninvoiced') {
    const left = allowed.amount + feeBudgetMsat - amountMsat;
    return left >= 0n && { amountMsat, feeBudgetMsat: left };
  }
  if (how === 'invoice' && amountMsat === 0n) return { amountMsat: allowed.amount, feeBudgetMsat };
  if (amountMsat <= allowed.amount) return { amountMsat, feeBudgetMsat };
  // The invoice is for more than the part that leaves from here.
  return allowed.isPart === true && { amountMsat: allowed.amount, feeBudgetMsat };
}

function isAsWished(
  { amountMsat, description, hashOnly, expirySeconds, paymentHash }: InvoiceWish,
  content: Bolt11Content,
) {
  const described = hashOnly
    ? content.descriptionHash !== undefined && equalBytes(content.descriptionHash, sha256Of(utf8(description)))
    : content.description === description;
  return (
    described &&
    content.amountMsat === amountMsat &&
    (expirySeconds === undefined || content.expirySeconds === expirySeconds) &&
    (paymentHash === undefined || equalBytes(paymentHash, content.paymentHash))
  );
}
