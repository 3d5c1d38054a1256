/**
 * One map of a PSBT: pairs of a key and a value up to an empty key. Reading checks each pair by its field's row, writing
 * puts them in libwally's order.
 */

import { equalBytes, toHex } from '../bytes.ts';
import { type CurveCheck, inField, WireError } from '../hsmd/codec.ts';
import type { PsbtPair } from './psbt.ts';
import { inputFields, type PsbtField } from './psbt_fields.ts';
import { type LeReader, type LeWriter, sizeLength } from './stream.ts';

/** The type of pairs that are kept without being understood; their `key` has its type in it. */
export const unknownType = 0x100;

export type FieldsByType = ReadonlyMap<number, readonly [name: string, field: PsbtField]>;

export function byType(fields: { readonly [name: string]: PsbtField }): FieldsByType {
  return new Map(Object.entries(fields).map(([name, field]) => [field.type, [name, field]]));
}

/** Pairs up to the empty key that ends a map. */
export function readMap(r: LeReader, types: FieldsByType, curve: CurveCheck): readonly PsbtPair[] {
  const pairs: PsbtPair[] = [];
  let seen: Set<string> | undefined;
  for (;;) {
    const keyAt = r.at;
    const key = r.part(r.size());
    if (key.left === 0) return pairs;
    const keyStart = key.at;
    const type = key.size();
    const [name, field] = types.get(type) ?? ['unknown field'];
    const pair = inField(name, () => {
      const value = r.part(r.size());
      if (field !== undefined) return readPair(field, key, value, curve);
      if (value.left === 0) throw new WireError('expected a value, found none', value.at);
      return { type: unknownType, key: r.bytes.subarray(keyStart, key.end), value: value.take(value.left) };
    });
    if (pairs.length >= 16) seen ??= new Set(pairs.map(identity));
    const repeated = seen === undefined ? pairs.some((other) => sameKey(other, pair)) : seen.has(identity(pair));
    if (repeated) throw new WireError('the same key twice', keyAt, name);
    seen?.add(identity(pair));
    pairs.push(pair);
  }
}

function sameKey(a: PsbtPair, b: PsbtPair): boolean {
  return a.type === b.type && equalBytes(a.key, b.key);
}

/** The same as a text, for maps with so many pairs that comparing each with each would take long. */
function identity({ type, key }: PsbtPair): string {
  return `${type}/${toHex(key)}`;
}

function readPair(field: PsbtField, key: LeReader, value: LeReader, curve: CurveCheck): PsbtPair {
  if (field.key === undefined) key.finish();
  const keyAt = key.at;
  const keyBytes = key.take(key.left);
  const keyProblem = field.key?.(keyBytes, curve);
  if (keyProblem !== undefined) throw new WireError(`key: ${keyProblem}`, keyAt);
  const valueAt = value.at;
  const valueBytes = field.rewrite?.(value) ?? value.take(value.left);
  const problem = field.value?.(valueBytes, keyBytes);
  if (problem !== undefined) throw new WireError(problem, valueAt);
  return { type: field.type, key: keyBytes, value: valueBytes };
}

/** Preimages keep their own order, whatever their hashes; everything else goes by type, unknown pairs last. */
function rank({ type }: PsbtPair): number {
  return type > inputFields.ripemd160.type && type <= inputFields.hash256.type ? inputFields.ripemd160.type : type;
}

export function writeMap(w: LeWriter, pairs: readonly PsbtPair[]): void {
  for (const pair of pairs.toSorted((a, b) => rank(a) - rank(b))) writePair(w, pair);
  w.u8(0);
}

export function writePair(w: LeWriter, { type, key, value }: PsbtPair): void {
  if (type === unknownType) w.sized(key);
  else {
    w.size(sizeLength(type) + key.length);
    w.size(type);
    w.put(key);
  }
  w.sized(value);
}
