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
import { channelKey } from '../state/state.ts';
import { allowPayment } from './payment.ts';
import { rereadFor, withoutRoom } from './reread.ts';
import { returnedOf, withChannels } from './returned.ts';
import type { Scope } from './scope.ts';
import { feeBudget } from './settings.ts';
import { type Shortage, shortages } from './shortage.ts';
import { afford } from './unlisted.ts';
import { type Outcome, type Step, type Way, waysOf, wentThisWay, withSide } from './ways.ts';

/** Why the likeliest way is not allowed: what is newly offered first, for the owner is asked about that. */
interface Disallowed extends Outcome {
  readonly short: readonly [Shortage, ...Shortage[]];
}

function isShort(found: NodeState | Disallowed['short']): found is Disallowed['short'] {
  return Array.isArray(found);
}

/** Ways that are tried, at most: beyond the likeliest ones nothing is learnt, and a hostile host shall not keep the signer busy. */
const mostTried = 30;

/**
 * The node after these payments, or those of them that are short. What is dust in one commitment is an HTLC in
 * another, of a lower dust limit: it may come in unseen and go out listed. So it counts like what is listed nowhere.
 */
function covered(scope: Scope, node: NodeState, all: Iterable<Shortage>): NodeState | Disallowed['short'] {
  let after = node;
  const short: Shortage[] = [];
  for (const shortage of all) {
    const isDust = shortage.tag !== 'policy-payment-once' && shortage.out <= scope.settings.maxDustSat * 1000n;
    const affordable = isDust ? afford(scope, after, shortage.added) : undefined;
    if (affordable === undefined) short.push(shortage);
    else after = affordable;
  }
  const [first, ...others] = short;
  return first === undefined ? after : [first, ...others];
}

/** Ways with what each leaves short. */
type Tried = readonly (readonly [Way, Disallowed['short']])[];

/** Of ways that are not allowed the one to say no to. */
function likeliestOf(tried: Tried, offered: ReadonlySet<string>): Disallowed | undefined {
  const [way, short] = tried.find(([, [first]]) => offered.has(first.hash)) ?? tried[0] ?? [];
  return way && short && { channel: way.channel, node: way.node, short };
}

/** What is judged of a step. */
interface Judged {
  /** The node after a way, from this one on, or what the way leaves short. */
  readonly reached: (way: Way, start: NodeState) => NodeState | Disallowed['short'];
  /** Ends the step so. */
  readonly went: (way: Way, after: NodeState) => Outcome;
}

/** The first of these ways that is allowed; where none is, that is once what ended in doubt is read another way. */
function firstOf(
  scope: Scope,
  ways: readonly Way[],
  { reached, went }: Judged,
): { readonly outcome?: Outcome; readonly tried: Tried; readonly partly?: Disallowed | undefined } {
  const tried: [Way, Disallowed['short']][] = [];
  for (const way of ways) {
    const after = reached(way, way.node);
    if (!isShort(after)) return { outcome: went(way, after), tried };
    tried.push([way, after]);
  }
  let partly: Disallowed | undefined;
  for (const [way, short] of tried) {
    const reread = rereadFor(scope, way.node, short, way.channel);
    const after = reread && reached(way, reread);
    if (after === undefined) continue;
    if (!isShort(after)) return { outcome: went(way, after), tried };
    // What is short then is for the owner to say.
    if (after.length < short.length) partly ??= { channel: way.channel, node: way.node, short: after };
  }
  return { tried, partly };
}

