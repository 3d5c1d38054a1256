/** State as bytes: JSON, with what JSON lacks (bigint, bytes, Map) as an object of one telling key. */

import { fromHex, toHex, utf8 } from '../../proto/bytes.ts';

/**
 * What an object was written as. State is immutable, and one request changes little of a channel: the rest is not
 * written out again.
 */
const written = new WeakMap<object, string>();
/** What keeps its place while things change around it stands this near the top: setups, commitments. */
const rememberedDepth = 2;

function textOf(value: unknown, depth: number): string {
  if (typeof value === 'bigint') return `{"$int":"${value}"}`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (value instanceof Uint8Array) return `{"$hex":"${toHex(value)}"}`;
  if (depth > rememberedDepth) return textOfObject(value, depth);
  const known = written.get(value);
  if (known !== undefined) return known;
  const text = textOfObject(value, depth);
  written.set(value, text);
  return text;
}

function textOfObject(value: object, depth: number): string {
  const inside = (inner: unknown) => textOf(inner, depth + 1);
  if (value instanceof Map)
    return `{"$map":[${[...value].map(([key, inner]) => `[${JSON.stringify(key)},${inside(inner)}]`).join()}]}`;
  if (Array.isArray(value)) return `[${value.map(inside).join()}]`;
  // Names are those of our own types: none has a character that JSON writes otherwise.
  const fields = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${fields.map(([name, inner]) => `"${name}":${inside(inner)}`).join()}}`;
}

function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value !== 'object' || value === null) return value;
  if ('$int' in value) return BigInt(String(value.$int));
  if ('$hex' in value) return fromHex(String(value.$hex));
  if ('$map' in value && Array.isArray(value.$map))
    return new Map(value.$map.map(([key, inner]: [string, unknown]) => [key, fromJson(inner)]));
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fromJson(inner)]));
}

/** Fields that are undefined are left out, and undefined again when read. What was encoded must not change afterwards. */
export function encodeState(value: object): Uint8Array {
  return utf8(textOfObject(value, 0));
}

/** What `encodeState` wrote. The store has checked that these are its own bytes; their shape is the caller's word. */
export function decodeState<T extends object>(bytes: Uint8Array): T {
  return fromJson(JSON.parse(new TextDecoder().decode(bytes))) as T;
}
