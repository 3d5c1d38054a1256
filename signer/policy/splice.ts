/**
 * Spending a funding into the next one (sign_splice_tx). The initiator's lightningd asks before it has the commitments of
 * the new funding, puts what it gets into its PSBT, and asks again when it has them. The first answer is a signature that
 * spends nothing: with a real one the peer and the host could confirm a funding that we cannot leave, whatever else the
 * transaction needs from us, as that may have been signed before. The peer gets the second, and so does our host's
 * broadcast; what lightningd itself sends has the first.
 */

import { spentOutput } from '../../proto/bitcoin/psbt_input.ts';
import { type TxOutput, totalOutput, txid } from '../../proto/bitcoin/tx.ts';
import { equalBytes, toHex, utf8 } from '../../proto/bytes.ts';
import type { RequestOf } from '../../proto/hsmd/calls.ts';
import { fundingScript, isP2wsh, p2wsh } from '../bitcoin/script.ts';
import { sighash } from '../bitcoin/sighash.ts';
import { taggedHash } from '../crypto/hash.ts';
import { signLowR } from '../crypto/low_r.ts';
import { type ChannelState, type FundingState, highest, type Outpoint } from '../state/channel_state.ts';
import type { NodeState } from '../state/node_state.ts';
import { outpointOf } from './commitment.ts';
import { setUp } from './commitments.ts';
import { mostFee, signedWeight } from './fees.ts';
import { isSafe } from './our_scripts.ts';
import { type Checks, onlyWarns, type Scope, type Verdict } from './scope.ts';
import { Spending } from './spending.ts';
import { fundingAt, isValidated } from './wallet_outputs.ts';

type SpliceRequest = RequestOf<'signSpliceTx'>;

const earlyLabel = 'keyhold/early splice signature';

/** Well-formed, by a key that no script has, over a hash that no transaction has. */
function worthless({ context: { secp, keys } }: Scope, id: Uint8Array): Verdict<'signSpliceTx'> {
  const signature = signLowR(secp, taggedHash([earlyLabel], id), keys.derivedSecret(utf8(earlyLabel)));
  return { reply: { sig: { signature, sighash: sighash.all } } };
}

/** The live funding that the input to be signed spends, with what the PSBT says of it. */
function spentFunding(
  scope: Scope,
  channel: ChannelState | undefined,
  request: SpliceRequest,
): FundingState | undefined {
  const { client, keys } = scope.context;
  const { tx, inputIndex, remoteFundingKey } = request;
  const input = tx.tx.inputs[inputIndex];
  const known = input && channel?.fundings.find(({ outpoint }) => outpoint === outpointOf(input));
  const spent = spentOutput(tx.psbt, inputIndex);
  const { point } = keys.channel(client.nodeId, client.dbid).funding;
  const matches =
    known?.live === true &&
    equalBytes(known.remotePubkey, remoteFundingKey) &&
    spent?.amount === known.value &&
    equalBytes(spent.script, p2wsh(fundingScript(point, known.remotePubkey)));
  if (!matches) scope.broken('policy-splice-input-match-funding', { input: inputIndex, amount: spent?.amount ?? 0n });
  return known;
}

/** The outputs that are neither a channel's nor safe for us, and the safe ones. */
function partsOf(scope: Scope, { tx: { tx, psbt } }: SpliceRequest) {
  const id = txid(tx);
  const [safe, strangers]: [TxOutput[], TxOutput[]] = [[], []];
  for (const [vout, output] of tx.outputs.entries())
    if (fundingAt(scope, outpointOf({ txid: id, vout })) === undefined)
      (isSafe(scope, output.script, psbt.outputs[vout]) ? safe : strangers).push(output);
  return { safe, strangers };
}

function sum(outputs: readonly TxOutput[]): bigint {
  return outputs.reduce((total, { amount }) => total + amount, 0n);
}

/** What all inputs have more than all outputs, as far as the PSBT and the channels tell. */
function feeOf(scope: Scope, { tx: { tx, psbt } }: SpliceRequest): bigint {
  const brought = tx.inputs.map((input, index) => {
    const known = fundingAt(scope, outpointOf(input));
    return known?.[1].value ?? spentOutput(psbt, index)?.amount ?? 0n;
  });
  return brought.reduce((total, amount) => total + amount, 0n) - totalOutput(tx);
}

/**
 * The initiator's first request comes before commitments are exchanged, when a no still ends the splice and nothing else.
 * So the owner is asked then about what plainly goes elsewhere, as it will be again for the same transaction.
 */
async function askEarly(scope: Scope, request: SpliceRequest, peer: string, id: Uint8Array): Promise<void> {
  // The new funding is P2WSH: which output that is, nobody has said yet.
  const paid = partsOf(scope, request).strangers.filter(({ script }) => !isP2wsh(script));
  if (paid.length === 0) return;
  const outputs = paid.map(({ script, amount }) => ({ script: toHex(script), amountSat: amount }));
  const purpose = { kind: 'spliceOut', peer, amountSat: sum(paid), txid: toHex(id), outputs } as const;
  if ((await scope.approved(purpose)) === false)
    scope.broken('policy-splice-destination', { amount: purpose.amountSat, outputs: outputs.length });
}

interface Share {
  /** Satoshi that are less ours after the transaction, its outputs to us aside. */
  readonly taken: bigint;
  readonly weight: number;
}

