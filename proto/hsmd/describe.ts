/** Messages for people: one line a field, hex for bytes, never a secret. */

import { toHex } from '../bytes.ts';
import { Secret } from '../secret.ts';
import { type Call, calls, hsmdName, initReplyFailure, type Message } from './calls.ts';
import { trustPoints, WireError } from './codec.ts';
import { callOf, decodeMessage, messageType } from './message.ts';

/** A field's path and its value as text. */
export type FieldLine = readonly [path: string, value: string];

/** The name of a request, as hsmd's own log has it. */
export function requestName(bytes: Uint8Array): string {
  const name = callOf(bytes);
  return name === undefined ? `type ${messageType(bytes) ?? 'none'}` : hsmdName(name);
}

/** The fields of a request or of the reply to `call`; one line that says what is wrong where the bytes do not decode. */
export function describe(bytes: Uint8Array, call: Call | undefined, kind: 'request' | 'reply'): readonly FieldLine[] {
  const candidates: readonly (Message | undefined)[] =
    call === undefined ? [] : kind === 'request' ? [calls[call].request] : [calls[call].reply, initReplyFailure];
  const message = candidates.find((candidate) => candidate?.number === messageType(bytes));
  if (message === undefined)
    return [
      ['type', `${messageType(bytes) ?? 'none'}`],
      ['bytes', toHex(bytes)],
    ];
  try {
    return [['type', `${message.number}`], ...lines('', decodeMessage(message, bytes, trustPoints))];
  } catch (error: unknown) {
    if (error instanceof WireError)
      return [
        ['undecodable', error.message],
        ['bytes', toHex(bytes)],
      ];
    throw error;
  }
}

function lines(path: string, value: unknown): readonly FieldLine[] {
  if (value instanceof Secret) return [[path, '[secret]']];
  if (value instanceof Uint8Array) return [[path, toHex(value)]];
  if (Array.isArray(value)) return value.flatMap((item, i) => lines(`${path}[${i}]`, item));
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([name, inner]) => lines(path === '' ? name : `${path}.${name}`, inner));
  return value === undefined ? [] : [[path, String(value)]];
}

/** Which fields of two messages differ; both as text, '(absent)' where one lacks the field. */
export function differences(
  ours: readonly FieldLine[],
  theirs: readonly FieldLine[],
): readonly { readonly path: string; readonly ours: string; readonly theirs: string }[] {
  const [a, b] = [new Map(ours), new Map(theirs)];
  return [...new Set([...a.keys(), ...b.keys()])]
    .map((path) => ({ path, ours: a.get(path) ?? '(absent)', theirs: b.get(path) ?? '(absent)' }))
    .filter((row) => row.ours !== row.theirs);
}
