/**
 * HTLC transactions: the peer's that we countersign (20), and our own after a unilateral close (146). Each must be the one
 * that an accepted commitment asks for.
 */

import { ripemd160 } from '@noble/hashes/legacy.js';
import { equalBytes } from '../../proto/bytes.ts';
import type { Call } from '../../proto/hsmd/calls.ts';
import type { Htlc, TxWithPsbt } from '../../proto/hsmd/fields.ts';
import type { Side } from '../lightning/channel.ts';
import { htlcFee, htlcKind } from '../lightning/fees.ts';
import { type HtlcSpend, recogniseHtlcTx } from '../lightning/htlc_request.ts';
import type { AcceptedCommitment } from '../state/channel_state.ts';
import { basisAt, type Found, findCommitment, ourPointAt, setUp } from './commitments.ts';
import { reclaiming, withReclaim } from './reclaim.ts';
import type { Checks, Scope, Verdict } from './scope.ts';

type HtlcCall = Extract<Call, 'signRemoteHtlcTx' | 'signAnyLocalHtlcTx'>;

interface Asked {
  readonly peer: Uint8Array;
  readonly dbid: bigint;
  readonly owner: Side;
  /** The owner's per-commitment point, as the request means it. */
  readonly point: Uint8Array | undefined;
  readonly tx: TxWithPsbt;
  readonly wscript: Uint8Array;
  readonly anchors: boolean;
}

function isSame(htlc: Htlc, { kind, hash160, amount }: HtlcSpend, owner: Side): boolean {
  return (
    htlcKind(htlc, owner) === kind && htlc.amount / 1000n === amount && equalBytes(ripemd160(htlc.paymentHash), hash160)
  );
}

/** One HTLC of the commitment has this hash, amount and direction, and expires then. */
function checkHtlc(
  scope: Scope,
  spend: HtlcSpend,
  { commitment: { htlcs }, content: { feerate } }: Found,
  owner: Side,
  anchors: boolean,
): void {
  const same = htlcs.filter((htlc) => isSame(htlc, spend, owner));
  if (same.length === 0) scope.broken('policy-htlc-format', { differs: 'no such HTLC in the commitment' });
  else if (!same.some(({ cltvExpiry }) => cltvExpiry === spend.cltvExpiry))
    scope.broken('policy-htlc-locktime', { found: spend.cltvExpiry, expected: same[0]?.cltvExpiry ?? 0 });
  const expected = htlcFee(spend.kind, feerate, anchors);
  if (spend.fee !== expected) scope.broken('policy-htlc-fee-range', { fee: spend.fee, expected });
}

/** Judges an HTLC transaction; `belongs` says whether the point is that of the commitment. */
function check(scope: Scope, asked: Asked, belongs: (commitment: AcceptedCommitment) => boolean): Verdict<HtlcCall> {
  const { peer, dbid, owner, point, tx, wscript, anchors } = asked;
  const channel = setUp(scope, peer, dbid);
  const txid = tx.tx.inputs[0]?.txid;
  const found = channel && txid && findCommitment(channel, txid, [owner]);
  if (channel === undefined || point === undefined || found === undefined || !belongs(found.commitment)) {
    scope.broken('policy-htlc-format', { differs: 'it spends no accepted commitment' });
    return {};
  }
  const basis = basisAt(scope, channel, peer, dbid, owner, point);
  if (anchors !== basis.channel.anchors) scope.broken('policy-htlc-format', { differs: 'anchors' });
  const spend = recogniseHtlcTx(basis, tx, wscript);
  if (!spend.ok) {
    scope.broken(spend.tag, spend.facts);
    return {};
  }
  checkHtlc(scope, spend, found, owner, basis.channel.anchors);
  return owner === 'local' ? reclaiming(channel, withReclaim(scope, channel, owner, tx.tx, 0)) : {};
}

export const htlcChecks: Checks<HtlcCall> = {
  signRemoteHtlcTx(scope, { tx, wscript, remotePerCommitPoint: point, optionAnchorOutputs: anchors }) {
    const { nodeId: peer, dbid } = scope.context.client;
    const asked = { peer, dbid, owner: 'remote', point, tx, wscript, anchors } as const;
    return check(scope, asked, (commitment) => commitment.point !== undefined && equalBytes(commitment.point, point));
  },

  signAnyLocalHtlcTx(scope, { peerId: peer, dbid, commitNum, tx, wscript, optionAnchorOutputs: anchors }) {
    const revokedThrough = scope.state.channel(peer, dbid)?.sides.local.revokedThrough ?? -1n;
    if (commitNum <= revokedThrough)
      scope.broken('policy-commitment-holder-not-revoked', { number: `${commitNum}`, revoked: `${revokedThrough}` });
    const point = ourPointAt(scope, peer, dbid, commitNum);
    const asked = { peer, dbid, owner: 'local', point, tx, wscript, anchors } as const;
    return check(scope, asked, ({ number }) => number === commitNum);
  },
};
