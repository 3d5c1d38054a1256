/**
 * Spending from the wallet (sign_withdrawal): what leaves is asked about, what it costs is bounded. A transaction made
 * with a peer, an opening of both or a splice, is judged by what it takes from us: our inputs less what is ours of it.
 */

import type { Psbt } from '../../proto/bitcoin/psbt.ts';
import { spentOutput } from '../../proto/bitcoin/psbt_input.ts';
import { type Transaction, totalOutput, txid } from '../../proto/bitcoin/tx.ts';
import { toHex } from '../../proto/bytes.ts';
import type { Call } from '../../proto/hsmd/calls.ts';
import type { ChannelState, Outpoint } from '../state/channel_state.ts';
import { outpointOf } from './commitment.ts';
import { mostFee, signedWeight, standardWeight } from './fees.ts';
import { withWalletIndex } from './our_scripts.ts';
import type { Changes, Checks, Scope } from './scope.ts';
import { Spending, type Wanted } from './spending.ts';
import { checkAmounts, claimedInputs, type WalletInput } from './wallet_inputs.ts';
import { channelInputs, type FundingOutput, isWitnessProgram, type Outputs, outputsOf } from './wallet_outputs.ts';

const opReturn = 0x6a;
const longestData = 83;

/** P2PKH and P2SH by their length and first opcode, any witness program, and data. */
function isStandard(script: Uint8Array): boolean {
  const [first] = script;
  if (first === opReturn) return script.length <= longestData;
  return (
    isWitnessProgram(script) || (script.length === 25 && first === 0x76) || (script.length === 23 && first === 0xa9)
  );
}

function checkForm(scope: Scope, tx: Transaction, weight: number): void {
  if (tx.version !== 2) scope.broken('policy-onchain-format-standard', { version: tx.version });
  for (const [output, { script }] of tx.outputs.entries())
    if (!isStandard(script)) scope.broken('policy-onchain-format-standard', { output, differs: 'script' });
  if (weight > standardWeight) scope.broken('policy-onchain-max-size', { weight, most: standardWeight });
}

/** A request taken apart. */
interface Spend {
  readonly scope: Scope;
  readonly psbt: Psbt;
  readonly claimed: readonly WalletInput[];
  readonly outputs: Outputs;
  /** Inputs that are neither called ours nor a channel's. */
  readonly others: readonly number[];
  readonly spending: Spending;
}

/** Value of ours that a channel gets: it stays ours, but is bound. */
function bound({ scope, outputs }: Spend): readonly Wanted[] {
  return outputs.fundings
    .filter(({ channel, gain }) => gain > 0n && !scope.settings.allowedNodes.has(channel.peer))
    .map(({ channel: { peer }, gain }) => ({
      tag: 'policy-onchain-signed-request',
      purpose: { kind: 'open', peer, amountSat: gain },
    }));
}

/** What goes to scripts that only the owner can know. */
function spent({ outputs }: Spend): readonly Wanted[] {
  return [...outputs.unknown].map(([script, amountSat]) => ({
    tag: 'policy-onchain-no-unknown-outputs',
    purpose: { kind: 'spend', script, amountSat },
  }));
}

/** What inputs have more than outputs: bounded by weight, beyond that the owner's to allow, and never most of it. */
async function checkFee({ scope, psbt, spending }: Spend, total: bigint, weight: number): Promise<void> {
  const fee = total - totalOutput(psbt.tx);
  const most = mostFee(scope.settings, weight);
  const facts = { fee, most, weight, of: total };
  if (fee < 0n || fee > total / 2n) scope.broken('policy-onchain-fee-range', facts);
  if (fee <= most) spending.payFee(fee);
  else if (!(await scope.approved({ kind: 'spend', script: '', amountSat: fee })))
    scope.broken('policy-onchain-fee-range', facts);
}

/** All inputs are ours, or count as if they were: each output that is not ours is asked about. */
async function checkAlone(spend: Spend, weight: number): Promise<Changes> {
  const { scope, psbt, claimed, outputs, others, spending } = spend;
  checkAmounts(scope, psbt, claimed, others);
  const amounts = psbt.inputs.map((_, index) => spentOutput(psbt, index)?.amount);
  const missing = amounts.indexOf(undefined);
  if (missing >= 0) scope.broken('policy-onchain-input-ours', { input: missing, differs: 'unknown amount' });
  for (const { channel, funding, gain } of outputs.fundings)
    if (funding.value - gain > funding.pushed)
      scope.broken('policy-onchain-no-channel-push', { dbid: `${channel.dbid}`, pushed: funding.value - gain });
  await spending.require([...spent(spend), ...bound(spend)]);
  await checkFee(
    spend,
    amounts.reduce<bigint>((sum, amount) => sum + (amount ?? 0n), 0n),
    weight,
  );
  return { node: spending.node };
}

