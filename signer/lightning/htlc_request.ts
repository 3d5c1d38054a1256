/**
 * A request to sign one HTLC transaction: the peer's (sign_remote_htlc_tx) or our own after a unilateral close
 * (sign_any_local_htlc_tx). It is rebuilt from its witness script; whether it belongs to a commitment that we signed is
 * for whoever knows those to say, from `commitment` and `output`.
 */

import { spentOutput } from '../../proto/bitcoin/psbt_input.ts';
import { sameTransaction, type Transaction } from '../../proto/bitcoin/tx.ts';
import { equalBytes } from '../../proto/bytes.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import { p2wsh } from '../bitcoin/script.ts';
import { otherSide } from './channel.ts';
import type { HtlcKind } from './fees.ts';
import { htlcTxOutput } from './htlc_tx.ts';
import { knownScript } from './known_script.ts';
import { type Mismatch, type MismatchTag, mismatch } from './mismatch.ts';
import type { CommitmentBasis } from './outputs.ts';
import { toLocalScript } from './scripts.ts';
import { differingFields, type ScriptField } from './template.ts';
import { outputWitnessScript, psbtDifference, unsignedPsbt } from './unsigned_psbt.ts';

export interface HtlcSpend {
  readonly ok: true;
  readonly kind: HtlcKind;
  /** The commitment that it spends from, internal byte order, and which output. */
  readonly commitment: Uint8Array;
  readonly output: number;
  /** RIPEMD160 of the payment hash. */
  readonly hash160: Uint8Array;
  /** Block height. A timeout's is its locktime: the script of an HTLC that we offered does not have it. */
  readonly cltvExpiry: number;
  /** Satoshi, as the PSBT claims it; the signature is worth nothing if it claims wrongly. */
  readonly amount: bigint;
  readonly fee: bigint;
}

const outputTags: { readonly [F in ScriptField]?: MismatchTag } = {
  revocation: 'policy-htlc-revocation-pubkey',
  delay: 'policy-htlc-to-self-delay',
  ownerDelayed: 'policy-htlc-delayed-pubkey',
};

function explainOutput({ channel, owner, keys }: CommitmentBasis, { tx, psbt }: TxWithPsbt): Mismatch {
  const shown = outputWitnessScript(psbt, 0);
  const template = toLocalScript(keys, channel[otherSide(owner)].toSelfDelay);
  const matches = shown !== undefined && equalBytes(p2wsh(shown), tx.outputs[0]?.script ?? shown);
  const [field] = (matches ? differingFields(template, shown) : undefined) ?? [];
  const tag = field === undefined ? undefined : outputTags[field];
  return mismatch(tag ?? 'policy-htlc-format', { output: 0, field: field ?? 'unknown' });
}

/** Why `given` is not `built`, where something differs. */
function compare(id: CommitmentBasis, built: Transaction, given: TxWithPsbt): Mismatch | undefined {
  const { tx } = given;
  const [input] = tx.inputs;
  const [expected] = built.inputs;
  if (sameTransaction(built, tx)) return undefined;
  if (tx.version !== built.version)
    return mismatch('policy-htlc-version', { expected: built.version, found: tx.version });
  if (tx.locktime !== built.locktime)
    return mismatch('policy-htlc-locktime', { expected: built.locktime, found: tx.locktime });
  if (input === undefined || expected === undefined || input.sequence !== expected.sequence)
    return mismatch('policy-htlc-sequence', { expected: expected?.sequence ?? 0, found: input?.sequence ?? 0 });
  const [output] = tx.outputs;
  if (output === undefined || !equalBytes(output.script, built.outputs[0]?.script ?? output.script))
    return explainOutput(id, given);
  return mismatch('policy-htlc-format', { differs: 'transaction' });
}

/** Recognises a request about an HTLC transaction on `owner`'s commitment. `id.keys` are that commitment's. */
export function recogniseHtlcTx(
  id: CommitmentBasis,
  given: TxWithPsbt,
  witnessScript: Uint8Array,
): HtlcSpend | Mismatch {
  const { tx, psbt } = given;
  const [input] = tx.inputs;
  const [output] = tx.outputs;
  const spent = spentOutput(psbt, 0);
  const script = knownScript(id, witnessScript);
  if (input === undefined || output === undefined || tx.inputs.length !== 1 || tx.outputs.length !== 1)
    return mismatch('policy-htlc-format', { inputs: tx.inputs.length, outputs: tx.outputs.length });
  const spentScript = p2wsh(witnessScript);
  if (script === undefined || script.kind === 'delayed' || !equalBytes(spentScript, spent?.script ?? witnessScript))
    return mismatch('policy-htlc-format', { differs: 'script of the output that is spent' });
  const amount = spent?.amount ?? 0n;
  const fee = amount - output.amount;
  if (fee < 0n || (id.channel.anchors && fee !== 0n)) return mismatch('policy-htlc-fee-range', { amount, fee });
  const kind = script.kind === 'offeredHtlc' ? 'timeout' : 'success';
  const paid = htlcTxOutput(id);
  const built = {
    version: 2,
    inputs: [{ ...input, scriptSig: new Uint8Array(), sequence: id.channel.anchors ? 1 : 0, witness: [] }],
    outputs: [{ amount: output.amount, script: paid.script }],
    locktime: kind === 'timeout' ? tx.locktime : 0,
  };
  const different = compare(id, built, given);
  if (different !== undefined) return different;
  const expected = unsignedPsbt(built, { amount, script: spentScript, witnessScript }, {}, [paid.witnessScript]);
  const difference = psbtDifference(expected, psbt);
  if (difference !== undefined)
    return mismatch('policy-htlc-format', { differs: `psbt ${difference.map}`, type: difference.type });
  const cltvExpiry = script.kind === 'receivedHtlc' ? script.cltvExpiry : tx.locktime;
  return {
    ok: true,
    kind,
    commitment: input.txid,
    output: input.vout,
    hash160: script.hash160,
    cltvExpiry,
    amount,
    fee,
  };
}
