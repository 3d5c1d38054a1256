/** What an owner says yes to, in the form in which asking and allowing can be compared: one kind, one target, one amount. */

import type { Purpose } from './purpose.ts';
import type { Tag } from './rules.ts';

/** A keysend can be allowed before its payment hash is known: by whom it pays. */
export type WishKind = Purpose['kind'] | 'keysend';

export interface Wish {
  readonly kind: WishKind;
  /** Hex: a payment hash, a node id, a scriptPubKey. */
  readonly target: string;
  /** In the unit of its kind; the most, where it is allowed in advance. */
  readonly amount: bigint;
}

export interface WishKindRow {
  readonly unit: 'msat' | 'sat';
  readonly target: 'payment hash' | 'node' | 'script';
  /** For people: `pay 5000 msat`. */
  readonly verb: string;
  /** The rule that refuses it without the owner's word. */
  readonly rule: Tag;
}

// biome-ignore format: one kind a row
export const wishKinds: { readonly [K in WishKind]: WishKindRow } = {
  pay:       { unit: 'msat', target: 'payment hash', verb: 'pay', rule: 'policy-commitment-payment-approved' },
  keysend:   { unit: 'msat', target: 'node', verb: 'send', rule: 'policy-commitment-payment-approved' },
  spend:     { unit: 'sat', target: 'script', verb: 'send on-chain', rule: 'policy-onchain-no-unknown-outputs' },
  open:      { unit: 'sat', target: 'node', verb: 'open a channel with', rule: 'policy-onchain-signed-request' },
  push:      { unit: 'msat', target: 'node', verb: 'give the peer at opening', rule: 'policy-onchain-no-channel-push' },
  spliceOut: { unit: 'sat', target: 'node', verb: 'take out of a channel', rule: 'policy-splice-balance' },
  closeTo:   { unit: 'sat', target: 'script', verb: 'close a channel to', rule: 'policy-mutual-destination-allowlisted' },
};

export function isWishKind(text: string): text is WishKind {
  return Object.hasOwn(wishKinds, text);
}

export function wishOf(purpose: Purpose): Wish {
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

/** A close's fee is found in rounds, and what it leaves us moves with it: this much more than was allowed passes. */
const closeSlackPercent = 10n;

/** The most that leave for `amount` lets pass. */
function mostFor(amount: bigint, purpose: Purpose): bigint {
  if (purpose.kind === 'closeTo') return (amount * (100n + closeSlackPercent)) / 100n;
  // HTLCs without an invoice are all there is to see of a payment: their fees are in them.
  return purpose.kind === 'pay' && purpose.how === 'uninvoiced' ? amount + purpose.feeBudgetMsat : amount;
}

/** Whether leave given for `allowed` is leave for `purpose`. */
export function covers(allowed: Wish, purpose: Purpose): boolean {
  const wanted = wishOf(purpose);
  const isSame =
    allowed.kind === 'keysend'
      ? purpose.kind === 'pay' && purpose.how === 'keysend' && purpose.payee === allowed.target
      : allowed.kind === wanted.kind && allowed.target === wanted.target;
  return isSame && wanted.amount <= mostFor(allowed.amount, purpose);
}

/** What counts as one use however often it is asked: a payment and its attempts, a close and its rounds. */
export function occasionOf(purpose: Purpose): string | undefined {
  if (purpose.kind === 'pay') return purpose.hash;
  return purpose.kind === 'closeTo' ? purpose.script : undefined;
}
