/**
 * Ending a channel: together (sign_mutual_close_tx), where our balance must come home, or alone (sign_commitment_tx), with
 * the newest commitment and no other. Either way nothing may be revoked afterwards. Amounts are satoshi.
 */

import type { PsbtOutput } from '../../proto/bitcoin/psbt.ts';
import { type TxOutput, txid } from '../../proto/bitcoin/tx.ts';
import { equalBytes, toHex } from '../../proto/bytes.ts';
import type { Call, RequestOf } from '../../proto/hsmd/calls.ts';
import type { Funding, Side } from '../lightning/channel.ts';
import { type MutualClose, recogniseClose, walletIndexOf } from '../lightning/closing.ts';
import { obscuringFactor } from '../lightning/keys.ts';
import { ourBalance } from '../state/account.ts';
import type { ChannelState, ContentState, FundingState, Setup } from '../state/channel_state.ts';
import { channelNames } from './channel_names.ts';
import { channelFor, outpointOf } from './commitment.ts';
import { findCommitment, setUp } from './commitments.ts';
import { mostFee, signedWeight } from './fees.ts';
import { isAgreed, isSafe } from './our_scripts.ts';
import type { Checks, Scope, Verdict } from './scope.ts';

/** Closing transactions remembered for sign_commitment_tx: each offer of a fee is one. */
const remembered = 64;

type Open = ChannelState & { readonly setup: Setup };
type CloseRequest = RequestOf<'signMutualCloseTx'>;

/** What both sides' newest commitments say of a funding: only together do they tell what is ours of it. */
function newest({ sides }: ChannelState, { outpoint }: FundingState): readonly ContentState[] | undefined {
  const [local, remote] = [sides.local, sides.remote].map(({ accepted }) => accepted.at(-1)?.contents.get(outpoint));
  return local === undefined || remote === undefined ? undefined : [local, remote];
}

/** What a close has to give us before its fee. */
function dueTo({ settings }: Scope, contents: readonly ContentState[], opener: Side): bigint {
  const balances = contents.map((content) => ourBalance(content, opener, settings.maxDustSat).least);
  return balances.reduce((most, each) => (each > most ? each : most), 0n) / 1000n;
}

function distance(a: bigint, b: bigint): bigint {
  return a > b ? a - b : b - a;
}

/** The output that would be ours if we close to somewhere else: not the peer's known script, and nearest to our balance. */
function likeliest(outputs: readonly TxOutput[], { setup }: Open, due: bigint): TxOutput | undefined {
  return outputs
    .filter(({ script }) => setup.remoteShutdownScript.length === 0 || !equalBytes(script, setup.remoteShutdownScript))
    .sort((a, b) => (distance(a.amount, due) < distance(b.amount, due) ? -1 : 1))[0];
}

/** The index of the output that pays us; undefined where none does, which only dust allows. */
async function ourOutput(scope: Scope, { tx }: CloseRequest, channel: Open, due: bigint): Promise<number | undefined> {
  const { outputs } = tx.tx;
  // In the order of what it costs to tell: whether the peer's output is ours takes a search through the wallet's keys.
  const ways: readonly ((script: Uint8Array, pairs: PsbtOutput) => boolean)[] = [
    (script) => isAgreed(channel.setup, script),
    (script, pairs) => walletIndexOf(pairs) !== undefined && isSafe(scope, script, pairs),
    (script, pairs) => isSafe(scope, script, pairs),
  ];
  for (const isOurs of ways) {
    const found = outputs.findIndex(({ script }, index) => isOurs(script, tx.psbt.outputs[index] ?? []));
    if (found >= 0) return found;
  }
  if (due <= scope.settings.maxDustSat + mostFee(scope.settings, signedWeight(tx.tx, []))) return undefined;
  const other = likeliest(outputs, channel, due);
  if (other === undefined) return undefined;
  const { client, keys } = scope.context;
  const names = channelNames(channel.peer, channel.setup, keys.channel(client.nodeId, client.dbid));
  const purpose = { kind: 'closeTo', script: toHex(other.script), amountSat: other.amount, channel: names } as const;
  if (!(await scope.approved(purpose)))
    scope.broken('policy-mutual-destination-allowlisted', { amount: other.amount, due });
  return outputs.indexOf(other);
}

/** What we get is our balance, less the fee where it is ours to pay. */
function checkValue(scope: Scope, close: MutualClose, weight: number, due: bigint, opener: Side): void {
  const { maxDustSat } = scope.settings;
  const ours = close.outputs.find(({ of }) => of === 'local')?.amount ?? 0n;
  // An output left out is dust, and is in the fee. In the simple form either side may pay.
  const most = mostFee(scope.settings, weight) + (close.outputs.length < 2 ? maxDustSat : 0n);
  const pays = opener === 'local' || close.form === 'simple';
  if (pays && close.fee > most) scope.broken('policy-mutual-fee-range', { fee: close.fee, most, weight });
  const leave = pays ? close.fee : 0n;
  const least = ours === 0n ? due - maxDustSat - leave : due - leave;
  if (ours < least) scope.broken('policy-mutual-value-matches-commitment', { due, ours, fee: close.fee });
}

