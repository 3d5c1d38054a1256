/**
 * Whether a commitment may be the next of its side, once it is known to be what the channel's parameters give (19, 35):
 * its number, its limits, and the money in it. A number is accepted for a live funding first, and its money is judged
 * there; for every other funding it then says the same.
 */

import { equalBytes } from '../../proto/bytes.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { anchorValue, commitmentFee } from '../lightning/fees.ts';
import type { Commitment } from '../lightning/recognise.ts';
import { type Interval, leftOut, ourBalance, shifted } from '../state/account.ts';
import {
  type AcceptedCommitment,
  type ChannelState,
  type ContentState,
  type FundingState,
  highest,
  type Outpoint,
  type SideState,
} from '../state/channel_state.ts';
import { type Slack, without } from '../state/settlement.ts';
import { settle } from './accounts.ts';
import { checkLimits } from './limits.ts';
import type { Changes, Scope } from './scope.ts';

function contentOf({ channel, owner, toOwner, toOther, htlcs, feerate, trimmed, txid }: Commitment): ContentState {
  const [toLocal, toRemote] = owner === 'local' ? [toOwner, toOther] : [toOther, toOwner];
  const openerPays = commitmentFee(feerate, channel.anchors, htlcs.length) + (channel.anchors ? 2n * anchorValue : 0n);
  return { txid, toLocal, toRemote, feerate, openerPays, trimmed };
}

/** Whether this number was accepted for this funding already. What is not the same then breaks a rule. */
function retried(
  scope: Scope,
  known: AcceptedCommitment,
  point: Uint8Array,
  outpoint: Outpoint,
  { number, txid, htlcs, feerate }: Commitment,
): boolean {
  const differs = (what: string) =>
    scope.broken('policy-commitment-retry-same', { number: `${number}`, differs: what });
  if (known.point !== undefined && !equalBytes(known.point, point)) differs('point');
  if (without(known.htlcs, htlcs).length > 0 || without(htlcs, known.htlcs).length > 0) differs('HTLCs');
  const same = known.contents.get(outpoint);
  if (same !== undefined && !equalBytes(same.txid, txid)) differs('transaction');
  // The HTLCs' own transactions follow from it.
  if (same !== undefined && same.feerate !== feerate) differs('feerate');
  return same !== undefined;
}

function checkNumber(scope: Scope, state: ChannelState, { owner, number }: Commitment, { live }: FundingState): void {
  const { accepted, revokedThrough } = state.sides[owner];
  const last = highest(state.sides[owner]);
  const facts = { number: `${number}`, highest: `${last}`, revoked: `${revokedThrough}` };
  if (number !== last + 1n || accepted.length > 1)
    scope.broken(
      owner === 'remote' ? 'policy-commitment-previous-revoked' : 'policy-commitment-holder-not-revoked',
      facts,
    );
  if (owner === 'local' && state.closing !== undefined)
    scope.broken('policy-revoke-not-closed', { ...facts, closing: state.closing.kind });
  if (!live)
    scope.broken('policy-commitment-input-match-funding', {
      number: `${number}`,
      differs: 'a splice that is not signed',
    });
}

/** What a commitment shows of our balance, as if it were one of the first funding. */
function shownBy(scope: Scope, { ourShift }: FundingState, { channel }: Commitment, content: ContentState): Interval {
  return shifted(ourBalance(content, channel.opener, scope.settings.maxDustSat), -ourShift * 1000n);
}

function withContent({ sides, ...state }: ChannelState, commitment: Commitment, side: SideState): ChannelState {
  return { ...state, sides: { ...sides, [commitment.owner]: side } };
}

