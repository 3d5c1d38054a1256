/**
 * BOLT 3 §HTLC-Timeout and HTLC-Success Transactions of a commitment, and from them the very requests in which
 * lightningd will ask for our signatures on the peer's (channeld's calc_commitsigs).
 */

import type { Psbt } from '../../proto/bitcoin/psbt.ts';
import type { Transaction } from '../../proto/bitcoin/tx.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { encodeMessage } from '../../proto/hsmd/message.ts';
import { otherSide } from './channel.ts';
import { type HtlcKind, htlcFee, htlcKind } from './fees.ts';
import { type CommitmentBasis, type CommitmentOutput, type Scripts, toLocalScripts } from './outputs.ts';
import type { Commitment } from './recognise.ts';
import { unsignedPsbt } from './unsigned_psbt.ts';

export interface HtlcTransaction {
  readonly htlc: Htlc;
  readonly kind: HtlcKind;
  /** The commitment's output that it spends. */
  readonly output: number;
  /** Of that output; what a signature commits to. */
  readonly witnessScript: Uint8Array;
  /** Of that output, satoshi. */
  readonly amount: bigint;
  readonly tx: Transaction;
  readonly psbt: Psbt;
}

/** The output that HTLC transactions pay to: the owner's, after the delay, without a lease's. */
export function htlcTxOutput({ channel, owner, keys }: CommitmentBasis): Scripts {
  return toLocalScripts(keys, channel[otherSide(owner)].toSelfDelay);
}

/** What an HTLC transaction spends: an output of the commitment with this id (internal byte order). */
export interface HtlcOutpoint {
  readonly txid: Uint8Array;
  readonly vout: number;
}

/** The HTLC transaction of one output, paying `fee` satoshi. */
export function htlcTransaction(
  id: CommitmentBasis,
  { txid, vout }: HtlcOutpoint,
  output: CommitmentOutput & { readonly witnessScript: Uint8Array },
  htlc: Htlc,
  fee: bigint,
): HtlcTransaction {
  const kind = htlcKind(htlc, id.owner);
  const paid = htlcTxOutput(id);
  const sequence = id.channel.anchors ? 1 : 0;
  const tx = {
    version: 2,
    inputs: [{ txid, vout, scriptSig: new Uint8Array(), sequence, witness: [] }],
    outputs: [{ amount: output.amount - fee, script: paid.script }],
    locktime: kind === 'timeout' ? htlc.cltvExpiry : 0,
  };
  const { witnessScript, amount } = output;
  return {
    htlc,
    kind,
    output: vout,
    witnessScript,
    amount,
    tx,
    psbt: unsignedPsbt(tx, output, {}, [paid.witnessScript]),
  };
}

/** All HTLC transactions of a commitment, in the order of its outputs, which is that of their signatures (BOLT 2). */
export function htlcTransactions(commitment: Commitment): readonly HtlcTransaction[] {
  const { channel, owner, feerate, txid } = commitment;
  return commitment.outputs.flatMap((output, vout) => {
    const { role, witnessScript } = output;
    if (role.kind !== 'htlc' || witnessScript === undefined) return [];
    const fee = htlcFee(htlcKind(role.htlc, owner), feerate, channel.anchors);
    return [htlcTransaction(commitment, { txid, vout }, { ...output, witnessScript }, role.htlc, fee)];
  });
}

/**
 * The sign_remote_htlc_tx requests that follow sign_remote_commitment_tx of this commitment, byte for byte, in order.
 * `point` is the peer's per-commitment point.
 */
export function htlcRequests(commitment: Commitment, point: Uint8Array): readonly Uint8Array[] {
  return htlcTransactions(commitment).map(({ tx, psbt, witnessScript }) =>
    encodeMessage(calls.signRemoteHtlcTx.request, {
      tx: { tx, psbt },
      wscript: witnessScript,
      remotePerCommitPoint: point,
      optionAnchorOutputs: commitment.channel.anchors,
    }),
  );
}
