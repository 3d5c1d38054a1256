/** Secrets going either way: what the peer revokes (36), what we revoke (40), and the points that announce more (18). */

import { equalBytes } from '../../proto/bytes.ts';
import type { Call } from '../../proto/hsmd/calls.ts';
import type { Side } from '../lightning/channel.ts';
import { type ChannelState, highest, type SideState } from '../state/channel_state.ts';
import { withoutFinished } from './finished.ts';
import type { Changes, Checks, Scope } from './scope.ts';

function channelOf(scope: Scope): ChannelState | undefined {
  const { client } = scope.context;
  return scope.state.channel(client.nodeId, client.dbid);
}

function revoked(side: SideState, through: bigint): SideState {
  return { ...side, revokedThrough: through, accepted: side.accepted.filter(({ number }) => number > through) };
}

/** With its last commitment that has an HTLC, a payment may be over. */
function withRevoked(scope: Scope, before: ChannelState, side: Side, through: bigint): Changes {
  const after = { ...before, sides: { ...before.sides, [side]: revoked(before.sides[side], through) } };
  return withoutFinished(scope, before, after);
}

type RevocationCall = Extract<Call, 'validateRevocation' | 'revokeCommitmentTx' | 'getPerCommitmentPoint'>;

export const revocationChecks: Checks<RevocationCall> = {
  /** The secret must be of the point we signed for; the peer revokes in order, and only for what it has instead. */
  validateRevocation(scope, { revokeNum, perCommitmentSecret }) {
    const { secp } = scope.context;
    const channel = channelOf(scope);
    const remote = channel?.sides.remote;
    if (channel === undefined || remote === undefined || revokeNum <= remote.revokedThrough) return {};
    const known = remote.accepted.find(({ number }) => number === revokeNum);
    const facts = { number: `${revokeNum}`, revoked: `${remote.revokedThrough}`, signed: `${highest(remote)}` };
    const right =
      perCommitmentSecret.use((bytes) => secp.isScalar(bytes)) &&
      known?.point !== undefined &&
      equalBytes(secp.publicKey(perCommitmentSecret), known.point);
    const inOrder = revokeNum === remote.revokedThrough + 1n && revokeNum < highest(remote);
    if (!right || !inOrder) {
      const secret = right ? 'out of order' : 'of another point';
      scope.broken('policy-commitment-previous-revoked', { ...facts, secret });
      return {};
    }
    return { changes: withRevoked(scope, channel, 'remote', revokeNum) };
  },

  /** N is given up only for an N+1 that the peer signed, for every funding that may confirm. */
  revokeCommitmentTx(scope, { commitNum }) {
    const channel = channelOf(scope);
    const local = channel?.sides.local;
    if (channel === undefined || local === undefined) {
      scope.broken('policy-revoke-new-commitment-signed', { number: `${commitNum}`, validated: 'none' });
      return {};
    }
    if (commitNum <= local.revokedThrough) return {};
    const next = local.accepted.find(({ number }) => number === commitNum + 1n);
    const lacking = channel.fundings.filter(({ outpoint, live }) => live && !next?.contents.has(outpoint)).length;
    if (next === undefined || lacking > 0)
      scope.broken('policy-revoke-new-commitment-signed', {
        number: `${commitNum}`,
        validated: `${highest(local)}`,
        fundingsWithout: lacking,
      });
    if (channel.closing !== undefined)
      scope.broken('policy-revoke-not-closed', { number: `${commitNum}`, closing: channel.closing.kind });
    return { changes: withRevoked(scope, channel, 'local', commitNum) };
  },

  getPerCommitmentPoint(scope, { n }) {
    const local = channelOf(scope)?.sides.local;
    const validated = local === undefined ? -1n : highest(local);
    // One further than the reply to 35 has: the host acknowledges the next commitment with it (docs/latency.md).
    const furthest = validated + 2n;
    if (n > furthest) scope.broken('policy-per-commitment-point-ahead', { number: `${n}`, furthest: `${furthest}` });
    return {};
  },
};