/** The channel with a commitment accepted; of the money nothing is changed yet. */
export function withCommitment(
  state: ChannelState,
  funding: FundingState,
  point: Uint8Array,
  commitment: Commitment,
): ChannelState {
  const { owner, number } = commitment;
  const side = state.sides[owner];
  const known = side.accepted.find((each) => each.number === number);
  const next: AcceptedCommitment = known ?? {
    number,
    // Views of the request's frame would keep all of it alive.
    point: owner === 'remote' ? point.slice() : undefined,
    htlcs: commitment.htlcs.map((htlc): Htlc => ({ ...htlc, paymentHash: htlc.paymentHash.slice() })),
    contents: new Map(),
  };
  const contents = new Map(next.contents).set(funding.outpoint, contentOf(commitment));
  const accepted = [...side.accepted.filter((each) => each !== known), { ...next, contents }];
  accepted.sort((a, b) => (a.number < b.number ? -1 : 1));
  // A splice's funding has come to have the peer's new key with its first commitment; else nothing of it changes.
  const renewed = { ...funding, remotePubkey: funding.remotePubkey.slice() };
  const fundings = state.fundings.includes(funding)
    ? state.fundings
    : state.fundings.map((each) => (each.outpoint === funding.outpoint ? renewed : each));
  return { ...withContent(state, commitment, { ...side, accepted }), fundings };
}

/** Commitment 0: what is ours of it is what we put in. */
function openedWith(scope: Scope, accepted: ChannelState, commitment: Commitment, shown: Interval): Changes {
  const ours = accepted.ourInitial * 1000n;
  if (shown.most < ours)
    scope.broken('policy-commitment-initial-funding-value', { expected: ours / 1000n, found: shown.most / 1000n });
  if (commitment.htlcs.length > 0) scope.broken('policy-commitment-first-no-htlcs', { htlcs: commitment.htlcs.length });
  const side = { ...accepted.sides[commitment.owner], account: { ours, lost: 0n } };
  return { channel: withContent(accepted, commitment, side) };
}

/** The newest number for one more funding: what is ours of it is the same, but for its own shift and parts of a satoshi. */
function checkSibling(scope: Scope, { account }: SideState, shown: Interval): void {
  if (shown.most + 999n < account.ours)
    scope.broken('policy-splice-balance', { expected: account.ours / 1000n, found: shown.most / 1000n });
}

/**
 * Dust that was in flight may have come to us since, or gone; dust that is now may be what we offered. Parts of a satoshi
 * are in doubt either way, and all of a balance that had no output.
 */
function slackOf({ settings }: Scope, { accepted }: SideState, now: ContentState, { channel }: Commitment): Slack {
  const [before] = accepted.at(-1)?.contents.values() ?? [];
  const most = (content: ContentState | undefined) =>
    content === undefined ? settings.maxTrimmedSat + settings.maxDustSat : leftOut(content, channel.opener);
  const [was, is] = [most(before), most(now)];
  return { gain: was * 1000n + 999n, loss: (was > is ? was : is) * 1000n + 999n };
}

/** An HTLC in a channel whose funding never confirms is worth nothing, whatever it lets out elsewhere. */
function checkLocked({ chain, settings, broken }: Scope, { fundings }: ChannelState, { htlcs }: Commitment): void {
  if (chain?.inForce !== true || settings.zeroConf || htlcs.length === 0) return;
  if (!fundings.some(({ locked }) => locked === true)) broken('policy-chain-outpoint-buried', { htlcs: htlcs.length });
}

/** Judges a commitment of this funding; the changes have the channel with it accepted. `point` is its owner's. */
export async function accept(
  scope: Scope,
  state: ChannelState,
  funding: FundingState,
  point: Uint8Array,
  commitment: Commitment,
): Promise<Changes> {
  const { owner, number } = commitment;
  const side = state.sides[owner];
  const known = side.accepted.find((each) => each.number === number);
  if (known !== undefined && retried(scope, known, point, funding.outpoint, commitment)) return {};
  if (known === undefined) checkNumber(scope, state, commitment, funding);
  else if (known !== side.accepted.at(-1))
    scope.broken('policy-commitment-retry-same', { number: `${number}`, differs: 'a newer one was accepted' });
  checkLimits(scope, commitment);
  checkLocked(scope, state, commitment);
  const accepted = withCommitment(state, funding, point, commitment);
  const shown = shownBy(scope, funding, commitment, contentOf(commitment));
  if (known !== undefined) {
    checkSibling(scope, side, shown);
    return { channel: accepted };
  }
  if (number === 0n) return openedWith(scope, accepted, commitment, shown);
  const slack = slackOf(scope, state.sides[owner], contentOf(commitment), commitment);
  const { channel, node, others } = await settle(scope, state, accepted, { owner, shown, slack });
  return { channel, others, ...(node !== scope.state.node && { node }) };
}
