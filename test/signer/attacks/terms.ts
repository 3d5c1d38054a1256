/** Commitments as an honest lightningd and its peer would make them, from what both sides own. */

import { txid } from '../../../proto/bitcoin/tx.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { TxSignature } from '../../../signer/bitcoin/sign_input.ts';
import { signLowR } from '../../../signer/crypto/low_r.ts';
import type { ChannelKeys } from '../../../signer/keys/channel_keys.ts';
import { tweakedSecret } from '../../../signer/keys/tweak.ts';
import { buildCommitment, commitmentPsbt } from '../../../signer/lightning/commitment.ts';
import { commitmentDigest, htlcDigest, htlcSighashType } from '../../../signer/lightning/countersigned.ts';
import { anchorValue, commitmentFee, isTrimmed } from '../../../signer/lightning/fees.ts';
import { htlcTransactions } from '../../../signer/lightning/htlc_tx.ts';
import { type CommitmentContent, type CommitmentId, noLease } from '../../../signer/lightning/outputs.ts';
import type { Commitment } from '../../../signer/lightning/recognise.ts';
import { secp } from './world.ts';

/** What a commitment is about, before fees and trimming. Amounts msat, feerate sat per 1000 weight. */
export interface Terms {
  readonly ours: bigint;
  readonly theirs: bigint;
  readonly htlcs: readonly Htlc[];
  readonly feerate: number;
}

/** What a hostile host may change in a commitment after everything was computed. */
export type Twist = (content: CommitmentContent) => CommitmentContent;

/** The commitment with these terms; `dust` is the owner's limit. */
export function commitmentOf(id: CommitmentId, terms: Terms, dust: bigint, twist: Twist = (same) => same): Commitment {
  const { channel, owner } = id;
  const { feerate } = terms;
  const htlcs = terms.htlcs.filter((htlc) => !isTrimmed(htlc, owner, feerate, channel.anchors, dust));
  const fee = commitmentFee(feerate, channel.anchors, htlcs.length) + (channel.anchors ? 2n * anchorValue : 0n);
  const output = (side: 'local' | 'remote') => {
    const amount = (side === 'local' ? terms.ours : terms.theirs) / 1000n - (channel.opener === side ? fee : 0n);
    return amount < dust ? undefined : amount;
  };
  const [toOwner, toOther] =
    owner === 'local' ? [output('local'), output('remote')] : [output('remote'), output('local')];
  const content = twist({ toOwner, toOther, htlcs, leaseCsv: noLease });
  const built = buildCommitment(id, content);
  return { ok: true, ...id, ...content, ...built, txid: txid(built.tx), fee, feerate, trimmed: 0n };
}

/** The commitment as a request carries it; with the peer's signature where it is ours. */
export function asRequest(commitment: Commitment, signature?: Uint8Array) {
  return { tx: commitment.tx, psbt: commitmentPsbt(commitment, commitment, signature) };
}

export interface PeerSignatures {
  readonly sig: TxSignature;
  readonly htlcSigs: readonly TxSignature[];
}

/** The peer's signatures of our commitment. */
export function signedByPeer(commitment: Commitment, theirs: ChannelKeys, ourPoint: Uint8Array): PeerSignatures {
  const { anchors } = commitment.channel;
  const htlcKey = tweakedSecret(secp, theirs.htlc, ourPoint);
  const sighash = htlcSighashType(anchors) === 1 ? 1 : 0x83;
  return {
    sig: { signature: signLowR(secp, commitmentDigest(commitment), theirs.funding.secret), sighash: 1 },
    htlcSigs: htlcTransactions(commitment).map((each) => ({
      signature: signLowR(secp, htlcDigest(each, anchors), htlcKey),
      sighash,
    })),
  };
}
