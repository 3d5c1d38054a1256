/**
 * Whether a payment is covered: for one hash, what may go out is no more than what comes in for sure and what was allowed.
 * An incoming HTLC covers only what goes out early enough for us to learn the preimage in time, so this holds for all
 * that goes out, and for all that expires at or after any height. A step may leave a payment short, but never make it
 * shorter.
 */

import type { Facts } from '../lightning/mismatch.ts';
import type { Approval } from '../state/approvals.ts';
import type { ChannelState, Flow, View } from '../state/channel_state.ts';
import {
  cameIn,
  comesIn,
  expiriesOut,
  flowOf,
  goesOut,
  inFlightIn,
  mayComeIn,
  nothingSettled,
  settledFlow,
} from '../state/flows.ts';
import type { NodeState } from '../state/node_state.ts';
import { channelKey } from '../state/state.ts';
import type { Tag } from './rules.ts';
import { fromMsat, type Scope } from './scope.ts';

export interface Shortage {
  readonly tag: Tag;
  readonly facts: Facts;
  /** Hex. */
  readonly hash: string;
  /** Msat that may go out for it in all. */
  readonly out: bigint;
  /** Msat that would have to be approved, with what is. */
  readonly wanted: bigint;
  /** Msat of them that the step adds. */
  readonly added: bigint;
  /** Whether it offers nothing: it takes away what came in. */
  readonly givesBack: boolean;
}

/** A payment before and after the step, over all channels. */
interface Payment {
  readonly hash: string;
  readonly was: readonly Flow[];
  readonly now: readonly Flow[];
  /** What counts of its approval. */
  readonly approval: Allowance | undefined;
}

/** Msat. */
type Allowance = Pick<Approval, 'amountMsat' | 'feeBudgetMsat'>;

/** For how long after its approval expired parts of a payment that is under way are tried again, in seconds. */
const triedFor = 60 * 60;

/**
 * What counts of an approval. One that expired while its HTLCs are in flight was used in time, for what is out under it:
 * what comes in for the same hash needs none.
 */
