/** What value would leave for, as the owner is asked: each is one yes or no. */

import type { Bolt11Content } from '../lightning/bolt11.ts';

export type Purpose =
  | {
      readonly kind: 'pay';
      /** Hex of the payment hash. */
      readonly hash: string;
      /** 0 where the invoice does not say: a yes then has terms with the amount, or leaves it to the HTLCs. */
      readonly amountMsat: bigint;
      readonly feeBudgetMsat: bigint;
      /** Hex of the payee's node id, where the invoice or keysend tells. */
      readonly payee: string | undefined;
      readonly how: 'invoice' | 'keysend' | 'uninvoiced';
      /** The invoice text, where there is one. */
      readonly invoice: string | undefined;
      /** Whether nothing new goes out: an incoming HTLC is to be failed, and what went out for it may not have come back. */
      readonly givesBack?: boolean | undefined;
      /** Hex of the id of the BOLT 12 offer that the invoice answers. */
      readonly offer?: string | undefined;
    }
  /** An output of the wallet's that is not ours; with an empty script, a fee above what the weight may cost. */
  | { readonly kind: 'spend'; readonly script: string; readonly amountSat: bigint }
  /** Value of the wallet's that goes into a channel, where it stays ours. */
  | { readonly kind: 'open'; readonly peer: string; readonly amountSat: bigint }
  /** Value pushed to the peer at opening, or paid for a lease. */
  | { readonly kind: 'push'; readonly peer: string; readonly amountMsat: bigint }
  /** Value that leaves a channel in a splice. */
  | {
      readonly kind: 'spliceOut';
      readonly peer: string;
      readonly amountSat: bigint;
      /** Hex: the same transaction is one splice, however often it is signed. */
      readonly txid?: string | undefined;
      /** Its outputs that are neither ours nor the channel's, scripts in hex. */
      readonly outputs?: readonly { readonly script: string; readonly amountSat: bigint }[] | undefined;
    }
  /** A close that pays a script which is not known to be ours. */
  | {
      readonly kind: 'closeTo';
      readonly script: string;
      readonly amountSat: bigint;
      /** What the channel is called, see `channelNames`. */
      readonly channel?: readonly string[] | undefined;
    }
  /** An invoice of ours: nothing leaves by it, but it should be the one that the owner asked for. */
  | { readonly kind: 'issue'; readonly content: Bolt11Content };

/** A purpose for which value leaves. */
export type Outgoing = Exclude<Purpose, { readonly kind: 'issue' }>;

/** What may go out for a payment, and what its routing may cost on top. */
export interface PaymentTerms {
  readonly amountMsat: bigint;
  readonly feeBudgetMsat: bigint;
  /** Unix seconds until which the same answer may be given again; undefined: it is not, or is no promise. */
  readonly until?: number | undefined;
}

/** The owner's word. A yes to a payment may have terms of its own, in place of the purpose's. */
export type Consent = boolean | PaymentTerms;

/** Says yes or no. An answer must come before the request's deadline: whoever waits for a person says no in time. */
export interface Approver {
  readonly name: string;
  /** `now` in Unix seconds. */
  approve(purpose: Purpose, now: number): Promise<Consent>;
  /** Whether it would say yes now: uses no leave up and asks nobody. Left out where a yes uses nothing up. */
  would?(purpose: Purpose, now: number): Promise<boolean>;
}

/** Whether an approver would say yes; where asking costs nothing it is asked. */
export async function wouldApprove(approver: Approver, purpose: Purpose, now: number): Promise<boolean> {
  return approver.would?.(purpose, now) ?? (await approver.approve(purpose, now)) !== false;
}

/** Says yes to everything: for the owner's own machine, and for tests. */
export const approveAll: Approver = { name: 'all', approve: () => Promise.resolve(true) };

/** The first that says yes. */
export function firstOf(...approvers: readonly Approver[]): Approver {
  return {
    name: approvers.map(({ name }) => name).join(', then '),
    async approve(purpose, now) {
      for (const approver of approvers) {
        const consent = await approver.approve(purpose, now);
        if (consent !== false) return consent;
      }
      return false;
    },
    async would(purpose, now) {
      for (const approver of approvers) if (await wouldApprove(approver, purpose, now)) return true;
      return false;
    },
  };
}
