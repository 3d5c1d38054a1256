/**
 * Version 2 of PSBT (BIP 370) says in fields what version 0 says in a transaction. hsmd holds every PSBT that way and
 * writes version 0; here it is the other way round, so this file turns those fields into the transaction.
 */

import { WireError } from '../hsmd/codec.ts';
import type { PsbtPair } from './psbt.ts';
import { globalFields, inputFields, outputFields, type PsbtField } from './psbt_fields.ts';
import { LeReader } from './stream.ts';
import type { Transaction, TxInput, TxOutput } from './tx.ts';

type Pairs = readonly PsbtPair[];

/** The most inputs and outputs libwally takes in this form, or writes. */
export const maxInputs = 17_380;
export const maxOutputs = 32_240;

/** libwally keeps the upper two bits of an output's index for other chains. */
export const indexMask = 0x3fffffff;

function find(pairs: Pairs, { type }: PsbtField): LeReader | undefined {
  const pair = pairs.find((candidate) => candidate.type === type);
  return pair && new LeReader(pair.value);
}

function need(pairs: Pairs, field: PsbtField, name: string): LeReader {
  const found = find(pairs, field);
  if (found === undefined) throw new WireError('not there, in version 2', 0, name);
  return found;
}

/** How many inputs and outputs follow, as arrays of that length. */
export function countsOf(globals: Pairs): {
  readonly inputs: readonly unknown[];
  readonly outputs: readonly unknown[];
} {
  if (find(globals, globalFields.unsignedTx) !== undefined)
    throw new WireError('a transaction, in version 2', 0, 'unsignedTx');
  const count = (field: PsbtField, name: string, max: number) => {
    const r = need(globals, field, name);
    const size = r.size();
    r.finish();
    if (size > max) throw new WireError(`expected at most ${max}, found ${size}`, 0, name);
    return Array.from({ length: size });
  };
  return {
    inputs: count(globalFields.inputCount, 'inputCount', maxInputs),
    outputs: count(globalFields.outputCount, 'outputCount', maxOutputs),
  };
}

export function assembleTransaction(globals: Pairs, inputs: readonly Pairs[], outputs: readonly Pairs[]): Transaction {
  const version = need(globals, globalFields.txVersion, 'global.txVersion').u32();
  if (version < 2) throw new WireError(`expected version 2 or later, found ${version}`, 0, 'global.txVersion');
  return {
    version,
    inputs: inputs.map((pairs, i) => inputOf(pairs, `inputs[${i}]`)),
    outputs: outputs.map((pairs, i) => outputOf(pairs, `outputs[${i}]`)),
    locktime: locktimeOf(inputs) ?? find(globals, globalFields.fallbackLocktime)?.u32() ?? 0,
  };
}

function inputOf(pairs: Pairs, path: string): TxInput {
  return {
    txid: need(pairs, inputFields.previousTxid, `${path}.previousTxid`).take(32),
    vout: need(pairs, inputFields.outputIndex, `${path}.outputIndex`).u32() & indexMask,
    scriptSig: new Uint8Array(),
    sequence: find(pairs, inputFields.sequence)?.u32() ?? 0xffffffff,
    witness: [],
  };
}

function outputOf(pairs: Pairs, path: string): TxOutput {
  const script = need(pairs, outputFields.script, `${path}.script`);
  return { amount: need(pairs, outputFields.amount, `${path}.amount`).u64(), script: script.take(script.left) };
}

/** The latest height or time that inputs ask for: a height where all can live with one, and undefined where none asks. */
function locktimeOf(inputs: readonly Pairs[]): number | undefined {
  const asked = inputs
    .map((pairs) => ({
      time: find(pairs, inputFields.requiredTimeLocktime)?.u32(),
      height: find(pairs, inputFields.requiredHeightLocktime)?.u32(),
    }))
    .filter(({ time, height }) => time !== undefined || height !== undefined);
  if (asked.length === 0) return undefined;
  const heights = asked.map(({ height }) => height).filter((height) => height !== undefined);
  if (heights.length === asked.length) return Math.max(...heights);
  const times = asked.map(({ time }) => time).filter((time) => time !== undefined);
  if (times.length < asked.length) throw new WireError('inputs ask for a time and for a height', 0, 'inputs');
  return Math.max(...times);
}
