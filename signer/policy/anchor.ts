/**
 * Fees from the wallet for a commitment that is stuck: through its anchor (sign_anchorspend), or beside an HTLC of it
 * (sign_htlc_tx_mingle). Both take inputs of the wallet along, so both are spends; and the first one tries the funding key
 * on every input.
 */

import type { Psbt } from '../../proto/bitcoin/psbt.ts';
import { spentOutput, witnessScript } from '../../proto/bitcoin/psbt_input.ts';
import { equalBytes } from '../../proto/bytes.ts';
import type { Call, RequestOf } from '../../proto/hsmd/calls.ts';
import { p2wsh } from '../bitcoin/script.ts';
import { anchorValue, expectedWeight } from '../lightning/fees.ts';
import { htlcTxOutput } from '../lightning/htlc_tx.ts';
import { anchorScript } from '../lightning/scripts.ts';
import { assemble } from '../lightning/template.ts';
import { basisAt, type Found, findCommitment, ourPointAt, setUp } from './commitments.ts';
import { mostFee, signedWeight } from './fees.ts';
import { isSafe } from './our_scripts.ts';
import { reclaiming, withReclaim } from './reclaim.ts';
import type { Checks, Scope, Verdict } from './scope.ts';
import { checkAmounts, claimedInputs, listsKey, signsAll, type WalletInput } from './wallet_inputs.ts';

type Bump = Extract<Call, 'signAnchorspend' | 'signHtlcTxMingle'>;

/** What of a commitment could be ours. */
function stake({ content: { toLocal }, commitment: { htlcs } }: Found): bigint {
  return (toLocal ?? 0n) + htlcs.reduce((sum, { amount }) => sum + amount / 1000n, 0n);
}

/** What the wallet loses by it, all outputs but `paired` being ours. */
function lossOf(
  scope: Scope,
  { tx, outputs }: Psbt,
  claimed: readonly WalletInput[],
  paired: ReadonlySet<number>,
): bigint {
  let loss = claimed.reduce((sum, { amount }) => sum + amount, 0n);
  for (const [index, { amount, script }] of tx.outputs.entries()) {
    if (paired.has(index)) continue;
    if (!isSafe(scope, script, outputs[index]))
      scope.broken('policy-onchain-no-unknown-outputs', { output: index, amount });
    loss -= amount;
  }
  return loss;
}

function checkFee({ settings, broken }: Scope, fee: bigint, weight: number, saves: bigint): void {
  const byRate = mostFee(settings, weight);
  const most = saves < byRate ? saves : byRate;
  if (fee > most) broken('policy-onchain-fee-range', { fee, most, weight, saves });
}

function weightOf(psbt: Psbt): number {
  return signedWeight(
    psbt.tx,
    psbt.inputs.map((_, index) => spentOutput(psbt, index)),
  );
}

/** The commitment whose anchor, with our funding key in it, input `index` spends. */
function anchoredAt(
  scope: Scope,
  { peerId, dbid, psbt }: RequestOf<'signAnchorspend'>,
  index: number,
): Found | undefined {
  const { point } = scope.context.keys.channel(peerId, dbid).funding;
  const script = assemble(anchorScript(point));
  const spent = spentOutput(psbt, index);
  const shown = psbt.inputs[index] && witnessScript(psbt.inputs[index]);
  const input = psbt.tx.inputs[index];
  const channel = setUp(scope, peerId, dbid);
  if (shown === undefined || input === undefined || spent === undefined || channel === undefined) return undefined;
  const isAnchor = equalBytes(shown, script) && equalBytes(spent.script, p2wsh(script)) && spent.amount === anchorValue;
  return isAnchor && signsAll(psbt, index) ? findCommitment(channel, input.txid) : undefined;
}

function anchorspend(scope: Scope, request: RequestOf<'signAnchorspend'>): Verdict<Bump> {
  const { peerId, dbid, inputs, psbt } = request;
  const { point } = scope.context.keys.channel(peerId, dbid).funding;
  const claimed = claimedInputs(scope, inputs, psbt);
  const anchors: Found[] = [];
  for (const [index, { pairs }] of psbt.inputs.entries()) {
    if (claimed.some((each) => each.index === index) && !listsKey(pairs, point)) continue;
    const found = anchoredAt(scope, request, index);
    if (found === undefined) scope.broken('policy-anchor-input', { input: index, anchors: anchors.length });
    else anchors.push(found);
  }
  checkAmounts(scope, psbt, claimed);
  const lost = lossOf(scope, psbt, claimed, new Set());
  const saves = anchors.reduce((sum, found) => sum + stake(found), 0n);
  // The child pays for its parent too.
  const parents = anchors.reduce(
    (sum, { commitment }) => sum + Number(expectedWeight(true, commitment.htlcs.length)),
    0,
  );
  checkFee(scope, lost, weightOf(psbt) + parents, saves);
  return {};
}

/** The output beside an HTLC of our own commitment, where it is the one that the HTLC's signatures ask for. */
function pairedOutput(
  scope: Scope,
  { peerId, dbid, psbt }: RequestOf<'signHtlcTxMingle'>,
  index: number,
): bigint | undefined {
  const channel = setUp(scope, peerId, dbid);
  const input = psbt.tx.inputs[index];
  const output = psbt.tx.outputs[index];
  const found = channel && input && findCommitment(channel, input.txid, ['local']);
  const point = found && ourPointAt(scope, peerId, dbid, found.commitment.number);
  if (channel === undefined || output === undefined || found === undefined || point === undefined) return undefined;
  const basis = basisAt(scope, channel, peerId, dbid, 'local', point);
  const isHtlcs = found.commitment.htlcs.some(({ amount }) => amount / 1000n === output.amount);
  return isHtlcs && equalBytes(htlcTxOutput(basis).script, output.script) ? output.amount : undefined;
}

function htlcTxMingle(scope: Scope, request: RequestOf<'signHtlcTxMingle'>): Verdict<Bump> {
  const { inputs, psbt } = request;
  const claimed = claimedInputs(scope, inputs, psbt);
  const paired = new Map<number, bigint>();
  for (const index of psbt.inputs.keys()) {
    if (claimed.some((each) => each.index === index)) continue;
    const amount = pairedOutput(scope, request, index);
    if (amount === undefined)
      scope.broken('policy-onchain-input-ours', { input: index, differs: 'neither the wallet’s nor an HTLC of ours' });
    else paired.set(index, amount);
  }
  checkAmounts(scope, psbt, claimed);
  const lost = lossOf(scope, psbt, claimed, new Set(paired.keys()));
  const saves = [...paired.values()].reduce((sum, amount) => sum + amount, 0n);
  checkFee(scope, lost, weightOf(psbt), saves);
  const channel = setUp(scope, request.peerId, request.dbid);
  if (channel === undefined) return {};
  const remember = (known: typeof channel, index: number) => withReclaim(scope, known, 'local', psbt.tx, index);
  return reclaiming(channel, [...paired.keys()].reduce(remember, channel));
}

export const bumpChecks: Checks<Bump> = { signAnchorspend: anchorspend, signHtlcTxMingle: htlcTxMingle };
