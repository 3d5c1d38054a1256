/**
 * Says which part of a commitment differs from the one rebuilt. Runs only after the bytes were found to differ, so every
 * path ends in a mismatch; the order of the questions is the order in which an operator would want the answers.
 */

import type { TxOutput } from '../../proto/bitcoin/tx.ts';
import { equalBytes } from '../../proto/bytes.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import { p2wsh } from '../bitcoin/script.ts';
import { otherSide, type Side } from './channel.ts';
import type { BuiltCommitment } from './commitment.ts';
import { anchorValue } from './fees.ts';
import { type Mismatch, type MismatchTag, mismatch } from './mismatch.ts';
import {
  anchorOutput,
  type CommitmentContent,
  type CommitmentId,
  type CommitmentOutput,
  htlcOutput,
  toOtherOutput,
  toOwnerOutput,
} from './outputs.ts';
import { differingFields, type ScriptField } from './template.ts';
import { outputWitnessScript } from './unsigned_psbt.ts';

/** Everything that may stand in this commitment, whatever its amount. */
function candidates(id: CommitmentId, { htlcs, leaseCsv }: CommitmentContent): readonly CommitmentOutput[] {
  return [
    toOwnerOutput(id, 0n, leaseCsv),
    toOtherOutput(id, 0n, leaseCsv),
    anchorOutput(id, id.owner),
    anchorOutput(id, otherSide(id.owner)),
    ...htlcs.map((htlc) => htlcOutput(id, htlc)),
  ];
}

/** A script that is right, on an output that is not: twice there, not due, or with another amount. */
function misplaced(id: CommitmentId, { role }: CommitmentOutput, output: number, { amount }: TxOutput): Mismatch {
  const facts = { output, amount };
  switch (role.kind) {
    case 'toOwner':
    case 'toOther':
      return mismatch(`policy-commitment-singular-to-${role.of === 'local' ? 'holder' : 'counterparty'}`, facts);
    case 'anchor':
      if (!id.channel.anchors) return mismatch('policy-commitment-anchors-not-when-off', facts);
      return mismatch(amount === anchorValue ? anchorTag(role.of) : 'policy-commitment-anchor-amount', facts);
    case 'htlc':
      return mismatch('policy-commitment-no-unrecognized-outputs', { ...facts, expected: role.htlc.amount / 1000n });
  }
}

function htlcKeyTag(of: Side): MismatchTag {
  return `policy-commitment-htlc-${of === 'local' ? 'holder' : 'counterparty'}-htlc-pubkey`;
}

/** An anchor is not there where it is due, or there where it is not. */
function anchorTag(of: Side): MismatchTag {
  return `policy-commitment-anchor-to-${of === 'local' ? 'holder' : 'counterparty'}`;
}

/** The rule that a wrong field of a script breaks. */
function tagOf(id: CommitmentId, { role }: CommitmentOutput, field: ScriptField): MismatchTag {
  const inHtlc = role.kind === 'htlc';
  switch (field) {
    case 'revocation':
      return inHtlc ? 'policy-commitment-htlc-revocation-pubkey' : 'policy-commitment-revocation-pubkey';
    case 'delay':
    case 'csv':
      return 'policy-commitment-to-self-delay-range';
    case 'ownerDelayed':
      return 'policy-commitment-broadcaster-pubkey';
    case 'otherPayment':
      return 'policy-commitment-countersignatory-pubkey';
    case 'funding':
      return `policy-commitment-${id.channel.anchors ? 'anchor-match-fundingkey' : 'anchors-not-when-off'}`;
    case 'ownerHtlc':
      return htlcKeyTag(id.owner);
    case 'otherHtlc':
      return htlcKeyTag(otherSide(id.owner));
    case 'paymentHash':
    case 'cltvExpiry':
      return 'policy-commitment-no-unrecognized-outputs';
  }
}

