/**
 * Partially signed transactions (BIP 174, 370, 371), read as hsmd reads them with libwally: what it refuses is refused,
 * what it keeps is kept, and written in its order as version 0. `psbt_fields.ts` lists the fields, `psbt_map.ts` reads
 * and writes one map, `psbt_input.ts` answers what a signer asks. Byte strings are views of the bytes given.
 */

import { type CurveCheck, inField, trustPoints, WireError } from '../hsmd/codec.ts';
import { globalFields, inputFields, outputFields } from './psbt_fields.ts';
import { byType, type FieldsByType, readMap, unknownType, writeMap, writePair } from './psbt_map.ts';
import { assembleTransaction, countsOf, indexMask, maxInputs, maxOutputs } from './psbt_v2.ts';
import { LeReader, LeWriter } from './stream.ts';
import {
  maxMoney,
  readOutput,
  readTransaction,
  serializeTransaction,
  type Transaction,
  type TxOutput,
  totalOutput,
  writeOutput,
} from './tx.ts';

/** A key and its value; for a field we know, `key` is what follows its type. */
export interface PsbtPair {
  readonly type: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** What is known of an input. The two forms of the output it spends stand apart, everything else in `pairs`. */
export interface PsbtInput {
  /** The transaction it spends an output of (field 00); nobody compared its id with the input's. */
  readonly previousTx: Transaction | undefined;
  /** The output it spends (field 01). */
  readonly witnessUtxo: TxOutput | undefined;
  readonly pairs: readonly PsbtPair[];
}

/** What is known of an output. */
export type PsbtOutput = readonly PsbtPair[];

export interface Psbt {
  /** The unsigned transaction; hsmd raises a version below 2 to 2. */
  readonly tx: Transaction;
  readonly globals: readonly PsbtPair[];
  /** As many as the transaction has. */
  readonly inputs: readonly PsbtInput[];
  readonly outputs: readonly PsbtOutput[];
}

const globalTypes = byType(globalFields);
const inputTypes = byType(inputFields);
const outputTypes = byType(outputFields);

/** "psbt"; ff follows. */
const magic = 0x74627370;

/**
 * Reads a PSBT of version 0 or 2; bytes behind it are ignored, as libwally does. `curve` checks the public keys in it.
 * Throws WireError. Stricter than hsmd in corners no honest node visits: no bytes at all, Elements' PSETs, required
 * locktimes that contradict each other (hsmd could not sign those), and counts of leaf hashes that overflow 64 bits.
 */
export function parsePsbt(bytes: Uint8Array, curve: CurveCheck = trustPoints): Psbt {
  const r = new LeReader(bytes);
  if (r.u32() !== magic || r.u8() !== 0xff) throw new WireError('expected "psbt" and ff', 0);
  const globals = inField('global', () => readMap(r, globalTypes, curve));
  const version = versionOf(globals);
  const unsigned = version === 0 ? inField('global', () => unsignedTx(globals, bytes)) : undefined;
  const counts = unsigned ?? inField('global', () => countsOf(globals));
  const inputs = counts.inputs.map((_, i) => inField(`inputs[${i}]`, () => readMap(r, inputTypes, curve)));
  const outputs = counts.outputs.map((_, i) => inField(`outputs[${i}]`, () => readMap(r, outputTypes, curve)));
  const tx = unsigned ?? assembleTransaction(globals, inputs, outputs);
  return {
    tx,
    globals: globals.filter(({ type }) => type === globalFields.xpub.type || type === unknownType),
    inputs: inputs.map((pairs, i) =>
      inField(`inputs[${i}]`, () => asInput(inVersion(pairs, inputTypes, version), bytes)),
    ),
    outputs: outputs.map((pairs, i) => inField(`outputs[${i}]`, () => inVersion(pairs, outputTypes, version))),
  };
}

function versionOf(globals: readonly PsbtPair[]): 0 | 2 {
  const pair = globals.find(({ type }) => type === globalFields.version.type);
  const version = pair === undefined ? 0 : new LeReader(pair.value).u32();
  if (version !== 0 && version !== 2) throw new WireError(`expected version 0 or 2, found ${version}`, 0, 'version');
  return version;
}

/** Reads a value where it stands in the whole PSBT, so that errors tell its place. */
function readerOf({ value }: PsbtPair, bytes: Uint8Array): LeReader {
  const start = value.byteOffset - bytes.byteOffset;
  return new LeReader(bytes, start, start + value.length);
}

/** Version 0's transaction: no script or witness in it; bytes behind it are ignored. */
function unsignedTx(globals: readonly PsbtPair[], bytes: Uint8Array): Transaction {
  inVersion(globals, globalTypes, 0);
  const pair = globals.find(({ type }) => type === globalFields.unsignedTx.type);
  if (pair === undefined) throw new WireError('no transaction', 0, 'unsignedTx');
  const { tx } = inField('unsignedTx', () => readTransaction(readerOf(pair, bytes), false));
  if (tx.inputs.some(({ scriptSig }) => scriptSig.length > 0))
    throw new WireError('a signed input', 0, 'unsignedTx.inputs');
  return { ...tx, version: Math.max(tx.version, 2) };
}

/** Refuses version 2's fields in version 0; in version 2 they are in the transaction by now. */
function inVersion(pairs: readonly PsbtPair[], types: FieldsByType, version: 0 | 2): readonly PsbtPair[] {
  const own = ({ type }: PsbtPair) => types.get(type)?.[1].version2 === true;
  const found = pairs.find(own);
  if (found === undefined) return pairs;
  if (version === 0) throw new WireError('a field of version 2 in version 0', 0, types.get(found.type)?.[0]);
  return pairs.filter((pair) => !own(pair));
}

function asInput(all: readonly PsbtPair[], bytes: Uint8Array): PsbtInput {
  const previousTx = all.find(({ type }) => type === inputFields.nonWitnessUtxo.type);
  const witnessUtxo = all.find(({ type }) => type === inputFields.witnessUtxo.type);
  const sighash = all.find(({ type }) => type === inputFields.sighashType.type);
  const sighashType = sighash === undefined ? 0 : new LeReader(sighash.value).u32();
  const agrees = ({ type, value }: PsbtPair) =>
    type !== inputFields.partialSig.type || sighashType === 0 || value.at(-1) === sighashType;
  if (!all.every(agrees)) throw new WireError('a signature with another sighash type', 0, 'partialSig');
  return {
    previousTx: previousTx && inField('nonWitnessUtxo', () => readTransaction(readerOf(previousTx, bytes), true).tx),
    witnessUtxo: witnessUtxo && inField('witnessUtxo', () => readWitnessUtxo(readerOf(witnessUtxo, bytes))),
    pairs: all.filter((pair) => pair.type > inputFields.witnessUtxo.type && !(pair === sighash && sighashType === 0)),
  };
}

function readWitnessUtxo(r: LeReader): TxOutput {
  const output = readOutput(r);
  if (output.script.length === 0) throw new WireError('an empty script', r.at);
  r.finish();
  return output;
}

const nothing = new Uint8Array();

/**
 * The PSBT's bytes. A finalised input loses its signatures, scripts and origins, and the upper two bits of every output
 * index are cleared. Throws WireError for what hsmd reads but cannot write, which is the end of its process.
 */
export function serializePsbt(psbt: Psbt): Uint8Array {
  checkWritable(psbt);
  const w = new LeWriter(1024);
  w.u32(magic);
  w.u8(0xff);
  const inputs = psbt.tx.inputs.map((input) => ({ ...input, vout: input.vout & indexMask }));
  const value = serializeTransaction({ ...psbt.tx, inputs }, { witness: false });
  writePair(w, { type: globalFields.unsignedTx.type, key: nothing, value });
  writeMap(w, psbt.globals);
  for (const input of psbt.inputs) writeInput(w, input);
  for (const output of psbt.outputs) writeMap(w, output);
  return w.finish();
}

function writeInput(w: LeWriter, { previousTx, witnessUtxo, pairs }: PsbtInput): void {
  if (previousTx !== undefined) {
    const value = serializeTransaction(previousTx, { witness: false });
    writePair(w, { type: inputFields.nonWitnessUtxo.type, key: nothing, value });
  }
  if (witnessUtxo !== undefined) {
    const output = new LeWriter(64);
    writeOutput(output, witnessUtxo);
    writePair(w, { type: inputFields.witnessUtxo.type, key: nothing, value: output.finish() });
  }
  const { finalScriptSig, finalScriptWitness, bip32Derivation } = inputFields;
  const final = pairs.some(({ type }) => type === finalScriptSig.type || type === finalScriptWitness.type);
  writeMap(w, final ? pairs.filter(({ type }) => type > bip32Derivation.type) : pairs);
}

function checkWritable({ tx, inputs }: Psbt): void {
  const refuse = (path: string, problem: string): never => {
    throw new WireError(`${problem}, which lightning_hsmd cannot write`, 0, path);
  };
  if (tx.inputs.length > maxInputs) refuse('inputs', `${tx.inputs.length} of them`);
  if (tx.outputs.length > maxOutputs) refuse('outputs', `${tx.outputs.length} of them`);
  for (const [i, input] of tx.inputs.entries())
    if (input.txid.every((byte) => byte === 0)) refuse(`inputs[${i}]`, 'a transaction id of zeros');
  for (const [i, { script }] of tx.outputs.entries())
    if (script.length === 0) refuse(`outputs[${i}]`, 'an empty script');
  if (totalOutput(tx) > maxMoney) refuse('outputs', 'more than 21 million bitcoin');
  for (const [i, { previousTx }] of inputs.entries())
    if (previousTx !== undefined && (previousTx.inputs.length === 0 || previousTx.outputs.length === 0))
      refuse(`inputs[${i}].nonWitnessUtxo`, 'a transaction without inputs or outputs');
}
