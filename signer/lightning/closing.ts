/**
 * BOLT 3's two closing transactions: legacy (closing_signed) and simple close (closing_complete). Who is paid where is
 * not in any message, so the caller says which scripts are ours, and gets the transaction taken apart.
 */

import type { PsbtOutput } from '../../proto/bitcoin/psbt.ts';
import { outputFields } from '../../proto/bitcoin/psbt_fields.ts';
import { fieldValue } from '../../proto/bitcoin/psbt_input.ts';
import { sameTransaction, type Transaction, type TxOutput, totalOutput } from '../../proto/bitcoin/tx.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import type { Funding, Side } from './channel.ts';
import { fundingSpent } from './commitment.ts';
import { type Mismatch, mismatch } from './mismatch.ts';
import { inBip69Order } from './order.ts';
import { psbtDifference, unsignedPsbt } from './unsigned_psbt.ts';

/** The sequence tells the two forms apart. */
const forms = { legacy: 0xffffffff, simple: 0xfffffffd } as const;
export type CloseForm = keyof typeof forms;

export interface CloseOutput extends TxOutput {
  /** Whose script it is, by the caller's judgement. */
  readonly of: Side;
  readonly index: number;
  /** The wallet key that lightningd says it pays to; still to be derived and compared. */
  readonly walletIndex: number | undefined;
}

export interface MutualClose {
  readonly ok: true;
  readonly form: CloseForm;
  /** 0 in the legacy form. */
  readonly locktime: number;
  readonly outputs: readonly CloseOutput[];
  /** What the funding has more than the outputs, satoshi. */
  readonly fee: bigint;
}

/** The last step of the one key path that a PSBT output has: lightningd puts the index of a wallet key there. */
export function walletIndexOf(pairs: PsbtOutput): number | undefined {
  const taproot = fieldValue(pairs, outputFields.tapBip32Derivation);
  const origin = taproot?.[0] === 0 ? taproot.subarray(1) : fieldValue(pairs, outputFields.bip32Derivation);
  if (origin?.length !== 8) return undefined;
  return new DataView(origin.buffer, origin.byteOffset, origin.length).getUint32(4, true);
}

const keyPaths: ReadonlySet<number> = new Set([
  outputFields.bip32Derivation.type,
  outputFields.tapBip32Derivation.type,
]);

function withoutKeyPaths(pairs: PsbtOutput): PsbtOutput {
  return pairs.filter(({ type }) => !keyPaths.has(type));
}

function formOf(tx: Transaction): CloseForm | undefined {
  const sequence = tx.inputs[0]?.sequence;
  if (sequence === forms.simple) return 'simple';
  return sequence === forms.legacy && tx.locktime === 0 ? 'legacy' : undefined;
}

/** The close with these outputs, in any order. */
export function buildClose(
  funding: Funding,
  form: CloseForm,
  locktime: number,
  outputs: readonly TxOutput[],
): Transaction {
  const input = {
    txid: funding.txid,
    vout: funding.vout,
    scriptSig: new Uint8Array(),
    sequence: forms[form],
    witness: [],
  };
  return {
    version: 2,
    inputs: [input],
    outputs: outputs.map(({ amount, script }) => ({ amount, script })).sort(inBip69Order),
    locktime,
  };
}

/** Two outputs to the same side mean that one of them goes to neither. */
function eachOnce(outputs: readonly CloseOutput[]): boolean {
  return outputs.length === 1 || (outputs.length === 2 && outputs[0]?.of !== outputs[1]?.of);
}

/** Takes a mutual close of this funding apart; `isOurs` says which scripts pay us. */
export function recogniseClose(
  funding: Funding,
  { tx, psbt }: TxWithPsbt,
  isOurs: (output: Omit<CloseOutput, 'of'>) => boolean,
): MutualClose | Mismatch {
  const form = formOf(tx);
  if (form === undefined)
    return mismatch('policy-mutual-format', { sequence: tx.inputs[0]?.sequence ?? 0, locktime: tx.locktime });
  const built = buildClose(funding, form, tx.locktime, tx.outputs);
  if (!sameTransaction(built, tx))
    return mismatch('policy-mutual-format', { version: tx.version, inputs: tx.inputs.length, differs: 'transaction' });
  const expected = unsignedPsbt(
    built,
    fundingSpent(funding),
    {},
    built.outputs.map(() => undefined),
  );
  const difference = psbtDifference(expected, { ...psbt, outputs: psbt.outputs.map(withoutKeyPaths) });
  if (difference !== undefined)
    return mismatch('policy-mutual-format', { differs: `psbt ${difference.map}`, type: difference.type });
  const outputs = tx.outputs.map((output, index): CloseOutput => {
    const walletIndex = walletIndexOf(psbt.outputs[index] ?? []);
    const known = { ...output, index, walletIndex };
    return { ...known, of: isOurs(known) ? 'local' : 'remote' };
  });
  if (!eachOnce(outputs)) return mismatch('policy-mutual-destination-allowlisted', { outputs: outputs.length });
  const fee = funding.value - totalOutput(tx);
  if (fee < 0n) return mismatch('policy-mutual-fee-range', { funding: funding.value, tooMuch: -fee });
  return { ok: true, form, locktime: tx.locktime, outputs, fee };
}
