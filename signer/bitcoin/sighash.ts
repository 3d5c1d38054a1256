/**
 * What a signature of a transaction's input signs: before segwit, BIP 143, and BIP 341's key path, as libwally's
 * wally_tx_get_input_signature_hash has it. A hash is 32 bytes, an amount is in satoshi.
 */

import { LeWriter } from '../../proto/bitcoin/stream.ts';
import { maxMoney, type Transaction, type TxInput, type TxOutput, writeOutput } from '../../proto/bitcoin/tx.ts';
import { BadRequest } from '../context.ts';
import { sha256, sha256d, taggedHash } from '../crypto/hash.ts';
import { once } from '../once.ts';
import { isP2tr } from './script.ts';

export const sighash = { default: 0x00, all: 0x01, none: 0x02, single: 0x03, anyoneCanPay: 0x80 } as const;

const sighashTypes: ReadonlySet<number> = new Set([0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83]);

interface Scope {
  readonly input: TxInput;
  readonly anyoneCanPay: boolean;
  readonly outputs: 'all' | 'none' | 'single';
}

/** What `type` covers. Throws where libwally makes no hash: the caller's transaction or sighash type cannot be signed. */
function scopeOf(tx: Transaction, index: number, type: number): Scope {
  const input = tx.inputs[index];
  if (input === undefined) throw new BadRequest(`expected an input below ${tx.inputs.length}, got ${index}`);
  if (tx.outputs.length === 0) throw new BadRequest('expected a transaction with outputs, got none');
  if (!sighashTypes.has(type)) throw new BadRequest(`unknown sighash type ${type}`);
  const base = type & 0x03;
  const outputs = base === sighash.none ? 'none' : base === sighash.single ? 'single' : 'all';
  return { input, anyoneCanPay: type >= sighash.anyoneCanPay, outputs };
}

/** Single SHA-256 of items in a row, as BIP 341 has them; BIP 143 hashes these once more. */
function hashEach<T>(items: readonly T[], write: (w: LeWriter, item: T) => void): Uint8Array {
  const w = new LeWriter();
  for (const item of items) write(w, item);
  return sha256(w.finish());
}

function writeOutpoint(w: LeWriter, { txid, vout }: TxInput): void {
  w.put(txid);
  w.u32(vout);
}

/** All inputs of a transaction share it: computed once where there are several. */
function shared(hash: (tx: Transaction) => Uint8Array): (tx: Transaction) => Uint8Array {
  const known = once(hash);
  return (tx) => (tx.inputs.length > 1 ? known(tx) : hash(tx));
}

const hashPrevouts = shared((tx) => hashEach(tx.inputs, writeOutpoint));
const hashSequences = shared((tx) => hashEach(tx.inputs, (w, { sequence }) => w.u32(sequence)));
const hashOutputs = shared((tx) => hashEach(tx.outputs, writeOutput));

const zeros = new Uint8Array(32);

/** Before segwit: `script` is the scriptPubKey, or P2SH's redeem script. SINGLE without an output signs the number 1. */
export function legacySighash(tx: Transaction, index: number, script: Uint8Array, type: number): Uint8Array {
  const { anyoneCanPay, outputs } = scopeOf(tx, index, type);
  if (outputs === 'single' && index >= tx.outputs.length) return Uint8Array.of(1, ...zeros.subarray(1));
  const w = new LeWriter();
  w.u32(tx.version);
  w.size(anyoneCanPay ? 1 : tx.inputs.length);
  for (const [i, input] of tx.inputs.entries()) {
    if (anyoneCanPay && i !== index) continue;
    writeOutpoint(w, input);
    w.sized(i === index ? script : zeros.subarray(32));
    w.u32(outputs !== 'all' && i !== index ? 0 : input.sequence);
  }
  const covered = outputs === 'all' ? tx.outputs : outputs === 'none' ? [] : tx.outputs.slice(0, index + 1);
  w.size(covered.length);
  for (const [i, output] of covered.entries()) writeOutput(w, outputs === 'single' && i !== index ? blank : output);
  w.u32(tx.locktime);
  w.u32(type);
  return sha256d(w.finish());
}

const blank: TxOutput = { amount: 0xffffffffffffffffn, script: new Uint8Array() };

/** BIP 143; `scriptCode` is the witness script, or P2PKH's script for P2WPKH. */
export function segwitSighash(
  tx: Transaction,
  index: number,
  scriptCode: Uint8Array,
  amount: bigint,
  type: number,
): Uint8Array {
  const { input, anyoneCanPay, outputs } = scopeOf(tx, index, type);
  if (amount > maxMoney) throw new BadRequest(`expected at most ${maxMoney} satoshi, got ${amount}`);
  const w = new LeWriter(320);
  w.u32(tx.version);
  w.put(anyoneCanPay ? zeros : sha256(hashPrevouts(tx)));
  w.put(anyoneCanPay || outputs !== 'all' ? zeros : sha256(hashSequences(tx)));
  writeOutpoint(w, input);
  w.sized(scriptCode);
  w.u64(amount);
  w.u32(input.sequence);
  const single = outputs === 'single' ? tx.outputs[index] : undefined;
  if (outputs === 'all') w.put(sha256(hashOutputs(tx)));
  else w.put(single === undefined ? zeros : sha256(hashEach([single], writeOutput)));
  w.u32(tx.locktime);
  w.u32(type);
  return sha256d(w.finish());
}

/**
 * BIP 341 for the key path, without annex. `spent` are the outputs that the inputs spend, in order: all of them must be
 * known, unless the type has ANYONECANPAY, which needs this input's alone.
 */
export function taprootSighash(
  tx: Transaction,
  index: number,
  spent: readonly (TxOutput | undefined)[],
  type: number,
): Uint8Array {
  const { input, anyoneCanPay, outputs } = scopeOf(tx, index, type);
  const single = outputs === 'single' ? tx.outputs[index] : undefined;
  if (outputs === 'single' && single === undefined) throw new BadRequest(`no output ${index} for SIGHASH_SINGLE`);
  const own = spentScript(spent, index);
  if (!isP2tr(own.script)) throw new BadRequest(`input ${index} does not spend a taproot output`);
  const w = new LeWriter(320);
  w.u8(0);
  w.u8(type);
  w.u32(tx.version);
  w.u32(tx.locktime);
  if (!anyoneCanPay) {
    const all = tx.inputs.map((_, i) => spentScript(spent, i));
    w.put(hashPrevouts(tx));
    w.put(hashEach(all, (to, { amount }) => to.u64(amount)));
    w.put(hashEach(all, (to, { script }) => to.sized(script)));
    w.put(hashSequences(tx));
  }
  if (outputs === 'all') w.put(hashOutputs(tx));
  w.u8(0);
  if (anyoneCanPay) {
    writeOutpoint(w, input);
    writeOutput(w, own);
    w.u32(input.sequence);
  } else w.u32(index);
  if (single !== undefined) w.put(hashEach([single], writeOutput));
  return taggedHash(['TapSighash'], w.finish());
}

function spentScript(spent: readonly (TxOutput | undefined)[], index: number): TxOutput {
  const output = spent[index];
  if (output === undefined || output.script.length === 0)
    throw new BadRequest(`the output that input ${index} spends is not known`);
  return output;
}
