/**
 * A new commitment of either side (19, 35): rebuilt from the channel's own parameters and compared in every byte, before
 * `accept.ts` looks at what is in it.
 */

import { equalBytes, toHex } from '../../proto/bytes.ts';
import type { RequestOf } from '../../proto/hsmd/calls.ts';
import { BadRequest } from '../context.ts';
import { ownPart } from '../keys/own_part.ts';
import { type Channel, channelOf, type Funding, type Side } from '../lightning/channel.ts';
import { checkCountersigned } from '../lightning/countersigned.ts';
import { commitmentKeys } from '../lightning/keys.ts';
import { type Commitment, type GivenCommitment, recogniseCommitment } from '../lightning/recognise.ts';
import { Refusal } from '../refusal.ts';
import type { ChannelState, FundingState, Outpoint, Setup } from '../state/channel_state.ts';
import { accept, withCommitment } from './accept.ts';
import { freeze } from './frozen.ts';
import type { Changes, Checks, Scope } from './scope.ts';

const channels = new WeakMap<Setup, Channel>();

/** The public parameters of a channel that was set up; the same object for the same setup. */
export function channelFor(
  { context: { keys, client } }: Scope,
  setup: Setup,
  peer = client.nodeId,
  dbid = client.dbid,
): Channel {
  const known = channels.get(setup);
  if (known !== undefined) return known;
  const channel = channelOf(setup, keys.channel(peer, dbid).basepoints);
  channels.set(setup, channel);
  return channel;
}

export function outpointOf({ txid, vout }: { readonly txid: Uint8Array; readonly vout: number }): Outpoint {
  return `${toHex(txid)}:${vout}`;
}

interface Given extends GivenCommitment {
  readonly owner: Side;
  readonly number: bigint;
  readonly point: Uint8Array;
  /** The peer's funding key as this message has it; 35 has none. */
  readonly remoteFundingKey: Uint8Array | undefined;
}

/** The funding that a commitment spends. A splice may still have been set up with the peer's old key. */
function fundingIn(scope: Scope, state: ChannelState, { tx, remoteFundingKey }: Given): FundingState | undefined {
  const [input] = tx.tx.inputs;
  const outpoint = input && outpointOf(input);
  const funding = state.fundings.find((candidate) => candidate.outpoint === outpoint);
  if (funding === undefined || remoteFundingKey === undefined || equalBytes(funding.remotePubkey, remoteFundingKey))
    return funding;
  const used = Object.values(state.sides).some(({ accepted }) =>
    accepted.some(({ contents }) => contents.has(funding.outpoint)),
  );
  if (used) scope.broken('policy-commitment-input-match-funding', { differs: 'the peer’s funding key' });
  return { ...funding, remotePubkey: remoteFundingKey };
}

const fundings = new WeakMap<FundingState, Funding>();

/** The same object for the same funding, so that what follows from it is computed once. */
function withKeys({ context: { keys, client } }: Scope, funding: FundingState, { tx }: Given): Funding {
  const known = fundings.get(funding);
  if (known !== undefined) return known;
  const { value, remotePubkey } = funding;
  const [input] = tx.tx.inputs;
  const localPubkey = keys.channel(client.nodeId, client.dbid).funding.point;
  const made = {
    txid: input?.txid.slice() ?? new Uint8Array(32),
    vout: input?.vout ?? 0,
    value,
    localPubkey,
    remotePubkey,
  };
  fundings.set(funding, made);
  return made;
}

/** Judges a commitment; the changes have the channel with it accepted. */
async function judge(
  scope: Scope,
  given: Given,
  signed?: (commitment: Commitment) => void,
): Promise<Changes | undefined> {
  const { client } = scope.context;
  const state = scope.state.channel(client.nodeId, client.dbid);
  if (state?.setup === undefined) {
    scope.broken('policy-channel-setup-consistent', { expected: 'setup_channel before the first commitment' });
    return undefined;
  }
  const funding = fundingIn(scope, state, given);
  if (funding === undefined) {
    scope.broken('policy-commitment-input-match-funding', { fundings: state.fundings.length });
    return undefined;
  }
  const channel = channelFor(scope, state.setup);
  const { secp, keys: nodeKeys } = scope.context;
  const ours = ownPart(secp, nodeKeys.channel(client.nodeId, client.dbid));
  const keys = commitmentKeys(secp, channel, given.owner, given.point, ours);
  const id = { channel, funding: withKeys(scope, funding, given), owner: given.owner, number: given.number, keys };
  const commitment = recogniseCommitment(id, given);
  if (!commitment.ok) {
    scope.broken(commitment.tag, commitment.facts);
    return undefined;
  }
  signed?.(commitment);
  return accept(scope, state, funding, given.point, commitment);
}

function ourPoint({ context: { keys, client } }: Scope, number: bigint): Uint8Array {
  const point = keys.channel(client.nodeId, client.dbid).perCommitmentPoint(number);
  if (point === undefined) throw new BadRequest(`expected a commitment number below 2^48, got ${number}`);
  return point;
}

function theirs(request: RequestOf<'signRemoteCommitmentTx'>): Given {
  const { tx, htlcs, feerate, commitNum, remotePerCommit, remoteFundingKey } = request;
  return { tx, htlcs, feerate, owner: 'remote', number: commitNum, point: remotePerCommit, remoteFundingKey };
}

/** A commitment that is revoked was decided: what the host delivers once more after a crash is late, not wrong. */
function isOver(scope: Scope, number: bigint): boolean {
  const { client } = scope.context;
  const local = scope.state.channel(client.nodeId, client.dbid)?.sides.local;
  return local !== undefined && number <= local.revokedThrough;
}

function frozenBy(scope: Scope, given: Given, commitment: Commitment, tag: string): Changes {
  const { client } = scope.context;
  const state = scope.state.channel(client.nodeId, client.dbid);
  const funding = state && fundingIn(scope, state, given);
  if (state === undefined || funding === undefined) return {};
  const accepted = withCommitment(state, funding, given.point, commitment);
  return { channel: freeze(state, accepted, { number: given.number, outpoint: funding.outpoint, tag }) };
}

export const commitmentChecks: Checks<'signRemoteCommitmentTx' | 'validateCommitmentTx'> = {
  async signRemoteCommitmentTx(scope, request) {
    return { changes: (await judge(scope, theirs(request))) ?? {} };
  },

  async validateCommitmentTx(scope, { tx, htlcs, feerate, commitNum, sig, htlcSigs }) {
    const point = ourPoint(scope, commitNum);
    const given: Given = {
      tx,
      htlcs,
      feerate,
      signature: sig.signature,
      owner: 'local',
      number: commitNum,
      point,
      remoteFundingKey: undefined,
    };
    if (scope.context.acknowledged === true && isOver(scope, commitNum)) return {};
    let verified: Commitment | undefined;
    try {
      const changes = await judge(scope, given, (commitment) => {
        const invalid = checkCountersigned(scope.context.secp, commitment, sig, htlcSigs);
        if (invalid !== undefined) scope.broken(invalid.tag, invalid.facts);
        verified = commitment;
      });
      return { changes: changes ?? {} };
    } catch (error: unknown) {
      if (!(error instanceof Refusal) || verified === undefined || scope.context.acknowledged !== true) throw error;
      return { changes: frozenBy(scope, given, verified, error.tag), refusal: error };
    }
  },
};
