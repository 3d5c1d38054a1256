/**
 * A new commitment of either side (19, 35): rebuilt from the channel's own parameters and compared in every byte, then
 * its number, its limits, and the money in it.
 */

import { equalBytes, toHex } from '../../proto/bytes.ts';
import type { RequestOf } from '../../proto/hsmd/calls.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { type Channel, channelOf, type Funding, type Side } from '../lightning/channel.ts';
import { checkCountersigned } from '../lightning/countersigned.ts';
import { anchorValue, commitmentFee } from '../lightning/fees.ts';
import { commitmentKeys } from '../lightning/keys.ts';
import { type Commitment, type GivenCommitment, recogniseCommitment } from '../lightning/recognise.ts';
import { Refusal } from '../refusal.ts';
import {
  type AcceptedCommitment,
  type ChannelState,
  type ContentState,
  type FundingState,
  highest,
  type Outpoint,
  type Setup,
} from '../state/channel_state.ts';
import { ourBalance, without } from '../state/settlement.ts';
import { settle } from './accounts.ts';
import { freeze } from './frozen.ts';
import { checkLimits } from './limits.ts';
import type { Changes, Checks, Scope } from './scope.ts';

const channels = new WeakMap<Setup, Channel>();

/** The public parameters of a channel that was set up; the same object for the same setup. */
export function channelFor(
  { context: { keys, client } }: Scope,
  setup: Setup,
  peer = client.nodeId,
  dbid = client.dbid,
): Channel {
  const known = channels.get(setup) ?? channelOf(setup, keys.channel(peer, dbid).basepoints);
  channels.set(setup, known);
  return known;
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

function contentOf({ channel, owner, toOwner, toOther, htlcs, feerate, trimmed, txid }: Commitment): ContentState {
  const [toLocal, toRemote] = owner === 'local' ? [toOwner, toOther] : [toOther, toOwner];
  const openerPays = commitmentFee(feerate, channel.anchors, htlcs.length) + (channel.anchors ? 2n * anchorValue : 0n);
  // Views of the request's frame would keep all of it alive.
  const copies = htlcs.map((htlc): Htlc => ({ ...htlc, paymentHash: htlc.paymentHash.slice() }));
  return { txid, toLocal, toRemote, htlcs: copies, feerate, openerPays, trimmed };
}

/** The content an earlier accept of this number has for this funding, or for another one. */
function retried(
  scope: Scope,
  known: AcceptedCommitment,
  given: Given,
  funding: FundingState,
  content: ContentState,
): boolean {
  const differs = (what: string) =>
    scope.broken('policy-commitment-retry-same', { number: given.number, differs: what });
  if (known.point !== undefined && !equalBytes(known.point, given.point)) differs('point');
  const same = known.contents.get(funding.outpoint);
  const [other] = known.contents.values();
  const expected = same ?? other;
  if (
    expected !== undefined &&
    (without(expected.htlcs, content.htlcs).length > 0 || without(content.htlcs, expected.htlcs).length > 0)
  )
    differs('HTLCs');
  if (same !== undefined && !equalBytes(same.txid, content.txid)) differs('transaction');
  return same !== undefined;
}

function withCommitment(state: ChannelState, funding: FundingState, given: Given, content: ContentState): ChannelState {
  const side = state.sides[given.owner];
  const known = side.accepted.find(({ number }) => number === given.number);
  const contents = new Map(known?.contents ?? []).set(funding.outpoint, content);
  const point = given.owner === 'remote' ? given.point.slice() : undefined;
  const accepted = [...side.accepted.filter((each) => each !== known), { number: given.number, point, contents }];
  accepted.sort((a, b) => (a.number < b.number ? -1 : 1));
  const fundings = state.fundings.map((each) =>
    each.outpoint !== funding.outpoint || equalBytes(each.remotePubkey, funding.remotePubkey)
      ? each
      : { ...funding, remotePubkey: funding.remotePubkey.slice() },
  );
  return { ...state, fundings, sides: { ...state.sides, [given.owner]: { ...side, accepted } } };
}

/** What we must own in a funding's first commitment: what we put in, or what an earlier funding's commitment gave us. */
function checkOpening(
  scope: Scope,
  state: ChannelState,
  funding: FundingState,
  content: ContentState,
  sibling: ContentState | undefined,
): void {
  const opener = state.setup?.isOutbound ? 'local' : 'remote';
  const dust = scope.settings.maxDustSat;
  const has = ourBalance(content, opener, dust);
  const siblings = state.fundings.find(({ outpoint }) => outpoint !== funding.outpoint)?.ourShift ?? 0n;
  const due =
    sibling === undefined
      ? { least: (state.ourInitial + funding.ourShift) * 1000n, most: (state.ourInitial + funding.ourShift) * 1000n }
      : shifted(ourBalance(sibling, opener, dust), (funding.ourShift - siblings) * 1000n);
  const tag = sibling === undefined ? 'policy-commitment-initial-funding-value' : 'policy-splice-balance';
  if (has.most + 999n < due.least) scope.broken(tag, { expected: due.least / 1000n, found: has.most / 1000n });
}

function shifted({ least, most }: { readonly least: bigint; readonly most: bigint }, by: bigint) {
  return { least: least + by, most: most + by };
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
  const keys = commitmentKeys(scope.context.secp, channel, given.owner, given.point);
  const id = { channel, funding: withKeys(scope, funding, given), owner: given.owner, number: given.number, keys };
  const commitment = recogniseCommitment(id, given);
  if (!commitment.ok) {
    scope.broken(commitment.tag, commitment.facts);
    return undefined;
  }
  signed?.(commitment);
  return accept(scope, state, funding, given, commitment);
}

async function accept(
  scope: Scope,
  state: ChannelState,
  funding: FundingState,
  given: Given,
  commitment: Commitment,
): Promise<Changes> {
  const side = state.sides[given.owner];
  const content = contentOf(commitment);
  const known = side.accepted.find(({ number }) => number === given.number);
  if (known !== undefined && retried(scope, known, given, funding, content)) return {};
  if (known === undefined) checkNumber(scope, state, given);
  checkLimits(scope, commitment);
  const accepted = withCommitment(state, funding, given, content);
  const before = previous(state, given, funding.outpoint);
  if (known !== undefined || before === undefined) {
    const [sibling] = known?.contents.values() ?? [];
    checkOpening(scope, state, funding, content, sibling);
    if (given.number === 0n && content.htlcs.length > 0)
      scope.broken('policy-commitment-first-no-htlcs', { htlcs: content.htlcs.length });
    return { channel: accepted };
  }
  const step = { before, after: content, owner: given.owner, opener: commitment.channel.opener };
  const { channel, node } = await settle(scope, state, accepted, step);
  return { channel, ...(node !== scope.state.node && { node }) };
}

/** The content of the number before, for the same funding. */
function previous({ sides }: ChannelState, { owner, number }: Given, outpoint: Outpoint): ContentState | undefined {
  return sides[owner].accepted.findLast((each) => each.number < number)?.contents.get(outpoint);
}

function checkNumber(scope: Scope, state: ChannelState, { owner, number }: Given): void {
  const side = state.sides[owner];
  const facts = { number, highest: highest(side), revoked: side.revokedThrough };
  if (owner === 'remote') {
    const early = number > highest(side) + 1n || (number >= 2n && side.revokedThrough < number - 2n);
    if (early || number <= side.revokedThrough) scope.broken('policy-commitment-previous-revoked', facts);
    return;
  }
  if (number <= side.revokedThrough || number > highest(side) + 1n)
    scope.broken('policy-commitment-holder-not-revoked', facts);
  if (state.closing !== undefined) scope.broken('policy-revoke-not-closed', { ...facts, closing: state.closing.kind });
}

function ourPoint({ context: { keys, client } }: Scope, number: bigint): Uint8Array {
  const point = keys.channel(client.nodeId, client.dbid).perCommitmentPoint(number);
  if (point === undefined) throw new RangeError(`no commitment ${number}`);
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
  const accepted = withCommitment(state, funding, given, contentOf(commitment));
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
