/** Where a wallet transaction pays to: us, fundings of our channels, and scripts that only the owner can know. */

import type { Psbt } from '../../proto/bitcoin/psbt.ts';
import { inputFields } from '../../proto/bitcoin/psbt_fields.ts';
import { fieldValue, spentOutput } from '../../proto/bitcoin/psbt_input.ts';
import { type TxOutput, txid } from '../../proto/bitcoin/tx.ts';
import { equalBytes, fromHex, toHex } from '../../proto/bytes.ts';
import { fundingScript, isP2shOf, p2wsh } from '../bitcoin/script.ts';
import type { ChannelState, FundingState, Outpoint } from '../state/channel_state.ts';
import { outpointOf } from './commitment.ts';
import { isSafe } from './our_scripts.ts';
import type { Scope } from './scope.ts';

/** An output that is a channel's funding. */
export interface FundingOutput {
  readonly index: number;
  readonly channel: ChannelState;
  readonly funding: FundingState;
  /** What is ours of it: of an opening's all that we put in, of a splice's what is more than before. Satoshi. */
  readonly gain: bigint;
}

export interface Outputs {
  /** Satoshi to our wallet and to the owner's list. */
  readonly safe: bigint;
  /** Indexes of those. */
  readonly safeIndexes: ReadonlySet<number>;
  readonly fundings: readonly FundingOutput[];
  /** Satoshi by script, in hex: two outputs to one script are asked about as one. */
  readonly unknown: ReadonlyMap<string, bigint>;
}

/** BIP 141: a version opcode and 2 to 40 bytes. */
export function isWitnessProgram(script: Uint8Array): boolean {
  const [version = 0xff, length] = script;
  const isVersion = version === 0 || (version >= 0x51 && version <= 0x60);
  return isVersion && script.length >= 4 && script.length <= 42 && length === script.length - 2;
}

/** Whether signing an input leaves the transaction's id as it is. */
function isFixed(psbt: Psbt, index: number): boolean {
  const spent = spentOutput(psbt, index);
  const redeem = fieldValue(psbt.inputs[index]?.pairs ?? [], inputFields.redeemScript);
  if (spent === undefined) return false;
  return (
    isWitnessProgram(spent.script) ||
    (redeem !== undefined && isWitnessProgram(redeem) && isP2shOf(spent.script, redeem))
  );
}

/** Our 2-of-2 with the peer, of two different keys. */
function checkFundingScript(
  { context: { keys }, broken }: Scope,
  { peer, dbid }: ChannelState,
  { remotePubkey }: FundingState,
  { script }: TxOutput,
  index: number,
): void {
  const { point } = keys.channel(fromHex(peer), dbid).funding;
  if (equalBytes(point, remotePubkey))
    broken('policy-onchain-output-scriptpubkey', { output: index, differs: 'the peer’s key is ours' });
  if (!equalBytes(p2wsh(fundingScript(point, remotePubkey)), script))
    broken('policy-onchain-output-scriptpubkey', { output: index, differs: 'script' });
}

/** What is ours of a funding, before any payment: with a splice's, beyond what was ours of the one it spends. */
function gainOf(scope: Scope, { tx }: Psbt, channel: ChannelState, funding: FundingState, index: number): bigint {
  if (funding.splicedFrom === undefined) return channel.ourInitial + funding.ourShift;
  const base = channel.fundings.find(({ outpoint }) => outpoint === funding.splicedFrom);
  if (base === undefined || !tx.inputs.some((input) => outpointOf(input) === base.outpoint))
    scope.broken('policy-onchain-output-match-commitment', { output: index, differs: 'it does not spend the old one' });
  return funding.ourShift - (base?.ourShift ?? 0n);
}

/** Whether the newest commitment of ours, with the peer's signatures, is there for this funding too. */
export function isValidated({ sides }: ChannelState, { outpoint }: FundingState): boolean {
  return sides.local.accepted.at(-1)?.contents.has(outpoint) ?? false;
}

function fundingOutput(
  scope: Scope,
  psbt: Psbt,
  channel: ChannelState,
  funding: FundingState,
  output: TxOutput,
  index: number,
): FundingOutput {
  checkFundingScript(scope, channel, funding, output, index);
  if (output.amount !== funding.value)
    scope.broken('policy-onchain-output-match-commitment', { output: index, found: output.amount });
  if (!isValidated(channel, funding))
    scope.broken('policy-onchain-initial-commitment-countersigned', { output: index, dbid: `${channel.dbid}` });
  return { index, channel, funding, gain: gainOf(scope, psbt, channel, funding, index) };
}

export type Known = readonly [ChannelState, FundingState];

/** The channel that was set up with this outpoint. */
export function fundingAt({ state }: Scope, outpoint: Outpoint): Known | undefined {
  for (const channel of state.channels.values())
    for (const funding of channel.fundings) if (funding.outpoint === outpoint) return [channel, funding];
  return undefined;
}

/** The inputs that spend fundings of our channels, by index. */
export function channelInputs(scope: Scope, { tx }: Psbt): ReadonlySet<number> {
  return new Set([...tx.inputs.entries()].flatMap(([i, input]) => (fundingAt(scope, outpointOf(input)) ? [i] : [])));
}

/**
 * A transaction that spends a channel's funding is its splice, and was signed for as such: sign_splice_tx leaves it to the
 * wallet's signature that nothing happens before.
 */
function checkSplices(scope: Scope, { tx }: Psbt, fundings: readonly FundingOutput[]): void {
  for (const [index, input] of tx.inputs.entries()) {
    const spent = outpointOf(input);
    const isSpliced = fundings.some(({ funding }) => funding.live && funding.splicedFrom === spent);
    if (fundingAt(scope, spent) !== undefined && !isSpliced)
      scope.broken('policy-onchain-output-match-commitment', { input: index, differs: 'a funding without its splice' });
  }
}

/** Takes the outputs apart; those that fund channels are checked. */
export function outputsOf(scope: Scope, psbt: Psbt): Outputs {
  const id = txid(psbt.tx);
  const fundings: FundingOutput[] = [];
  const unknown = new Map<string, bigint>();
  const safeIndexes = new Set<number>();
  let safe = 0n;
  for (const [index, output] of psbt.tx.outputs.entries()) {
    const known = fundingAt(scope, outpointOf({ txid: id, vout: index }));
    if (known !== undefined) fundings.push(fundingOutput(scope, psbt, ...known, output, index));
    else if (isSafe(scope, output.script, psbt.outputs[index])) {
      safe += output.amount;
      safeIndexes.add(index);
    } else {
      const script = toHex(output.script);
      unknown.set(script, (unknown.get(script) ?? 0n) + output.amount);
    }
  }
  if (new Set(fundings.map(({ channel }) => channel)).size !== fundings.length)
    scope.broken('policy-onchain-output-match-commitment', { differs: 'two fundings of one channel' });
  checkSplices(scope, psbt, fundings);
  if (fundings.length > 0)
    for (const index of psbt.tx.inputs.keys())
      if (!isFixed(psbt, index)) scope.broken('policy-onchain-funding-non-malleable', { input: index });
  return { safe, safeIndexes, fundings, unknown };
}
