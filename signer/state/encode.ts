/** State as bytes: JSON, with what JSON lacks (bigint, bytes, Map) as an object of one telling key. */

import { fromHex, toHex, utf8 } from '../../proto/bytes.ts';

function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return { $int: value.toString() };
  if (value instanceof Uint8Array) return { $hex: toHex(value) };
  if (value instanceof Map) return { $map: [...value].map(([key, inner]) => [key, toJson(inner)]) };
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, toJson(inner)]));
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

/** Fields that are undefined are left out, and undefined again when read. */
export function encodeState(value: object): Uint8Array {
  return utf8(JSON.stringify(toJson(value)));
}

/** What `encodeState` wrote. The store has checked that these are its own bytes; their shape is the caller's word. */
export function decodeState<T extends object>(bytes: Uint8Array): T {
  return fromJson(JSON.parse(new TextDecoder().decode(bytes))) as T;
}
