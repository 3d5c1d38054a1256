/** State as bytes: JSON, with what JSON lacks (bigint, bytes, Map) as an object of one telling key. */

import { fromHex, toHex, utf8 } from '../../proto/bytes.ts';

/**
 * What an object was written as. State is immutable, and one request changes little of a channel: the rest is not
 * written out again.
 */
const written = new WeakMap<object, string>();

function textOf(value: unknown): string {
  if (typeof value === 'bigint') return `{"$int":"${value}"}`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const known = written.get(value);
  if (known !== undefined) return known;
  const text = textOfObject(value);
  written.set(value, text);
  return text;
}

function textOfObject(value: object): string {
  if (value instanceof Uint8Array) return `{"$hex":"${toHex(value)}"}`;
  if (value instanceof Map)
    return `{"$map":[${[...value].map(([key, inner]) => `[${JSON.stringify(key)},${textOf(inner)}]`).join()}]}`;
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`;
  let fields = '';
  for (const [name, inner] of Object.entries(value))
    if (inner !== undefined) fields += `${fields === '' ? '' : ','}${JSON.stringify(name)}:${textOf(inner)}`;
  return `{${fields}}`;
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
  return utf8(textOf(value));
}

/** What `encodeState` wrote. The store has checked that these are its own bytes; their shape is the caller's word. */
export function decodeState<T extends object>(bytes: Uint8Array): T {
  return fromJson(JSON.parse(new TextDecoder().decode(bytes))) as T;
}
