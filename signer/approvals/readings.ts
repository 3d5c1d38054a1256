/**
 * As which requests a client could have meant some bytes. Greenlight's stock clients sign the bytes of a request but not
 * its URI, so a host can present what was signed for one method as the request of another: the bytes of `Decode` with an
 * invoice are those of `Pay` with it. Protobuf decoders are of no help, they pass over fields they do not know; but a
 * client only ever writes fields its type has, and none of those that must be there is missing or of the wrong shape.
 * By that measure the methods are found here; where it is in doubt, a reading counts.
 */

import { WireError } from '../../proto/hsmd/codec.ts';
import { type ProtoField, readFields, textOf } from './protobuf.ts';
import { clnRequests, greenlightRequests, nestedTypes } from './request_types.ts';

interface FieldType {
  readonly kinds: readonly string[];
  readonly repeated: boolean;
  readonly required: boolean;
}

type MessageType = ReadonlyMap<number, FieldType>;

function messageType(row: string): MessageType {
  const fields = new Map<number, FieldType>();
  for (const [, number = '', star, kind = '', mark] of row.matchAll(/(\d+)(\*?)(\w+)(!?)/g)) {
    const before = fields.get(Number(number));
    fields.set(Number(number), {
      kinds: [...(before?.kinds ?? []), kind],
      repeated: star !== '',
      required: mark !== '',
    });
  }
  return fields;
}

const nested = new Map(Object.entries(nestedTypes).map(([name, row]) => [name, messageType(row)]));
const requests = new Map([
  ...Object.entries(clnRequests).map(([method, row]) => [`/cln.Node/${method}`, messageType(row)] as const),
  ...Object.entries(greenlightRequests).map(
    ([method, row]) => [`/greenlight.Node/${method}`, messageType(row)] as const,
  ),
]);

/** The URIs of all requests that a client could have written as these bytes. Throws WireError where they are no message. */
export function readingsOf(payload: Uint8Array): readonly string[] {
  const fields = readFields(payload);
  return [...requests].filter(([, type]) => isOf(type, fields)).map(([uri]) => uri);
}

function isOf(type: MessageType, fields: readonly ProtoField[]): boolean {
  const seen = new Set<number>();
  for (const field of fields) {
    const expected = type.get(field.number);
    if (expected === undefined || (seen.has(field.number) && !expected.repeated)) return false;
    if (!expected.kinds.some((kind) => fits(kind, expected.repeated, field))) return false;
    seen.add(field.number);
  }
  return [...type].every(([number, { required }]) => !required || seen.has(number));
}

/** BOLT 4: a payment's; messages may have longer ones. */
const onionLength = 1366;

/** How texts and bytes of a kind look. */
const looks: Readonly<Record<string, (value: Uint8Array) => boolean>> = {
  b: () => true,
  p: (value) => value.length === 33 && (value[0] === 2 || value[0] === 3),
  h: (value) => value.length === 32,
  n: (value) => value.length >= onionLength,
  s: (value) => textOf(value) !== undefined && !value.some(isControl),
  i: (value) => isInvoice(textOf(value)),
  o: (value) => isOffer(textOf(value)),
  t: (value) => isInvoice(textOf(value)) || isOffer(textOf(value)),
  k: (value) => /^(all|[0-9a-fx:/]+)$/i.test(textOf(value) ?? ''),
  q: (value) => /^(any|[0-9.]+[a-z]*)$/i.test(textOf(value) ?? ''),
  x: (value) => (textOf(value) ?? '').startsWith('cHNi'),
};

/** Nobody types control characters other than tab and line ends, but nearly every nested message is full of them. */
function isControl(byte: number): boolean {
  return (byte < 0x20 && ![0x09, 0x0a, 0x0d].includes(byte)) || byte === 0x7f;
}

function isInvoice(text: string | undefined): boolean {
  return /^(lightning:)?ln/i.test(text ?? '');
}

function isOffer(text: string | undefined): boolean {
  return /^(lightning:)?ln[or]1|@/i.test(text ?? '');
}

function fits(kind: string, repeated: boolean, field: ProtoField): boolean {
  if (field.wire === 'varint') return kind === 'v';
  if (field.wire !== 'bytes') return kind === (field.wire === 'fixed64' ? 'd' : 'f');
  // Numbers that repeat may stand together as one field of bytes.
  if (kind === 'v' || kind === 'd' || kind === 'f') return repeated;
  const inner = nested.get(kind);
  return inner === undefined ? (looks[kind]?.(field.value) ?? false) : isMessageOf(inner, field.value);
}

function isMessageOf(type: MessageType, bytes: Uint8Array): boolean {
  try {
    return isOf(type, readFields(bytes));
  } catch (error: unknown) {
    if (error instanceof WireError) return false;
    throw error;
  }
}