/** The likeliest way that is allowed, or why the likeliest is not; undefined where there is none. */
function explain(
  scope: Scope,
  node: NodeState,
  before: ChannelState,
  accepted: ChannelState,
  step: Step,
): Outcome | Disallowed | undefined {
  const { owner } = step;
  const was = before.sides[owner].accepted.at(-1)?.htlcs ?? [];
  const is = accepted.sides[owner].accepted.at(-1)?.htlcs ?? [];
  const [removed, added] = [without(was, is), without(is, was)];
  const hashes = (htlcs: readonly Htlc[]) => new Set(htlcs.map(({ paymentHash }) => toHex(paymentHash)));
  const changed = hashes([...removed, ...added]);
  const ways = waysOf(scope, node, before, accepted, step);
  const judged: Judged = {
    reached: (way, start) => covered(scope, start, shortages(scope, start, before, way.channel, changed)),
    went: (way, after) => {
      const channel = wentThisWay(way, ways.flat(), owner, removed);
      return { channel, node: withoutRoom(scope, after, channel, changed) };
    },
  };
  const results = [];
  for (const some of ways) {
    const result = firstOf(scope, some.slice(0, mostTried), judged);
    if (result.outcome !== undefined) return result.outcome;
    results.push(result);
  }
  const partly = results.find((result) => result.partly !== undefined)?.partly;
  // What is newly offered goes out whichever way it was: the owner is asked about that before anything is in doubt.
  return (
    partly ??
    likeliestOf(
      results.flatMap(({ tried }) => tried),
      hashes(added),
    )
  );
}

/** And channels that are known to be closed since. */
type Settled = Outcome & { readonly others: readonly ChannelState[] };

/**
 * The channel and the node after the step. `accepted` is the channel with the new commitment in it, its payments not yet
 * settled. Where nothing else allows a payment, the chain is asked what came back, then the owner.
 */
export async function settle(begun: Scope, before: ChannelState, accepted: ChannelState, step: Step): Promise<Settled> {
  const askedFor = new Set<string>();
  const others = new Map<string, ChannelState>();
  let scope = begun;
  let { node } = scope.state;
  const cameBack = async (short: readonly Shortage[]) => {
    const hashes = new Set(short.map(({ hash }) => hash));
    const returned = await returnedOf(scope, hashes, channelKey(before.peer, before.dbid));
    for (const each of returned) others.set(channelKey(each.peer, each.dbid), each);
    if (returned.length > 0) scope = { ...scope, state: withChannels(scope.state, returned) };
    return returned.length > 0;
  };
  const asked = async (short: Shortage) => {
    if (!isAskable(scope, short, node) || askedFor.has(short.hash)) return undefined;
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
      return { channel: withSide(accepted, step.owner, { ...side, account }), node, others: [] };
    }
    if (!('short' in outcome)) return { ...outcome, others: [...others.values()] };
    const { short } = outcome;
    if (await cameBack(short)) continue;
    const more = await asked(short[0]);
    if (more === undefined) {
      scope.broken(short[0].tag, short[0].facts);
      return { channel: outcome.channel, node: outcome.node, others: [...others.values()] };
    }
    node = more;
  }
}

/**
 * No word of the owner's makes time, or a payment that was made a new one. But parts of a payment without an invoice are
 * asked about as they come.
 */
function isAskable({ state }: Scope, { tag, hash }: Shortage, { approvals }: NodeState): boolean {
  if (tag === 'policy-routing-cltv-delta') return false;
  const approval = approvals.get(hash);
  const isUnderWay = approval?.soFar === true && approval.usesLeft > 0 && state.flows(hash, undefined).length > 0;
  return tag !== 'policy-payment-once' || isUnderWay;
}

/** An HTLC without an invoice or beyond its amount: the owner is asked for all that goes out under its hash. */
function ask(scope: Scope, node: NodeState, { hash, wanted, givesBack }: Shortage): Promise<NodeState | undefined> {
  const purpose = {
    kind: 'pay',
    how: 'uninvoiced',
    hash,
    amountMsat: wanted,
    feeBudgetMsat: feeBudget(scope.settings, wanted),
    payee: undefined,
    invoice: undefined,
    ...(givesBack && { givesBack }),
  } as const;
  return allowPayment(scope, node, purpose);
}
