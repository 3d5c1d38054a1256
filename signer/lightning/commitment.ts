/**
 * BOLT 3 §Commitment Transaction, built from a channel's own parameters, and the PSBT that lightningd sends with it.
 * `recognise.ts` compares the result with what a request carries; `htlc_tx.ts` spends its HTLC outputs.
 */

import type { Psbt } from '../../proto/bitcoin/psbt.ts';
import type { Transaction } from '../../proto/bitcoin/tx.ts';
import { fundingScript, p2wsh } from '../bitcoin/script.ts';
import { once } from '../once.ts';
import { type Channel, type Funding, otherSide } from './channel.ts';
import { obscuringFactor } from './keys.ts';
import { type CommitmentContent, type CommitmentId, type CommitmentOutput, commitmentOutputs } from './outputs.ts';
import { ownOrigin, type Spent, signedBy, unsignedPsbt } from './unsigned_psbt.ts';

export interface BuiltCommitment {
  /** Without witness. */
  readonly tx: Transaction;
  /** In the transaction's order. */
  readonly outputs: readonly CommitmentOutput[];
}

/** Locktime and sequence, which together hold the obscured commitment number. */
function obscured(channel: Channel, number: bigint): { readonly locktime: number; readonly sequence: number } {
  const hidden = obscuringFactor(channel) ^ number;
  return {
    locktime: 0x20000000 + Number(hidden & 0xffffffn),
    sequence: 0x80000000 + Number((hidden >> 24n) & 0xffffffn),
  };
}

/** The unsigned commitment. Of its number, 48 bits show. */
export function buildCommitment(id: CommitmentId, content: CommitmentContent): BuiltCommitment {
  const outputs = commitmentOutputs(id, content);
  const { locktime, sequence } = obscured(id.channel, id.number);
  const { txid, vout } = id.funding;
  const tx = {
    version: 2,
    inputs: [{ txid, vout, scriptSig: new Uint8Array(), sequence, witness: [] }],
    outputs: outputs.map(({ amount, script }) => ({ amount, script })),
    locktime,
  };
  return { tx, outputs };
}

/** The output that commitments and closes spend. */
export const fundingSpent = once(({ value, localPubkey, remotePubkey }: Funding): Spent => {
  const witnessScript = fundingScript(localPubkey, remotePubkey);
  return { amount: value, script: p2wsh(witnessScript), witnessScript };
});

/**
 * The PSBT that lightningd sends with a commitment: the owner's funding key first, and the peer's signature (r ‖ s) where
 * it has one.
 */
export function commitmentPsbt(
  { funding, owner }: CommitmentId,
  { tx, outputs }: BuiltCommitment,
  peerSignature: Uint8Array | undefined,
): Psbt {
  const pubkeys = { local: funding.localPubkey, remote: funding.remotePubkey };
  const pairs = {
    before: peerSignature === undefined ? [] : signedBy(funding.remotePubkey, peerSignature),
    after: [ownOrigin(pubkeys[owner]), ownOrigin(pubkeys[otherSide(owner)])],
  };
  const scripts = outputs.map(({ witnessScript }) => witnessScript);
  return unsignedPsbt(tx, fundingSpent(funding), pairs, scripts);
}
