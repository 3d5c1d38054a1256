/**
 * Script templates: opcodes with named pushes between them. A template can be assembled into a script, and a script that
 * somebody shows us can be read against one, which is how a mismatch is told by name.
 */

import { equalBytes } from '../../proto/bytes.ts';

/** What the pushes of Lightning's scripts mean. Keys are named from the owner of the transaction. */
export type ScriptField =
  | 'revocation'
  | 'delay'
  | 'ownerDelayed'
  | 'otherPayment'
  | 'csv'
  | 'funding'
  | 'ownerHtlc'
  | 'otherHtlc'
  | 'paymentHash'
  | 'cltvExpiry';

export interface FieldPush {
  readonly field: ScriptField;
  /** With the length in front, as it stands in the script. */
  readonly push: Uint8Array;
}

/** An opcode (or another fixed byte), or a push with a name. */
export type ScriptTemplate = readonly (number | FieldPush)[];

/** A push of up to 75 bytes. */
export function pushBytes(field: ScriptField, bytes: Uint8Array): FieldPush {
  const push = new Uint8Array(1 + bytes.length);
  push[0] = bytes.length;
  push.set(bytes, 1);
  return { field, push };
}

/** A push of a number of at least 0 in its shortest form: OP_0 to OP_16, or little-endian with room for the sign bit. */
export function pushNumber(field: ScriptField, value: number): FieldPush {
  if (value <= 16) return { field, push: Uint8Array.of(value === 0 ? 0 : 0x50 + value) };
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.push(rest & 0xff);
  if ((bytes.at(-1) ?? 0) & 0x80) bytes.push(0);
  return pushBytes(field, Uint8Array.from(bytes));
}

/** The number that a push puts on the stack, if it is one from 0 to 2^32 - 1 in its shortest form. */
export function pushedNumber(push: Uint8Array): number | undefined {
  let value = 0;
  if (push.length > 6) return undefined;
  if (push.length === 1) value = push[0] === 0 ? 0 : (push[0] ?? 0) - 0x50;
  else for (let i = push.length - 1; i > 0; i--) value = value * 256 + (push[i] ?? 0);
  if (value < 0 || value > 0xffffffff) return undefined;
  return equalBytes(pushNumber('delay', value).push, push) ? value : undefined;
}

/** The script itself. */
export function assemble(template: ScriptTemplate): Uint8Array {
  let length = 0;
  for (const piece of template) length += typeof piece === 'number' ? 1 : piece.push.length;
  const script = new Uint8Array(length);
  let at = 0;
  for (const piece of template) {
    if (typeof piece === 'number') script[at++] = piece;
    else {
      script.set(piece.push, at);
      at += piece.push.length;
    }
  }
  return script;
}

/** How long the push that starts with this byte is; undefined for what no field is written as. */
function pushLength(first: number | undefined): number | undefined {
  if (first === undefined) return undefined;
  if (first >= 0x01 && first <= 0x4b) return 1 + first;
  return first === 0x00 || (first >= 0x51 && first <= 0x60) ? 1 : undefined;
}

/** Keys and hashes have one length; a number's depends on its value. */
const shortestKeyPush = 21;

/** The pushes that stand in `script` where the template has its fields; undefined where the script has another shape. */
export function readScript(
  template: ScriptTemplate,
  script: Uint8Array,
): ReadonlyMap<ScriptField, Uint8Array> | undefined {
  const found = new Map<ScriptField, Uint8Array>();
  let at = 0;
  for (const piece of template) {
    if (typeof piece === 'number') {
      if (script[at++] !== piece) return undefined;
      continue;
    }
    const length = pushLength(script[at]);
    if (length === undefined || at + length > script.length) return undefined;
    if (length !== piece.push.length && Math.max(length, piece.push.length) >= shortestKeyPush) return undefined;
    found.set(piece.field, script.subarray(at, at + length));
    at += length;
  }
  return at === script.length ? found : undefined;
}

/** The fields in which a script of the template's shape differs from it; undefined where it has another shape. */
export function differingFields(template: ScriptTemplate, script: Uint8Array): readonly ScriptField[] | undefined {
  const found = readScript(template, script);
  if (found === undefined) return undefined;
  const fields = template.filter((piece): piece is FieldPush => typeof piece !== 'number');
  return fields.filter(({ field, push }) => !equalBytes(found.get(field) ?? push, push)).map(({ field }) => field);
}
