/** Who may say yes when lightningd wants to spend, and how several of them are asked in turn. */

import type { Approval, Wanted } from './approval.ts';
import type { SignedRequest } from './signed_request.ts';

/** What is known when the question is asked. */
export interface Facts {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The clients' requests in progress, as the host presents them. */
  readonly requests: readonly SignedRequest[];
  /** What was approved within the window of the owner's limits, in msat: payments, and on-chain spends. */
  readonly spent: { readonly paymentsMsat: bigint; readonly onchainMsat: bigint };
  /** lightningd only wants to know (check_only): nothing is to be remembered. */
  readonly checkOnly: boolean;
}

export type Decision =
  /** Approvals to keep; one of them covers what was asked. */
  | { readonly answer: 'yes'; readonly approvals: readonly Approval[] }
  /** Not to be asked of anybody else. */
  | { readonly answer: 'no'; readonly reason: string }
  /** Somebody else may know. */
  | { readonly answer: 'abstain'; readonly reason: string };

export interface Approver {
  approve(wanted: Wanted, facts: Facts, signal: AbortSignal): Promise<Decision>;
}

/** Asks one after the other; the first that does not abstain decides, and if none does, that is an abstention too. */
export function firstOf(...approvers: readonly Approver[]): Approver {
  return {
    async approve(wanted, facts, signal) {
      const reasons: string[] = [];
      for (const approver of approvers) {
        signal.throwIfAborted();
        const decision = await approver.approve(wanted, facts, signal);
        if (decision.answer !== 'abstain') return decision;
        reasons.push(decision.reason);
      }
      return { answer: 'abstain', reason: reasons.join('; ') };
    },
  };
}
