/**
 * The penalty transaction that channeld has signed right behind each revocation, for watchtowers. All of it is known by
 * then: the commitment was seen when it was signed, and destination and fee are those of the channel's last one.
 */

import { inputFields } from '../../proto/bitcoin/psbt_fields.ts';
import { withField, witnessScript } from '../../proto/bitcoin/psbt_input.ts';
import { txid } from '../../proto/bitcoin/tx.ts';
import { concat } from '../../proto/bytes.ts';
import { calls, type RequestOf } from '../../proto/hsmd/calls.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import { encodeMessage } from '../../proto/hsmd/message.ts';
import type { Secret } from '../../proto/secret.ts';
import { p2wsh } from '../bitcoin/script.ts';
import { outputWitnessScript } from '../lightning/unsigned_psbt.ts';

/** What a commitment of the peer's pays it after a delay, and us if it was revoked. */
export interface Revocable {
  readonly commitNum: bigint;
  /** The commitment, internal byte order, and which of its outputs. */
  readonly txid: Uint8Array;
  readonly vout: number;
  /** Satoshi. */
  readonly amount: bigint;
  readonly witnessScript: Uint8Array;
}

/** `OP_IF` and the push of a key: of a commitment's scripts only that of its delayed output begins so (BOLT 3). */
const beginning = [0x63, 0x21] as const;
/** The delay in that script stands behind the first key and before the other, in bytes from its begin and its end. */
const aroundDelay = { before: 36, behind: 38 } as const;

/** The delayed output of a commitment to be signed; undefined where it has none, or does not show its script. */
export function revocableOutput({ tx, commitNum }: RequestOf<'signRemoteCommitmentTx'>): Revocable | undefined {
  for (const [vout, { amount }] of tx.tx.outputs.entries()) {
    const script = outputWitnessScript(tx.psbt, vout);
    if (script === undefined || beginning.some((byte, i) => script[i] !== byte)) continue;
    return { commitNum, txid: txid(tx.tx), vout, amount, witnessScript: script.slice() };
  }
  return undefined;
}

/**
 * A delayed output's script with the delay of another one. lightningd v26.06 has the penalty signed with the delay that
 * the peer asked of us; where the two differ that signature is worth nothing, but it is what is asked for.
 */
function withDelayOf(other: Uint8Array, script: Uint8Array): Uint8Array {
  const { before, behind } = aroundDelay;
  return concat(script.subarray(0, before), other.subarray(before, -behind), script.subarray(-behind));
}

/** The request for the penalty on `revoked`, as `last` was asked for; undefined where nothing would be left of it. */
export function penaltyRequest(last: TxWithPsbt, revoked: Revocable, secret: Secret): Uint8Array | undefined {
  const [[input], [output]] = [last.tx.inputs, last.tx.outputs];
  const [known] = last.psbt.inputs;
  const before = known?.witnessUtxo;
  if (input === undefined || output === undefined || known === undefined || before === undefined) return undefined;
  const amount = revoked.amount - (before.amount - output.amount);
  if (amount <= 0n) return undefined;
  const tx = {
    ...last.tx,
    inputs: [{ ...input, txid: revoked.txid, vout: revoked.vout }],
    outputs: [{ ...output, amount }],
  };
  const wscript = withDelayOf(witnessScript(known) ?? revoked.witnessScript, revoked.witnessScript);
  const spent = { ...known, witnessUtxo: { amount: revoked.amount, script: p2wsh(wscript) } };
  const inputs = [withField(spent, inputFields.witnessScript, wscript)];
  return encodeMessage(calls.signPenaltyToUs.request, {
    revocationSecret: secret,
    tx: { tx, psbt: { ...last.psbt, tx, inputs } },
    wscript,
  });
}
