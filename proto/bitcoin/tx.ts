/**
 * Bitcoin transactions, as strictly and as leniently read as hsmd does it with libwally (bitcoin/tx.c pull_wtx,
 * wally_tx_from_bytes). Byte strings in what is parsed are views of the bytes given.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { equalBytes } from '../bytes.ts';
import { inField, WireError } from '../hsmd/codec.ts';
import { LeReader, LeWriter } from './stream.ts';

export interface TxInput {
  /** Of the transaction whose output is spent: 32 bytes, internal order. */
  readonly txid: Uint8Array;
  readonly vout: number;
  readonly scriptSig: Uint8Array;
  readonly sequence: number;
  readonly witness: readonly Uint8Array[];
}

export interface TxOutput {
  /** satoshi */
  readonly amount: bigint;
  /** The scriptPubKey. */
  readonly script: Uint8Array;
}

export interface Transaction {
  /** u32; signed where Bitcoin's consensus rules look at it. */
  readonly version: number;
  readonly inputs: readonly TxInput[];
  readonly outputs: readonly TxOutput[];
  readonly locktime: number;
}

/** 21 million bitcoin in satoshi: no single output may have more. */
export const maxMoney = 2_100_000_000_000_000n;

/**
 * A transaction that fills `bytes`. libwally itself reads overlong sizes and a witness marker without a witness, but
 * hsmd then compares the length with what it would write itself: neither passes here. Throws WireError.
 */
export function parseTransaction(bytes: Uint8Array): Transaction {
  const r = new LeReader(bytes);
  const { tx, marked } = readTransaction(r, true);
  r.finish();
  if (!r.canonical) throw new WireError('a size in more bytes than it needs', 0);
  if (marked && !hasWitness(tx)) throw new WireError('witness marker, but no witness', 4);
  return tx;
}

/**
 * Reads what wally_tx_from_bytes reads. With `segwit` a zero in place of the number of inputs is BIP 144's marker;
 * without, it is the number of inputs of a transaction under construction, as in a PSBT.
 */
export function readTransaction(r: LeReader, segwit: boolean): { readonly tx: Transaction; readonly marked: boolean } {
  const version = inField('version', () => r.u32());
  const marked = segwit && r.bytes[r.at] === 0 && r.left > 0;
  if (marked && r.u16() !== 0x0100) throw new WireError('expected witness flag 1 after the marker', r.at - 1);
  const unsigned = list(r, 'inputs', readInput);
  const outputs = list(r, 'outputs', readOutput);
  const inputs = marked
    ? unsigned.map((input, i) => ({ ...input, witness: inField(`inputs[${i}].witness`, () => readWitness(r)) }))
    : unsigned;
  const locktime = inField('locktime', () => r.u32());
  return { tx: { version, inputs, outputs, locktime }, marked };
}

const noWitness: readonly Uint8Array[] = [];

/** A count and as many items; nothing is reserved for a count before its items are there. */
function list<T>(r: LeReader, field: string, read: (r: LeReader) => T): readonly T[] {
  const count = inField(field, () => r.size());
  const items: T[] = [];
  for (let i = 0; i < count; i++) {
    try {
      items.push(read(r));
    } catch (error) {
      throw error instanceof WireError ? error.within(`${field}[${i}]`) : error;
    }
  }
  return items;
}

function readInput(r: LeReader): TxInput {
  return { txid: r.take(32), vout: r.u32(), scriptSig: r.sized(), sequence: r.u32(), witness: noWitness };
}

/** An output, its amount checked as libwally does. */
export function readOutput(r: LeReader): TxOutput {
  const amount = r.u64();
  if (amount > maxMoney) throw new WireError(`expected at most ${maxMoney} satoshi, found ${amount}`, r.at - 8);
  return { amount, script: r.sized() };
}

/** A witness: a count and as many sized items. */
export function readWitness(r: LeReader): readonly Uint8Array[] {
  const count = r.size();
  const items: Uint8Array[] = [];
  for (let i = 0; i < count; i++) items.push(r.sized());
  return items;
}

function hasWitness(tx: Transaction): boolean {
  return tx.inputs.some((input) => input.witness.length > 0);
}

/** The transaction's bytes, in BIP 144's form where it has a witness, unless `witness` is false. */
export function serializeTransaction(tx: Transaction, { witness = true } = {}): Uint8Array {
  const w = new LeWriter();
  const marked = witness && hasWitness(tx);
  w.u32(tx.version);
  if (marked) w.u16(0x0100);
  w.size(tx.inputs.length);
  for (const input of tx.inputs) {
    w.put(input.txid);
    w.u32(input.vout);
    w.sized(input.scriptSig);
    w.u32(input.sequence);
  }
  w.size(tx.outputs.length);
  for (const output of tx.outputs) writeOutput(w, output);
  if (marked) for (const input of tx.inputs) writeWitness(w, input.witness);
  w.u32(tx.locktime);
  return w.finish();
}

export function writeOutput(w: LeWriter, { amount, script }: TxOutput): void {
  w.u64(amount);
  w.sized(script);
}

export function writeWitness(w: LeWriter, witness: readonly Uint8Array[]): void {
  w.size(witness.length);
  for (const item of witness) w.sized(item);
}

function sameInput(a: TxInput, b: TxInput | undefined): boolean {
  return (
    b !== undefined &&
    a.vout === b.vout &&
    a.sequence === b.sequence &&
    equalBytes(a.txid, b.txid) &&
    equalBytes(a.scriptSig, b.scriptSig) &&
    a.witness.length === b.witness.length &&
    a.witness.every((item, index) => equalBytes(item, b.witness[index] ?? noItem))
  );
}

const noItem = new Uint8Array();

/** Whether two transactions have the same bytes, witnesses included. */
export function sameTransaction(a: Transaction, b: Transaction): boolean {
  return (
    a.version === b.version &&
    a.locktime === b.locktime &&
    a.inputs.length === b.inputs.length &&
    a.outputs.length === b.outputs.length &&
    a.inputs.every((input, index) => sameInput(input, b.inputs[index])) &&
    a.outputs.every(({ amount, script }, index) => {
      const other = b.outputs[index];
      return other !== undefined && amount === other.amount && equalBytes(script, other.script);
    })
  );
}

/** The transaction's id: double SHA-256 of it without its witness, internal order. */
export function txid(tx: Transaction): Uint8Array {
  return sha256(sha256(serializeTransaction(tx, { witness: false })));
}

/** What all outputs are worth together, in satoshi. */
export function totalOutput(tx: Transaction): bigint {
  return tx.outputs.reduce((sum, { amount }) => sum + amount, 0n);
}
