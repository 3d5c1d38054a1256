/**
 * Approvals: an owner's leave for one purpose, up to an amount and a fee, for a time and a number of uses. Whoever keeps
 * them first looks for one that covers what is asked, and only then asks for a new one. All of it is pure.
 */

import type { Intent } from './intents.ts';
import { hashOf, type Purpose, serves } from './purpose.ts';

export interface Approval {
  /** The same for the same request and intent, so that it never becomes two. */
  readonly id: string;
  readonly purpose: Purpose;
  /** Fees aside; 'all' only where the owner said so. */
  readonly amountMsat: bigint | 'all';
  readonly feeBudgetMsat: bigint;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  readonly usesLeft: number;
  /** For an offer or a keysend: the payment it was used for first, and can only be used for since. */
  readonly boundTo: Uint8Array | undefined;
  /** Whether it adds to other approvals of its payment: a part of it, where to pay an invoice again is the same payment. */
  readonly isPart: boolean;
  /** Whose word it is, for people. */
  readonly by: string;
}

/** What lightningd is about to do, as far as its request tells. */
export interface Wanted {
  readonly purpose: Purpose;
  /** Undefined where it does not say: an invoice whose payer chooses. */
  readonly amountMsat: bigint | undefined;
}

/** Why an approval does not cover what is wanted; undefined where it does. */
export function objection(approval: Approval, wanted: Wanted, now: number): string | undefined {
  const { purpose, amountMsat, expiresAt, usesLeft, boundTo } = approval;
  const isSame =
    boundTo === undefined ? serves(purpose, wanted.purpose) : serves(boundPurpose(boundTo), wanted.purpose);
  if (!isSame) return 'it is for something else';
  if (now >= expiresAt) return 'it has expired';
  if (usesLeft < 1) return 'it has been used';
  if (amountMsat !== 'all' && (wanted.amountMsat ?? 0n) > amountMsat)
    return `it is for ${amountMsat} msat, not ${wanted.amountMsat}`;
  return undefined;
}

/** The first approval that covers what is wanted. */
export function findApproval(approvals: readonly Approval[], wanted: Wanted, now: number): Approval | undefined {
  return approvals.find((approval) => objection(approval, wanted, now) === undefined);
}

/** The approval after one use. One for whatever hash there will be is from now on for this one. */
export function used(approval: Approval, { purpose }: Wanted): Approval {
  return { ...approval, usesLeft: approval.usesLeft - 1, boundTo: approval.boundTo ?? hashOf(purpose) };
}

/** 21 million bitcoin. */
const everythingMsat = 2_100_000_000_000_000_000n;

export interface Allowance {
  readonly amountMsat: bigint;
  readonly feeBudgetMsat: bigint;
}

/**
 * All that the given approvals allow to leave for a payment hash, whether used or not. Parts add up; of approvals of the
 * whole, an invoice's that was tried again say, the largest counts.
 */
export function allowanceFor(approvals: readonly Approval[], paymentHash: Uint8Array): Allowance {
  let whole: Allowance = { amountMsat: 0n, feeBudgetMsat: 0n };
  let parts = whole;
  for (const { purpose, boundTo, amountMsat, feeBudgetMsat, isPart } of approvals) {
    const own = boundTo === undefined ? purpose : boundPurpose(boundTo);
    if (!serves(own, boundPurpose(paymentHash))) continue;
    const most = amountMsat === 'all' ? everythingMsat : amountMsat;
    if (isPart) parts = { amountMsat: parts.amountMsat + most, feeBudgetMsat: parts.feeBudgetMsat + feeBudgetMsat };
    else whole = larger(whole, { amountMsat: most, feeBudgetMsat });
  }
  return larger(whole, parts);
}

function larger(a: Allowance, b: Allowance): Allowance {
  return a.amountMsat + a.feeBudgetMsat >= b.amountMsat + b.feeBudgetMsat ? a : b;
}

function boundPurpose(paymentHash: Uint8Array): Purpose {
  return { kind: 'payment', paymentHash };
}

/** What a payment may cost beyond its amount, where the owner did not say: the larger of the two. */
export interface FeeBudget {
  readonly absoluteMsat: bigint;
  /** Millionths of the amount. */
  readonly proportional: bigint;
}

/** 5 sat or 1 %, whichever is more. */
export const defaultFeeBudget: FeeBudget = { absoluteMsat: 5_000n, proportional: 10_000n };

export function feeBudgetOf(amountMsat: bigint | 'all', { absoluteMsat, proportional }: FeeBudget): bigint {
  const share = amountMsat === 'all' ? 0n : (amountMsat * proportional) / 1_000_000n;
  return share > absoluteMsat ? share : absoluteMsat;
}

/** An approval of what a client asked for. */
export function approvalOf(
  { purpose, amountMsat, feeMsat, isPart = false }: Intent,
  terms: { readonly id: string; readonly by: string; readonly expiresAt: number; readonly budget: FeeBudget },
): Approval {
  const { id, by, expiresAt, budget } = terms;
  const feeBudgetMsat = feeMsat ?? feeBudgetOf(amountMsat, budget);
  return { id, purpose, amountMsat, feeBudgetMsat, expiresAt, usesLeft: 1, boundTo: undefined, isPart, by };
}
