/**
 * The other way round from `commitment.ts`: what the commitment in a request says, found out from its outputs and proven
 * by building it again. What comes back as a `Commitment` is, byte for byte, the transaction and PSBT that the channel's
 * own parameters give.
 */

import { inputFields } from '../../proto/bitcoin/psbt_fields.ts';
import { sameTransaction, totalOutput, txid } from '../../proto/bitcoin/tx.ts';
import { equalBytes } from '../../proto/bytes.ts';
import type { Htlc, TxWithPsbt } from '../../proto/hsmd/fields.ts';
import { p2wsh } from '../bitcoin/script.ts';
import { type BuiltCommitment, buildCommitment, commitmentPsbt } from './commitment.ts';
import { explainCommitment } from './explain.ts';
import { anchorValue, commitmentFee, feerateOf, isTrimmed } from './fees.ts';
import { type Mismatch, mismatch } from './mismatch.ts';
import {
  type CommitmentContent,
  type CommitmentId,
  type CommitmentOutput,
  noLease,
  toOtherOutput,
  toOwnerOutput,
} from './outputs.ts';
import { pushedNumber, readScript, type ScriptField } from './template.ts';
import { outputWitnessScript, psbtDifference } from './unsigned_psbt.ts';

/** BOLT 2: 483 each way, so that a penalty fits into one transaction. More are not even looked at. */
const maxHtlcs = 2 * 483;

/** What a request says of a commitment. */
export interface GivenCommitment {
  readonly tx: TxWithPsbt;
  /** The untrimmed ones. */
  readonly htlcs: readonly Htlc[];
  /** Satoshi per 1000 weight; 0 for commitment 0, whose messages do not say it. */
  readonly feerate: number;
  /** The peer's, r ‖ s: in validate_commitment_tx, and then in the PSBT too. */
  readonly signature?: Uint8Array;
}

/** A commitment that is exactly what the channel's parameters give. */
export interface Commitment extends CommitmentId, CommitmentContent, BuiltCommitment {
  readonly ok: true;
  /** Internal byte order. */
  readonly txid: Uint8Array;
  /** What the funding has more than the outputs, satoshi. */
  readonly fee: bigint;
  /** The message's, or for commitment 0 the highest that gives this fee if nothing was trimmed. */
  readonly feerate: number;
  /**
   * `fee` less BOLT 3's fee at `feerate` and less absent anchors: what trimmed HTLCs and balances below dust left, and
   * parts of a satoshi. Negative where the opener could not pay all of it.
   */
  readonly trimmed: bigint;
}

/** The number at a field of a witness script that has an output's own shape. */
function shownNumber(like: CommitmentOutput, field: ScriptField, { psbt, tx }: TxWithPsbt): number | undefined {
  for (const [index, output] of tx.outputs.entries()) {
    const script = outputWitnessScript(psbt, index);
    const found = script && like.template && readScript(like.template, script)?.get(field);
    if (script !== undefined && found !== undefined && equalBytes(p2wsh(script), output.script))
      return pushedNumber(found);
  }
  return undefined;
}

/** How long the lessor still waits: no message says it, but its output's witness script does. */
function leaseIn(id: CommitmentId, given: TxWithPsbt): number {
  const [lessors, field]: [CommitmentOutput, ScriptField] =
    id.owner === id.channel.opener
      ? [toOtherOutput(id, 0n, noLease), 'csv']
      : [toOwnerOutput(id, 0n, noLease), 'delay'];
  if (given.tx.outputs.some(({ script }) => equalBytes(script, lessors.script))) return noLease;
  return shownNumber(lessors, field, given) ?? noLease;
}

function contentOf(id: CommitmentId, { tx, htlcs }: GivenCommitment): CommitmentContent {
  const leaseCsv = leaseIn(id, tx);
  const paid = ({ script }: CommitmentOutput): bigint | undefined =>
    tx.tx.outputs.find((output) => equalBytes(output.script, script))?.amount;
  const toOwner = paid(toOwnerOutput(id, 0n, leaseCsv));
  return { toOwner, toOther: paid(toOtherOutput(id, 0n, leaseCsv)), htlcs, leaseCsv };
}

/** While a channel opens, the PSBT of our commitment 0 is without the peer's signature; a splice has it. */
function comparePsbt(id: CommitmentId, built: BuiltCommitment, given: GivenCommitment): Mismatch | undefined {
  const { psbt } = given.tx;
  const unsigned = id.number === 0n && psbtDifference(commitmentPsbt(id, built, undefined), psbt) === undefined;
  const difference = unsigned ? undefined : psbtDifference(commitmentPsbt(id, built, given.signature), psbt);
  if (difference === undefined) return undefined;
  const { map, index, type } = difference;
  const facts = { differs: `psbt ${map}`, index, type };
  if (map !== 'input') return mismatch('policy-commitment-scripts', facts);
  const ofSignature = type === inputFields.partialSig.type || type === inputFields.sighashType.type;
  return mismatch(ofSignature ? 'policy-commitment-countersigned' : 'policy-commitment-input-match-funding', facts);
}

function withFees(id: CommitmentId, content: CommitmentContent, built: BuiltCommitment, feerate: number): Commitment {
  const { channel, funding } = id;
  const fee = funding.value - totalOutput(built.tx);
  const anchors = built.outputs.filter(({ role }) => role.kind === 'anchor').length;
  const absent = channel.anchors ? anchorValue * BigInt(2 - anchors) : 0n;
  const count = content.htlcs.length;
  const used = feerate === 0 && id.number === 0n ? feerateOf(fee - absent, channel.anchors, count) : feerate;
  const trimmed = fee - absent - commitmentFee(used, channel.anchors, count);
  return { ok: true, ...id, ...content, ...built, txid: txid(built.tx), fee, feerate: used, trimmed };
}

/** What a commitment says, or which part of it is not what the channel's parameters give. */
export function recogniseCommitment(id: CommitmentId, given: GivenCommitment): Commitment | Mismatch {
  if (given.htlcs.length > maxHtlcs)
    return mismatch('policy-commitment-htlc-count-limit', { expected: maxHtlcs, found: given.htlcs.length });
  const content = contentOf(id, given);
  const built = buildCommitment(id, content);
  if (!sameTransaction(built.tx, given.tx.tx)) return explainCommitment(id, content, built, given.tx);
  const commitment = withFees(id, content, built, given.feerate);
  if (commitment.fee < 0n)
    return mismatch('policy-commitment-fee-range', { funding: id.funding.value, tooMuch: -commitment.fee });
  // Its own transaction could not be made: BOLT 3 leaves such an HTLC out whatever the dust limit.
  const { feerate, channel, owner } = commitment;
  const beyond = commitment.htlcs.find((htlc) => isTrimmed(htlc, owner, feerate, channel.anchors, 0n));
  if (beyond !== undefined)
    return mismatch('policy-commitment-outputs-trimmed', { feerate, htlc: beyond.amount / 1000n });
  return comparePsbt(id, built, given) ?? commitment;
}
