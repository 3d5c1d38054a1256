/**
 * The PSBTs that lightningd sends beside its transactions: the output spent, its witness script and, in commitments, the
 * two funding keys. Rebuilt so that every byte of a request can be compared, or foretold.
 */

import { derSignature } from '../../proto/bitcoin/der.ts';
import type { Psbt, PsbtPair } from '../../proto/bitcoin/psbt.ts';
import { inputFields, outputFields } from '../../proto/bitcoin/psbt_fields.ts';
import { fieldValue } from '../../proto/bitcoin/psbt_input.ts';
import { sameTransaction, type Transaction, type TxOutput } from '../../proto/bitcoin/tx.ts';
import { concat, equalBytes } from '../../proto/bytes.ts';
import { sighash } from '../bitcoin/sighash.ts';
import { hash160 } from '../crypto/hash.ts';
import { once } from '../once.ts';

const noKey = new Uint8Array();

/** A key origin as lightningd writes it: the key's own fingerprint, and a path of one zero. */
export const ownOrigin = once((pubkey: Uint8Array): PsbtPair => {
  const value = concat(hash160(pubkey).subarray(0, 4), new Uint8Array(4));
  return { type: inputFields.bip32Derivation.type, key: pubkey, value };
});

/** A SIGHASH_ALL signature, 64 bytes r ‖ s, and the sighash type. */
export function signedBy(pubkey: Uint8Array, signature: Uint8Array): readonly PsbtPair[] {
  return [
    {
      type: inputFields.partialSig.type,
      key: pubkey,
      value: concat(derSignature(signature), Uint8Array.of(sighash.all)),
    },
    { type: inputFields.sighashType.type, key: noKey, value: Uint8Array.of(sighash.all, 0, 0, 0) },
  ];
}

/** The one output that a transaction spends. */
export interface Spent extends TxOutput {
  readonly witnessScript: Uint8Array;
}

/**
 * The PSBT of a transaction with one input. `pairs` are the input's other pairs, in the order in which they are written;
 * `outputScripts` the witness script of each output that has one.
 */
export function unsignedPsbt(
  tx: Transaction,
  spent: Spent,
  pairs: { readonly before?: readonly PsbtPair[]; readonly after?: readonly PsbtPair[] },
  outputScripts: readonly (Uint8Array | undefined)[],
): Psbt {
  const script = { type: inputFields.witnessScript.type, key: noKey, value: spent.witnessScript };
  return {
    tx,
    globals: [],
    inputs: [
      {
        previousTx: undefined,
        witnessUtxo: { amount: spent.amount, script: spent.script },
        pairs: [...(pairs.before ?? []), script, ...(pairs.after ?? [])],
      },
    ],
    outputs: outputScripts.map((value) =>
      value === undefined ? [] : [{ type: outputFields.witnessScript.type, key: noKey, value }],
    ),
  };
}

/** The witness script that a PSBT shows for an output. */
export function outputWitnessScript(psbt: Psbt, index: number): Uint8Array | undefined {
  return fieldValue(psbt.outputs[index] ?? [], outputFields.witnessScript);
}

/** Where two PSBTs differ: in which map, and there in the pair of which type (-1 where it is not one pair). */
export interface PsbtDifference {
  readonly map: 'transaction' | 'globals' | 'input' | 'output';
  readonly index: number;
  readonly type: number;
}

function pairsDiffer(a: readonly PsbtPair[], b: readonly PsbtPair[]): number | undefined {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]];
    if (x === undefined || y === undefined) return (x ?? y)?.type;
    if (x.type !== y.type || !equalBytes(x.key, y.key) || !equalBytes(x.value, y.value)) return y.type;
  }
  return undefined;
}

function utxosDiffer(a: TxOutput | undefined, b: TxOutput | undefined): boolean {
  if (a === undefined || b === undefined) return a !== b;
  return a.amount !== b.amount || !equalBytes(a.script, b.script);
}

/** The first difference between two PSBTs; undefined where they are the same, pair by pair. */
export function psbtDifference(expected: Psbt, given: Psbt): PsbtDifference | undefined {
  if (!sameTransaction(expected.tx, given.tx)) return { map: 'transaction', index: 0, type: -1 };
  const type = pairsDiffer(expected.globals, given.globals);
  if (type !== undefined) return { map: 'globals', index: 0, type };
  for (const [index, input] of expected.inputs.entries()) {
    const other = given.inputs[index];
    if (other?.previousTx !== undefined) return { map: 'input', index, type: inputFields.nonWitnessUtxo.type };
    if (utxosDiffer(input.witnessUtxo, other?.witnessUtxo))
      return { map: 'input', index, type: inputFields.witnessUtxo.type };
    const type = pairsDiffer(input.pairs, other?.pairs ?? []);
    if (type !== undefined) return { map: 'input', index, type };
  }
  for (const [index, pairs] of expected.outputs.entries()) {
    const type = pairsDiffer(pairs, given.outputs[index] ?? []);
    if (type !== undefined) return { map: 'output', index, type };
  }
  return undefined;
}
