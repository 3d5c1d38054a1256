/**
 * Bringing home what a closed channel left (12 to 14, 142 to 144): to our wallet, to the owner's list, or to what was
 * agreed at setup, and not in fees. sign_penalty_to_us is asked after every revocation, for watchtowers: the same rules.
 */

import type { Call } from '../../proto/hsmd/calls.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import type { Secret } from '../../proto/secret.ts';
import { pointOfSecret } from '../keys/tweak.ts';
import type { Side } from '../lightning/channel.ts';
import { recogniseSweep, type SweepKind } from '../lightning/sweep.ts';
import { basisAt, ourPointAt, setUp } from './commitments.ts';
import { leastOutput, mostFee, signedWeight } from './fees.ts';
import { isAgreed, isSafe } from './our_scripts.ts';
import { reclaiming, withReclaim } from './reclaim.ts';
import type { Checks, Scope, Verdict } from './scope.ts';

interface Swept {
  readonly tx: TxWithPsbt;
  readonly wscript: Uint8Array;
}

interface OfChannel {
  readonly peer: Uint8Array;
  readonly dbid: bigint;
}

/** A signature, a preimage and lengths, beside the script. */
const witnessBesideScript = 73 + 33 + 4;

/** `point` belongs to the commitment that is swept, `owner`'s. */
function check(
  scope: Scope,
  kind: SweepKind,
  { peer, dbid }: OfChannel,
  owner: Side,
  point: Uint8Array | undefined,
  { tx, wscript }: Swept,
): Verdict<SweepCall> {
  const channel = setUp(scope, peer, dbid);
  if (channel === undefined || point === undefined) {
    scope.broken('policy-sweep-format', { expected: 'a channel that was set up, and one of its commitments' });
    return {};
  }
  const sweep = recogniseSweep(kind, basisAt(scope, channel, peer, dbid, owner, point), tx, wscript);
  if (!sweep.ok) {
    scope.broken(sweep.tag, sweep.facts);
    return {};
  }
  const { destination, amount, fee } = sweep;
  const isHome = isAgreed(channel.setup, destination.script) || isSafe(scope, destination.script, tx.psbt.outputs[0]);
  if (!isHome) scope.broken('policy-sweep-destination-allowlisted', { amount: destination.amount });
  const weight = signedWeight(tx.tx, []) + wscript.length + witnessBesideScript;
  const most = mostFee(scope.settings, weight);
  const isFair = fee <= most && destination.amount >= leastOutput;
  if (!isFair) scope.broken('policy-sweep-fee-range', { amount, fee, most, weight });
  if (kind !== 'theirHtlc' || !isHome || !isFair) return {};
  return reclaiming(channel, withReclaim(scope, channel, owner, tx.tx, 0, amount));
}

/** The client's own channel. */
function ownChannel({ context: { client } }: Scope): OfChannel {
  return { peer: client.nodeId, dbid: client.dbid };
}

function named({ peerId, dbid }: { readonly peerId: Uint8Array; readonly dbid: bigint }): OfChannel {
  return { peer: peerId, dbid };
}

/** The point of the peer's secret; undefined where it is none. */
function pointOf({ context: { secp } }: Scope, secret: Secret): Uint8Array | undefined {
  return secret.use((bytes) => secp.isScalar(bytes)) ? pointOfSecret(secp, secret) : undefined;
}

function delayed(scope: Scope, of: OfChannel, request: Swept & { readonly commitNum: bigint }) {
  return check(scope, 'delayed', of, 'local', ourPointAt(scope, of.peer, of.dbid, request.commitNum), request);
}

function theirHtlc(scope: Scope, of: OfChannel, request: Swept & { readonly remotePerCommitmentPoint: Uint8Array }) {
  return check(scope, 'theirHtlc', of, 'remote', request.remotePerCommitmentPoint, request);
}

function penalty(scope: Scope, of: OfChannel, request: Swept & { readonly revocationSecret: Secret }) {
  return check(scope, 'penalty', of, 'remote', pointOf(scope, request.revocationSecret), request);
}

type SweepCall = Extract<
  Call,
  | 'signDelayedPaymentToUs'
  | 'signRemoteHtlcToUs'
  | 'signPenaltyToUs'
  | 'signAnyDelayedPaymentToUs'
  | 'signAnyRemoteHtlcToUs'
  | 'signAnyPenaltyToUs'
>;

export const sweepChecks: Checks<SweepCall> = {
  signDelayedPaymentToUs: (scope, request) => delayed(scope, ownChannel(scope), request),
  signAnyDelayedPaymentToUs: (scope, request) => delayed(scope, named(request), request),
  signRemoteHtlcToUs: (scope, request) => theirHtlc(scope, ownChannel(scope), request),
  signAnyRemoteHtlcToUs: (scope, request) => theirHtlc(scope, named(request), request),
  signPenaltyToUs: (scope, request) => penalty(scope, ownChannel(scope), request),
  signAnyPenaltyToUs: (scope, request) => penalty(scope, named(request), request),
};
