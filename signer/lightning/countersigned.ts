/**
 * Whether the peer has signed our commitment and every HTLC transaction of it (BOLT 2 §commitment_signed): without those
 * signatures the commitment is worth nothing to us.
 */

import { segwitSighash, sighash } from '../bitcoin/sighash.ts';
import type { TxSignature } from '../bitcoin/sign_input.ts';
import type { Secp } from '../crypto/secp.ts';
import { fundingSpent } from './commitment.ts';
import { type HtlcTransaction, htlcTransactions } from './htlc_tx.ts';
import { type Mismatch, mismatch } from './mismatch.ts';
import type { Commitment } from './recognise.ts';

/** What the peer signs of an HTLC transaction with anchors: others may add fees to it. */
const singleAnyoneCanPay = sighash.single | sighash.anyoneCanPay;

/** The sighash type of the peer's signatures of HTLC transactions. */
export function htlcSighashType(anchors: boolean): number {
  return anchors ? singleAnyoneCanPay : sighash.all;
}

/** What a signature of an HTLC transaction by the commitment's other side signs, 32 bytes. */
export function htlcDigest({ tx, witnessScript, amount }: HtlcTransaction, anchors: boolean): Uint8Array {
  return segwitSighash(tx, 0, witnessScript, amount, htlcSighashType(anchors));
}

/** What both sides' signatures of a commitment sign, 32 bytes. */
export function commitmentDigest({ tx, funding }: Commitment): Uint8Array {
  return segwitSighash(tx, 0, fundingSpent(funding).witnessScript, funding.value, sighash.all);
}

/** Checks the signatures of validate_commitment_tx; undefined where all are there and valid. `commitment` is ours. */
export function checkCountersigned(
  secp: Secp,
  commitment: Commitment,
  signature: TxSignature,
  htlcSignatures: readonly TxSignature[],
): Mismatch | undefined {
  const { channel, funding, keys } = commitment;
  const invalid = (facts: { readonly [name: string]: string | number }) =>
    mismatch('policy-commitment-countersigned', facts);
  if (signature.sighash !== sighash.all)
    return invalid({ expected: sighash.all, found: signature.sighash, differs: 'sighash type' });
  if (!secp.verify(commitmentDigest(commitment), funding.remotePubkey, signature.signature))
    return invalid({ differs: 'signature of the commitment' });
  const transactions = htlcTransactions(commitment);
  if (htlcSignatures.length !== transactions.length)
    return invalid({
      expected: transactions.length,
      found: htlcSignatures.length,
      differs: 'number of HTLC signatures',
    });
  const type = htlcSighashType(channel.anchors);
  for (const [i, transaction] of transactions.entries()) {
    const given = htlcSignatures[i];
    if (given === undefined || given.sighash !== type)
      return invalid({ htlc: i, expected: type, found: given?.sighash ?? 0, differs: 'sighash type' });
    if (!secp.verify(htlcDigest(transaction, channel.anchors), keys.otherHtlc, given.signature))
      return invalid({ htlc: i, differs: 'signature of the HTLC transaction' });
  }
  return undefined;
}