function counting(scope: Scope, approval: Approval | undefined, was: readonly Flow[]): Allowance | undefined {
  if (approval === undefined || approval.usesLeft === 0) return undefined;
  const { amountMsat, feeBudgetMsat, expires } = approval;
  if (expires > scope.now) return approval;
  const expiries = expiriesOut(was);
  const used = [undefined, ...expiries].map((expiry) => lacking(scope, was, 0n, expiry)).reduce(larger);
  if (expiries.size === 0 || used <= 0n) return undefined;
  if (expires + triedFor > scope.now || used >= amountMsat + feeBudgetMsat) return approval;
  return used < amountMsat ? { amountMsat: used, feeBudgetMsat: 0n } : { amountMsat, feeBudgetMsat: used - amountMsat };
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/**
 * Msat that lack of what goes out by HTLCs in flight that expire at `expiry` or later; of all that goes out, where it is
 * undefined. What is settled needs no time of its own: be it not paid for yet, any HTLC that comes in covers it.
 */
function lacking(
  { settings, height }: Scope,
  flows: readonly Flow[],
  allowed: bigint,
  expiry: number | undefined,
): bigint {
  const known = expiry === undefined ? height : Math.max(expiry, height ?? 0);
  const covers = known === undefined ? undefined : known + settings.minCltvDelta;
  const inFlight = (views: Flow) => views.map((view): View => ({ ...view, out: 0n }));
  return goesOut(expiry === undefined ? flows : flows.map(inFlight), expiry) - comesIn(flows, covers) - allowed;
}

/**
 * Msat that lack of what the step newly offers. What has come in was paid for by what went out before, or is ours to keep:
 * only what is still in flight can be for something that goes out now.
 */
function newlyLacking({ was, now }: Payment, allowed: bigint): bigint {
  const before = goesOut(was);
  const offered = goesOut(now) - before;
  if (offered <= 0n) return 0n;
  const owed = before - cameIn(now);
  const lacks = (owed > 0n ? owed : 0n) + offered - inFlightIn(now) - allowed;
  return lacks < offered ? lacks : offered;
}

/** The rule that says no to what lacks at no height in particular. */
function tagOf(node: NodeState, { hash, was, now }: Payment): Tag {
  const approval = node.approvals.get(hash);
  // Something went out under it already, be it that its uses are gone or that this payment is not over yet.
  if (approval !== undefined && (approval.usesLeft === 0 || goesOut(was) > 0n)) return 'policy-payment-once';
  return mayComeIn(now) ? 'policy-routing-balance' : 'policy-commitment-payment-approved';
}

function shortageOf(scope: Scope, node: NodeState, payment: Payment): Shortage | undefined {
  const { hash, was, now, approval } = payment;
  const allowed = approval === undefined ? 0n : approval.amountMsat + approval.feeBudgetMsat;
  const fresh = newlyLacking(payment, allowed);
  const givesBack = goesOut(now) <= goesOut(was);
  let found: Shortage | undefined;
  if (fresh > 0n) {
    const wanted = (approval?.amountMsat ?? 0n) + fresh;
    const facts = { out: fromMsat(goesOut(now)), in: fromMsat(inFlightIn(now)), beyond: fromMsat(fresh) };
    found = { tag: tagOf(node, payment), facts, hash, out: goesOut(now), wanted, added: fresh, givesBack };
  }
  for (const expiry of [undefined, ...expiriesOut(now)]) {
    const before = lacking(scope, was, allowed, expiry);
    const missing = lacking(scope, now, allowed, expiry);
    const added = missing - (before > 0n ? before : 0n);
    if (missing <= 0n || added <= 0n) continue;
    const [out, wanted] = [goesOut(now), (approval?.amountMsat ?? 0n) + missing];
    const facts =
      expiry === undefined
        ? { out: fromMsat(out), in: fromMsat(comesIn(now)), beyond: fromMsat(missing) }
        : { expiry, uncovered: fromMsat(missing), least: scope.settings.minCltvDelta };
    const tag = expiry === undefined ? tagOf(node, payment) : 'policy-routing-cltv-delta';
    const first = found ?? { tag, facts, hash, out, wanted, added, givesBack };
    found = first.added < added ? { ...first, added } : first;
  }
  return found;
}

/** Whether an approval was good for what is in flight of a payment (hash in hex); `before` is one of its channels. */
export function isUsed(scope: Scope, hash: string, before: ChannelState): boolean {
  const { node } = scope.state;
  const elsewhere = scope.state.flows(hash, channelKey(before.peer, before.dbid));
  const flows = [...elsewhere, settledFlow(node.settled.get(hash) ?? nothingSettled), flowOf(before, hash)];
  return counting(scope, node.approvals.get(hash), flows) !== undefined;
}

/**
 * Msat that may be counted as paid for one payment (hash in hex) beyond those that are, of HTLCs that are gone; with
 * `after` in place of that channel as it is. Its approval counts, for those were made in time, or else it does not.
 */
export function roomFor(scope: Scope, node: NodeState, hash: string, after: ChannelState, inTime = true): bigint {
  const elsewhere = scope.state.flows(hash, channelKey(after.peer, after.dbid));
  const ended = settledFlow(node.settled.get(hash) ?? nothingSettled);
  const flows = [...elsewhere, ended, flowOf(after, hash)];
  const approval = inTime ? node.approvals.get(hash) : undefined;
  const allowed = approval === undefined || approval.usesLeft === 0 ? 0n : approval.amountMsat + approval.feeBudgetMsat;
  return -[undefined, ...expiriesOut(flows)].map((expiry) => lacking(scope, flows, allowed, expiry)).reduce(larger);
}

/** Of these payments (hashes in hex), those that a step of a channel makes shorter than they may be. */
export function* shortages(
  scope: Scope,
  node: NodeState,
  before: ChannelState,
  after: ChannelState,
  hashes: Iterable<string>,
): Generator<Shortage> {
  const key = channelKey(before.peer, before.dbid);
  for (const hash of hashes) {
    const elsewhere = [...scope.state.flows(hash, key), settledFlow(node.settled.get(hash) ?? nothingSettled)];
    const was = [...elsewhere, flowOf(before, hash)];
    const now = [...elsewhere, flowOf(after, hash)];
    const approval = counting(scope, node.approvals.get(hash), was);
    const shortage = shortageOf(scope, node, { hash, was, now, approval });
    if (shortage !== undefined) yield shortage;
  }
}