/** Our inputs of a transaction, also those of earlier requests about it: none of them saw the whole. */
function unionOf(fundings: readonly FundingOutput[], claimed: readonly WalletInput[]): ReadonlyMap<Outpoint, bigint> {
  const all = new Map<Outpoint, bigint>();
  const earlier = fundings.flatMap(({ funding }) => [...funding.walletInputs]);
  for (const [outpoint, amount] of [...earlier, ...claimed.map((each) => [each.outpoint, each.amount] as const)])
    if (amount > (all.get(outpoint) ?? -1n)) all.set(outpoint, amount);
  return all;
}

/** What of a joint transaction is ours to pay for: our inputs and outputs, the channels', and what is there once. */
function ourWeight({ scope, psbt, outputs }: Spend, union: ReadonlyMap<Outpoint, bigint>): number {
  const { tx } = psbt;
  const channels = channelInputs(scope, psbt);
  const paid = [...tx.inputs.keys()].filter((index) => {
    const input = tx.inputs[index];
    return channels.has(index) || (input !== undefined && union.has(outpointOf(input)));
  });
  const funded = new Set(outputs.fundings.map(({ index }) => index));
  const part = {
    ...tx,
    inputs: tx.inputs.filter((_, index) => paid.includes(index)),
    outputs: tx.outputs.filter((_, index) => funded.has(index) || outputs.safeIndexes.has(index)),
  };
  return signedWeight(
    part,
    paid.map((index) => spentOutput(psbt, index)),
  );
}

function withWalletInputs(
  { channel, funding }: FundingOutput,
  walletInputs: ReadonlyMap<Outpoint, bigint>,
): ChannelState {
  const fundings = channel.fundings.map((each) => (each === funding ? { ...each, walletInputs } : each));
  return { ...channel, fundings };
}

/** Inputs of a peer are in it: only the difference for us counts. */
async function checkJoint(spend: Spend, first: FundingOutput): Promise<Changes> {
  const { scope, claimed, outputs, spending } = spend;
  const { settings } = scope;
  const union = unionOf(outputs.fundings, claimed);
  const sum = (amounts: Iterable<bigint>) => [...amounts].reduce((total, amount) => total + amount, 0n);
  const brought = sum(union.values());
  const kept = outputs.safe + sum(outputs.fundings.map(({ gain, funding }) => gain + funding.pushed));
  const leases = outputs.fundings.some(({ channel, funding }) => channel.setup?.isOutbound && !funding.splicedFrom);
  const most = mostFee(settings, ourWeight(spend, union)) + (leases ? settings.maxLeaseFeeSat : 0n);
  let lost = brought - kept;
  for (const [script, amountSat] of outputs.unknown)
    if (lost > most && amountSat <= lost && (await spending.allows({ kind: 'spend', script, amountSat }, amountSat)))
      lost -= amountSat;
  if (lost > most) scope.broken('policy-onchain-no-fund-inbound', { brought, kept, most });
  await spending.require(bound(spend));
  spending.payFee(lost);
  return { node: spending.node, channel: withWalletInputs(first, union) };
}

type WalletCall = Extract<Call, 'signWithdrawal' | 'checkPubkey' | 'checkBip86Pubkey'>;

function named({ state }: Scope, { index }: { readonly index: number }): { readonly changes?: Changes } {
  const node = withWalletIndex(state.node, index);
  return node === state.node ? {} : { changes: { node } };
}

export const walletChecks: Checks<WalletCall> = {
  async signWithdrawal(scope, { inputs, psbt }) {
    const claimed = claimedInputs(scope, inputs, psbt);
    if (claimed.length === 0) return {};
    const weight = signedWeight(
      psbt.tx,
      psbt.inputs.map((_, index) => spentOutput(psbt, index)),
    );
    checkForm(scope, psbt.tx, weight);
    const outputs = outputsOf(scope, psbt);
    const channels = channelInputs(scope, psbt);
    const mine = new Set(claimed.map(({ index }) => index));
    const others = [...psbt.tx.inputs.keys()].filter((index) => !mine.has(index));
    const spend = { scope, psbt, claimed, outputs, others, spending: new Spending(scope, toHex(txid(psbt.tx))) };
    const [first] = outputs.fundings;
    const isJoint = others.length > 0 || channels.size > 0;
    return { changes: await (isJoint && first !== undefined ? checkJoint(spend, first) : checkAlone(spend, weight)) };
  },

  checkPubkey: named,
  checkBip86Pubkey: named,
};
