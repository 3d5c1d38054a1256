/** What value would leave for, as the owner is asked: each is one yes or no. */

export type Purpose =
  | {
      readonly kind: 'pay';
      /** Hex of the payment hash. */
      readonly hash: string;
      readonly amountMsat: bigint;
      readonly feeBudgetMsat: bigint;
      /** Hex of the payee's node id, where the invoice or keysend tells. */
      readonly payee: string | undefined;
      readonly how: 'invoice' | 'keysend' | 'uninvoiced';
      /** The invoice text, where there is one. */
      readonly invoice: string | undefined;
    }
  /** An output of the wallet's that is not ours. */
  | { readonly kind: 'spend'; readonly script: string; readonly amountSat: bigint }
  /** Value of the wallet's that goes into a channel, where it stays ours. */
  | { readonly kind: 'open'; readonly peer: string; readonly amountSat: bigint }
  /** Value pushed to the peer at opening, or paid for a lease. */
  | { readonly kind: 'push'; readonly peer: string; readonly amountMsat: bigint }
  /** Value that leaves a channel in a splice. */
  | { readonly kind: 'spliceOut'; readonly peer: string; readonly amountSat: bigint }
  /** A close that pays a script which is not known to be ours. */
  | { readonly kind: 'closeTo'; readonly script: string; readonly amountSat: bigint };

/** Says yes or no. An answer must come before the request's deadline: whoever waits for a person says no in time. */
export interface Approver {
  readonly name: string;
  approve(purpose: Purpose, now: number): Promise<boolean>;
}

/** Says yes to everything: for the owner's own machine, and for tests. */
export const approveAll: Approver = { name: 'all', approve: () => Promise.resolve(true) };

/** Says no to everything: what the limits do not allow does not happen. */
export const approveNothing: Approver = { name: 'nothing', approve: () => Promise.resolve(false) };

/** The first that says yes. */
export function firstOf(...approvers: readonly Approver[]): Approver {
  return {
    name: approvers.map(({ name }) => name).join(', then '),
    async approve(purpose, now) {
      for (const approver of approvers) if (await approver.approve(purpose, now)) return true;
      return false;
    },
  };
}