/**
 * Our part of the transaction: all channels whose splice it is, and what the wallet signed of it before. A loss counts as
 * soon as it is announced; a gain, which makes up for another channel's loss, once our commitment has it: for the channel
 * that is signed for, or was.
 */
function shareOf(scope: Scope, { tx: { tx } }: SpliceRequest, signing: FundingState, safe: readonly TxOutput[]): Share {
  const id = toHex(txid(tx));
  const spent = new Set(tx.inputs.map(outpointOf));
  const ours = new Map<Outpoint, bigint>();
  const outputs = [...safe];
  for (const { fundings, left } of scope.state.channels.values()) {
    if (left.some((outpoint) => outpoint.startsWith(id)))
      scope.broken('policy-splice-balance', { differs: 'a channel that is in it was locked to another funding' });
    for (const into of fundings) {
      if (!into.outpoint.startsWith(`${id}:`)) continue;
      for (const [outpoint, amount] of into.walletInputs)
        if (amount > (ours.get(outpoint) ?? -1n)) ours.set(outpoint, amount);
      const { splicedFrom, shiftBefore, ourShift, live } = into;
      if (splicedFrom === undefined || !spent.has(splicedFrom)) continue;
      const loss = shiftBefore - ourShift;
      const counted = loss > 0n || live || into === signing ? loss : 0n;
      // Only the owner of an input can lose by it: whoever else is said to have it makes up for nothing.
      const earlier = ours.get(splicedFrom) ?? counted;
      ours.set(splicedFrom, counted > earlier ? counted : earlier);
      outputs.push(...tx.outputs.slice(Number(into.outpoint.slice(id.length + 1))).slice(0, 1));
    }
  }
  const inputs = tx.inputs.filter((input) => ours.has(outpointOf(input)));
  const taken = [...ours.values()].reduce((total, amount) => total + amount, 0n);
  return { taken, weight: signedWeight({ ...tx, inputs, outputs }, []) };
}

/**
 * What we lose by it is a fee, which counts against what a day's may be, or approved. It needs a signature of each channel
 * that it spends, so the last one sees all that it takes. The wallet's own inputs are judged when the wallet signs.
 */
async function checkLoss(scope: Scope, request: SpliceRequest, peer: string, into: FundingState): Promise<NodeState> {
  const id = toHex(txid(request.tx.tx));
  const spending = new Spending(scope, id);
  const { safe, strangers } = partsOf(scope, request);
  const { taken, weight } = shareOf(scope, request, into, safe);
  const lost = taken - sum(safe);
  const most = mostFee(scope.settings, weight);
  let fee = lost;
  if (lost > most) {
    const whole = feeOf(scope, request);
    fee = whole > 0n && whole <= most ? whole : 0n;
    const amountSat = lost - fee;
    const paid = sum(strangers);
    const outputs = strangers.map(({ script, amount }) => ({ script: toHex(script), amountSat: amount }));
    if (paid < amountSat) scope.broken('policy-splice-balance', { lost, paid, most });
    else if (!(await scope.approved({ kind: 'spliceOut', peer, amountSat, txid: id, outputs })))
      scope.broken('policy-splice-destination', { amount: amountSat, outputs: outputs.length });
  }
  spending.payFee(fee);
  return spending.node;
}

/** The new funding is where the transaction has it: our 2-of-2 with its value. */
function checkNewFunding(scope: Scope, { tx }: SpliceRequest, into: FundingState): void {
  const { client, keys } = scope.context;
  const { point } = keys.channel(client.nodeId, client.dbid).funding;
  const output = tx.tx.outputs[Number(into.outpoint.split(':')[1])];
  const script = p2wsh(fundingScript(point, into.remotePubkey));
  if (output === undefined || output.amount !== into.value || !equalBytes(output.script, script))
    scope.broken('policy-splice-balance', { expected: into.value, found: output?.amount ?? 0n });
}

export const spliceChecks: Checks<'signSpliceTx'> = {
  async signSpliceTx(scope, request) {
    const { client } = scope.context;
    const channel = setUp(scope, client.nodeId, client.dbid);
    const from = spentFunding(scope, channel, request);
    if (channel === undefined || from === undefined) return {};
    const id = txid(request.tx.tx);
    const into = channel.fundings.find(({ outpoint }) => outpoint.startsWith(`${toHex(id)}:`));
    if (into === undefined) {
      await askEarly(scope, request, channel.peer, id);
      const unknown = { differs: 'nothing is known of the new funding yet' };
      return onlyWarns(scope, 'policy-splice-new-funding-validated', unknown) ? {} : worthless(scope, id);
    }
    if (into.splicedFrom !== from.outpoint || !isValidated(channel, into))
      scope.broken('policy-splice-new-funding-validated', {
        validated: `${highest(channel.sides.local)}`,
        differs: into.splicedFrom === from.outpoint ? 'no commitment of the new funding' : 'another funding',
      });
    checkNewFunding(scope, request, into);
    // Signed once, it is judged: the same again is the same signature.
    if (into.live) return {};
    const node = await checkLoss(scope, request, channel.peer, into);
    const fundings = channel.fundings.map((each) => (each === into ? { ...each, live: true } : each));
    return { changes: { channel: { ...channel, fundings }, ...(node !== scope.state.node && { node }) } };
  },
};
