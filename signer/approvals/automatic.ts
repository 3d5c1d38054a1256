/**
 * Approvers that need nobody: within the owner's limits and allowlist, or for everything. Both answer from what they are
 * given alone; what has been spent is part of the facts, so nothing is counted here.
 */

import { toHex } from '../../proto/bytes.ts';
import { type Approval, defaultFeeBudget, type FeeBudget, feeBudgetOf, type Wanted } from './approval.ts';
import type { Approver, Decision, Facts } from './approver.ts';
import { keyOfPurpose, type Purpose } from './purpose.ts';

/** Amounts in msat; a window is as long as the one that `Facts.spent` counts. */
export interface Limit {
  readonly eachMsat: bigint;
  readonly windowMsat: bigint;
}

export interface AutomaticLimits {
  readonly payments: Limit;
  /** Outputs to strangers, and channels. */
  readonly onchain: Limit;
  /** Node ids in hex (33 bytes) that may be paid, and get channels, without limit. */
  readonly nodes: ReadonlySet<string>;
  /** Scripts in hex that may be sent to, and closed to, without limit. */
  readonly scripts: ReadonlySet<string>;
  readonly budget: FeeBudget;
  /** How long such an approval lasts, in milliseconds. */
  readonly lifetime: number;
}

/** Yes within the limits and to what is on the allowlist; abstains from everything else. */
export function withinLimits(limits: AutomaticLimits): Approver {
  return {
    approve(wanted, facts) {
      if (isAllowed(limits, wanted.purpose)) return Promise.resolve(yes(wanted, facts, limits, 'the allowlist', 'all'));
      const category = categoryOf(wanted.purpose);
      if (category === undefined) return Promise.resolve(abstain(`no limit covers a ${wanted.purpose.kind}`));
      const { eachMsat, windowMsat } = limits[category];
      const spent = category === 'payments' ? facts.spent.paymentsMsat : facts.spent.onchainMsat;
      const left = windowMsat > spent ? windowMsat - spent : 0n;
      const most = left < eachMsat ? left : eachMsat;
      const { amountMsat } = wanted;
      if (most === 0n || (amountMsat ?? 0n) > most)
        return Promise.resolve(
          abstain(`${amountMsat ?? 'an open amount of'} msat is above the ${most} msat that are left for it`),
        );
      return Promise.resolve(yes(wanted, facts, limits, 'the limits', most));
    },
  };
}

/** Yes to everything: where whoever can reach lightningd is the owner, and in tests. */
export const acceptAll: Approver = {
  approve: (wanted, facts) =>
    Promise.resolve(
      yes(wanted, facts, { budget: defaultFeeBudget, lifetime: 3_600_000 }, 'a rule that accepts all', 'all'),
    ),
};

function isAllowed({ nodes, scripts }: AutomaticLimits, purpose: Purpose): boolean {
  switch (purpose.kind) {
    case 'payment':
      return purpose.payee !== undefined && nodes.has(toHex(purpose.payee));
    case 'keysend':
      return nodes.has(toHex(purpose.destination));
    case 'channel':
      return purpose.pushMsat === 0n && nodes.has(toHex(purpose.peer));
    case 'output':
      return scripts.has(toHex(purpose.script));
    case 'close':
      return purpose.script !== undefined && scripts.has(toHex(purpose.script));
    default:
      return false;
  }
}

function categoryOf(purpose: Purpose): 'payments' | 'onchain' | undefined {
  if (purpose.kind === 'payment' || purpose.kind === 'keysend') return 'payments';
  // What is pushed is given away: no limit for channels is meant for that.
  if (purpose.kind === 'output' || (purpose.kind === 'channel' && purpose.pushMsat === 0n)) return 'onchain';
  return undefined;
}

function yes(
  { purpose, amountMsat }: Wanted,
  { now }: Facts,
  { budget, lifetime }: Pick<AutomaticLimits, 'budget' | 'lifetime'>,
  by: string,
  most: bigint | 'all',
): Decision {
  const amount = amountMsat ?? most;
  const approval: Approval = {
    id: `${now}:${keyOfPurpose(purpose)}`,
    purpose,
    amountMsat: amount,
    feeBudgetMsat: feeBudgetOf(amount, budget),
    expiresAt: now + lifetime,
    usesLeft: 1,
    boundTo: undefined,
    isPart: false,
    by,
  };
  return { answer: 'yes', approvals: [approval] };
}

function abstain(reason: string): Decision {
  return { answer: 'abstain', reason };
}
