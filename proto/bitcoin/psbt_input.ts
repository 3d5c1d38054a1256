/** What a signer asks of a PSBT's maps, and how it adds to them. Nothing here changes a PSBT: it returns another. */

import { equalBytes } from '../bytes.ts';
import { WireError } from '../hsmd/codec.ts';
import type { Psbt, PsbtInput, PsbtPair } from './psbt.ts';
import { inputFields, type PsbtField } from './psbt_fields.ts';
import { LeReader } from './stream.ts';
import type { TxOutput } from './tx.ts';

/** The value of a field that stands at most once; `pairs` is an input's, an output's or the global map's. */
export function fieldValue(pairs: readonly PsbtPair[], { type }: PsbtField): Uint8Array | undefined {
  return pairs.find((pair) => pair.type === type)?.value;
}

/** The keys and values of a field that may stand several times. */
export function fieldPairs(pairs: readonly PsbtPair[], { type }: PsbtField): readonly PsbtPair[] {
  return pairs.filter((pair) => pair.type === type);
}

/** The value that a field has under `key`. */
export function fieldUnder(pairs: readonly PsbtPair[], { type }: PsbtField, key: Uint8Array): Uint8Array | undefined {
  return pairs.find((pair) => pair.type === type && equalBytes(pair.key, key))?.value;
}

/** The input's sighash type (u32), 0 where it has none. */
export function sighashType({ pairs }: PsbtInput): number {
  const value = fieldValue(pairs, inputFields.sighashType);
  return value === undefined ? 0 : new LeReader(value).u32();
}

export function witnessScript({ pairs }: PsbtInput): Uint8Array | undefined {
  return fieldValue(pairs, inputFields.witnessScript);
}

/**
 * The output that input `index` spends, as far as the PSBT says: its witness UTXO, else the output of the previous
 * transaction (utxo_from_input).
 */
export function spentOutput({ tx, inputs }: Psbt, index: number): TxOutput | undefined {
  const input = inputs[index];
  const outpoint = tx.inputs[index];
  if (input?.witnessUtxo !== undefined) return input.witnessUtxo;
  if (outpoint === undefined || outpoint.txid.every((byte) => byte === 0)) return undefined;
  return input?.previousTx?.outputs[outpoint.vout];
}

/** What input `index` is worth, in satoshi (psbt_input_get_amount). Throws WireError where the PSBT does not say. */
export function inputAmount(psbt: Psbt, index: number): bigint {
  const input = psbt.inputs[index];
  const vout = psbt.tx.inputs[index]?.vout ?? 0;
  const output = input?.witnessUtxo ?? input?.previousTx?.outputs[vout];
  if (output === undefined) throw new WireError('no output that it spends', 0, `inputs[${index}]`);
  return output.amount;
}

/** With a pair more, unless the field already has one under that key. */
export function withPair(input: PsbtInput, { type }: PsbtField, key: Uint8Array, value: Uint8Array): PsbtInput {
  if (input.pairs.some((pair) => pair.type === type && equalBytes(pair.key, key))) return input;
  return { ...input, pairs: [...input.pairs, { type, key, value }] };
}

/** With a field that stands at most once set to `value`. */
export function withField(input: PsbtInput, { type }: PsbtField, value: Uint8Array): PsbtInput {
  const others = input.pairs.filter((pair) => pair.type !== type);
  return { ...input, pairs: [...others, { type, key: new Uint8Array(), value }] };
}

/** With input `index` replaced. */
export function withInput(psbt: Psbt, index: number, input: PsbtInput): Psbt {
  return { ...psbt, inputs: psbt.inputs.with(index, input) };
}