async function mutualClose(scope: Scope, request: CloseRequest): Promise<Verdict<'signMutualCloseTx'>> {
  const { client, keys } = scope.context;
  const { tx, remoteFundingKey: remotePubkey } = request;
  const channel = setUp(scope, client.nodeId, client.dbid);
  const [input] = tx.tx.inputs;
  const known = input && channel?.fundings.find(({ outpoint }) => outpoint === outpointOf(input));
  if (
    channel === undefined ||
    input === undefined ||
    known === undefined ||
    !equalBytes(known.remotePubkey, remotePubkey)
  ) {
    scope.broken('policy-mutual-format', { differs: 'it spends no funding of the channel' });
    return {};
  }
  const localPubkey = keys.channel(client.nodeId, client.dbid).funding.point;
  const funding: Funding = { txid: input.txid, vout: input.vout, value: known.value, localPubkey, remotePubkey };
  const { opener } = channelFor(scope, channel.setup);
  const contents = newest(channel, known);
  if (contents === undefined) {
    scope.broken('policy-mutual-value-matches-commitment', { differs: 'no newest commitments of this funding' });
    return {};
  }
  const due = dueTo(scope, contents, opener);
  const mine = await ourOutput(scope, request, channel, due);
  const close = recogniseClose(funding, tx, ({ index }) => index === mine);
  if (!close.ok) {
    scope.broken(close.tag, close.facts);
    return {};
  }
  const pending = Math.max(...Object.values(channel.sides).map(({ accepted }) => accepted.at(-1)?.htlcs.length ?? 0));
  if (pending > 0) scope.broken('policy-mutual-no-pending-htlcs', { htlcs: pending });
  checkValue(scope, close, signedWeight(tx.tx, []), due, opener);
  return { changes: { channel: closedBy(channel, toHex(txid(tx.tx))) } };
}

function closedBy(channel: ChannelState, id: string): ChannelState {
  const signed = channel.closing?.kind === 'mutual' ? channel.closing.txids.filter((each) => each !== id) : [];
  return { ...channel, closing: { kind: 'mutual', txids: [...signed, id].slice(-remembered) } };
}

/** The number that a commitment hides in its locktime and sequence (BOLT 3 §Commitment Transaction). */
function numberIn(scope: Scope, request: RequestOf<'signCommitmentTx'>, { setup }: Open): bigint {
  const { inputs, locktime } = request.tx.tx;
  const hidden = (BigInt((inputs[0]?.sequence ?? 0) & 0xffffff) << 24n) | BigInt(locktime & 0xffffff);
  return hidden ^ obscuringFactor(channelFor(scope, setup, request.peerId, request.dbid));
}

/** Our own commitment, or, as lightningd asks too, the transaction of a mutual close that was signed. */
function unilateralClose(scope: Scope, request: RequestOf<'signCommitmentTx'>): Verdict<'signCommitmentTx'> {
  const { peerId, dbid, tx, remoteFundingKey } = request;
  const channel = setUp(scope, peerId, dbid);
  const [input] = tx.tx.inputs;
  const funding = input && channel?.fundings.find(({ outpoint }) => outpoint === outpointOf(input));
  if (channel === undefined || funding === undefined || !equalBytes(funding.remotePubkey, remoteFundingKey)) {
    scope.broken('policy-commitment-input-match-funding', { fundings: channel?.fundings.length ?? 0 });
    return {};
  }
  const id = txid(tx.tx);
  if (channel.closing?.kind === 'mutual' && channel.closing.txids.includes(toHex(id))) return {};
  if (findCommitment(channel, id, ['local']) === undefined) {
    const number = numberIn(scope, request, channel);
    const { revokedThrough } = channel.sides.local;
    const tag = number <= revokedThrough ? 'policy-commitment-holder-not-revoked' : 'policy-commitment-scripts';
    scope.broken(tag, {
      number: `${number}`,
      revoked: `${revokedThrough}`,
      differs: 'it is no commitment that was validated',
    });
  }
  if (channel.closing !== undefined) return {};
  return { changes: { channel: { ...channel, closing: { kind: 'unilateral' } } } };
}

export const closeChecks: Checks<Extract<Call, 'signMutualCloseTx' | 'signCommitmentTx'>> = {
  signMutualCloseTx: mutualClose,
  signCommitmentTx: unilateralClose,
};
