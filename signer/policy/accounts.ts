/**
 * The money side of a new commitment: how our balance moved, what of that was paid for which payment, and whether that
 * was allowed. Finds one explanation of the change that keeps every rule, or says which rule none of them keeps.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { entered } from '../state/account.ts';
import type { ChannelState } from '../state/channel_state.ts';
import type { NodeState } from '../state/node_state.ts';
import { without } from '../state/settlement.ts';
import { allowPayment } from './payment.ts';
import { rereadFor } from './reread.ts';
import type { Scope } from './scope.ts';
import { feeBudget } from './settings.ts';
import { type Shortage, shortages } from './shortage.ts';
import { afford } from './unlisted.ts';
import { type Outcome, type Step, waysOf, wentThisWay, withSide } from './ways.ts';

/**
 * The node after these payments, or the first of them that is short. What is dust in one commitment is an HTLC in
 * another, of a lower dust limit: it may come in unseen and go out listed. So it counts like what is listed nowhere.
 */
function covered(scope: Scope, node: NodeState, short: Iterable<Shortage>): NodeState | Shortage {
  let after = node;
  for (const shortage of short) {
    const isDust = shortage.tag !== 'policy-payment-once' && shortage.out <= scope.settings.maxDustSat * 1000n;
    const affordable = isDust ? afford(scope, after, shortage.added) : undefined;
    if (affordable === undefined) return shortage;
    after = affordable;
  }
  return after;
}

/** The likeliest way that is allowed, or why the likeliest is not; undefined where there is none. */
function explain(
  scope: Scope,
  node: NodeState,
  before: ChannelState,
  accepted: ChannelState,
  step: Step,
): Outcome | (Outcome & { readonly short: Shortage }) | undefined {
  const { owner } = step;
  const was = before.sides[owner].accepted.at(-1)?.htlcs ?? [];
  const is = accepted.sides[owner].accepted.at(-1)?.htlcs ?? [];
  const [removed, added] = [without(was, is), without(is, was)];
  const hashes = (htlcs: readonly Htlc[]) => new Set(htlcs.map(({ paymentHash }) => toHex(paymentHash)));
  const changed = hashes([...removed, ...added]);
  // What is newly offered goes out whichever way it was: the owner is asked about that before anything is in doubt.
  const offered = hashes(added);
  const ways = waysOf(scope, node, before, accepted, step);
  let likeliest: (Outcome & { readonly short: Shortage }) | undefined;
  for (const way of ways) {
    const after = covered(scope, way.node, shortages(scope, node, before, way.channel, changed));
    if (!('hash' in after)) return { channel: wentThisWay(way, ways, owner, removed), node: after };
    if (likeliest === undefined || (offered.has(after.hash) && !offered.has(likeliest.short.hash)))
      likeliest = { channel: way.channel, node: way.node, short: after };
  }
  return likeliest;
}

/**
 * The channel and the node after the step. `accepted` is the channel with the new commitment in it, its payments not yet
 * settled. Asks the owner about payments that nothing else allows.
 */
export async function settle(scope: Scope, before: ChannelState, accepted: ChannelState, step: Step): Promise<Outcome> {
  const [reread, askedFor] = [new Set<string>(), new Set<string>()];
  let { node } = scope.state;
  const asked = async (short: Shortage) => {
    if (!isAskable(short, node) || askedFor.has(short.hash)) return undefined;
    askedFor.add(short.hash);
    return await ask(scope, node, short);
  };
  for (;;) {
    const outcome = explain(scope, node, before, accepted, step);
    if (outcome === undefined) {
      const side = accepted.sides[step.owner];
      scope.broken('policy-commitment-balance', { before: side.account.ours / 1000n, after: step.shown.most / 1000n });
      // Only a warning: what comes next is compared with what was let pass.
      const account = entered(side.account, 0n, step.shown);
      return { channel: withSide(accepted, step.owner, { ...side, account }), node };
    }
    if (!('short' in outcome)) return outcome;
    const { short } = outcome;
    const isKnown = reread.has(short.hash);
    reread.add(short.hash);
    const more = (isKnown ? undefined : rereadFor(scope, node, short, reread)) ?? (await asked(short));
    if (more === undefined) {
      scope.broken(short.tag, short.facts);
      return { channel: outcome.channel, node: outcome.node };
    }
    node = more;
  }
}

/**
 * No word of the owner's makes time, or a payment that was made a new one. But parts of a payment without an invoice are
 * asked about as they come.
 */
function isAskable({ tag, hash }: Shortage, { approvals }: NodeState): boolean {
  if (tag === 'policy-routing-cltv-delta') return false;
  const approval = approvals.get(hash);
  return tag !== 'policy-payment-once' || (approval?.soFar === true && approval.usesLeft > 0);
}

/** An HTLC without an invoice or beyond its amount: the owner is asked for all that goes out under its hash. */
function ask(scope: Scope, node: NodeState, { hash, wanted }: Shortage): Promise<NodeState | undefined> {
  const purpose = {
    kind: 'pay',
    how: 'uninvoiced',
    hash,
    amountMsat: wanted,
    feeBudgetMsat: feeBudget(scope.settings, wanted),
    payee: undefined,
    invoice: undefined,
  } as const;
  return allowPayment(scope, node, purpose);
}