/** An output that should not be there. Its witness script, if the PSBT has the right one, tells what it was meant to be. */
function explainOutput(id: CommitmentId, content: CommitmentContent, given: TxWithPsbt, index: number): Mismatch {
  const output = given.tx.outputs[index];
  if (output === undefined) return mismatch('policy-commitment-scripts', { output: index });
  const possible = candidates(id, content);
  const same = possible.find(({ script }) => equalBytes(script, output.script));
  if (same !== undefined) return misplaced(id, same, index, output);
  const unknown = mismatch('policy-commitment-no-unrecognized-outputs', { output: index, amount: output.amount });
  const shown = outputWitnessScript(given.psbt, index);
  if (shown === undefined || !equalBytes(p2wsh(shown), output.script)) return unknown;
  const nearest = possible
    .flatMap((candidate) => {
      const fields = candidate.template && differingFields(candidate.template, shown);
      return fields === undefined ? [] : [{ candidate, fields }];
    })
    .sort((a, b) => a.fields.length - b.fields.length)[0];
  const field = nearest?.fields[0];
  if (nearest === undefined || field === undefined) return unknown;
  return mismatch(tagOf(id, nearest.candidate, field), { output: index, field });
}

/** An output that should be there. */
function explainMissing({ role, amount }: CommitmentOutput): Mismatch {
  if (role.kind === 'anchor') return mismatch(anchorTag(role.of), { found: 0 });
  return mismatch('policy-commitment-outputs-trimmed', { expected: amount });
}

function sameOutput(a: TxOutput, b: TxOutput): boolean {
  return a.amount === b.amount && equalBytes(a.script, b.script);
}

/** The outputs that only one of two lists has: in `first`, by index; in `second`, themselves. */
function unmatched<T extends TxOutput>(first: readonly TxOutput[], second: readonly T[]): [number[], T[]] {
  const left = [...second];
  const extra: number[] = [];
  for (const [index, output] of first.entries()) {
    const at = left.findIndex((expected) => sameOutput(expected, output));
    if (at < 0) extra.push(index);
    else left.splice(at, 1);
  }
  return [extra, left];
}

/**
 * A balance that was not recognised makes its anchor look undue as well, so an anchor that is right in itself is spoken
 * of last.
 */
function explainOutputs(
  id: CommitmentId,
  content: CommitmentContent,
  built: BuiltCommitment,
  given: TxWithPsbt,
): Mismatch {
  const { outputs } = given.tx;
  const [extra, missing] = unmatched(outputs, built.outputs);
  const anchors = [anchorOutput(id, id.owner), anchorOutput(id, otherSide(id.owner))];
  const dueElsewhere = (index: number) =>
    id.channel.anchors && anchors.some((anchor) => sameOutput(anchor, outputs[index] ?? anchor));
  const index = extra.find((candidate) => !dueElsewhere(candidate)) ?? extra[0];
  if (index !== undefined) return explainOutput(id, content, given, index);
  const [first] = missing;
  return first === undefined
    ? mismatch('policy-commitment-scripts', { differs: 'order of outputs' })
    : explainMissing(first);
}

/** Why `given` is not `built`. */
export function explainCommitment(
  id: CommitmentId,
  content: CommitmentContent,
  built: BuiltCommitment,
  given: TxWithPsbt,
): Mismatch {
  const { tx } = given;
  const [input] = tx.inputs;
  const [expected] = built.tx.inputs;
  if (tx.version !== built.tx.version)
    return mismatch('policy-commitment-version', { expected: built.tx.version, found: tx.version });
  if (input === undefined || expected === undefined || tx.inputs.length !== 1)
    return mismatch('policy-commitment-input-single', { expected: 1, found: tx.inputs.length });
  if (!equalBytes(input.txid, expected.txid) || input.vout !== expected.vout)
    return mismatch('policy-commitment-input-match-funding', { differs: 'outpoint' });
  if (input.scriptSig.length > 0 || input.witness.length > 0)
    return mismatch('policy-commitment-scripts', { differs: 'an input that is already signed' });
  if (input.sequence !== expected.sequence)
    return mismatch('policy-commitment-sequence', { expected: expected.sequence, found: input.sequence });
  if (tx.locktime !== built.tx.locktime)
    return mismatch('policy-commitment-locktime', { expected: built.tx.locktime, found: tx.locktime });
  return explainOutputs(id, content, built, given);
}
