/**
 * Protobuf's wire format, read by hand: of a client's request only a few fields matter here, but it matters which fields
 * stand there at all, whether they are known, and that no byte can be read two ways. So this is stricter than a decoder:
 * shortest varints only, no groups, and nobody merges what is repeated.
 */

import { WireError } from '../../proto/hsmd/codec.ts';

export type ProtoField =
  | { readonly number: number; readonly wire: 'varint'; readonly value: bigint }
  | { readonly number: number; readonly wire: 'fixed64' | 'fixed32' | 'bytes'; readonly value: Uint8Array };

const wires = ['varint', 'fixed64', 'bytes', undefined, undefined, 'fixed32'] as const;
const maxFieldNumber = 2 ** 29 - 1;

/** The fields of a message in the order they stand there. Throws WireError. */
export function readFields(bytes: Uint8Array): readonly ProtoField[] {
  const fields: ProtoField[] = [];
  let at = 0;
  const varint = (): bigint => {
    const start = at;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new WireError('a varint that runs past the end', start);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if ((byte === 0 && shift > 0n) || value >= 1n << 64n)
        throw new WireError('a varint that is not in its shortest form or above 64 bits', start);
      return value;
    }
    throw new WireError('a varint of more than ten bytes', start);
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw new WireError(`expected ${length} bytes, found ${bytes.length - at}`, at);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const number = Number(tag >> 3n);
    const wire = wires[Number(tag & 7n)];
    if (wire === undefined || number < 1 || number > maxFieldNumber)
      throw new WireError(`no field has the tag ${tag}`, start);
    if (wire === 'varint') fields.push({ number, wire, value: varint() });
    else fields.push({ number, wire, value: take(wire === 'fixed64' ? 8 : wire === 'fixed32' ? 4 : Number(varint())) });
  }
  return fields;
}

/** A message whose fields can be asked for; those of another wire type than asked for count as absent. */
export interface ProtoMessage {
  /** A varint; a field that stands there without being asked for so has no default. */
  number(field: number): bigint | undefined;
  bytes(field: number): Uint8Array | undefined;
  text(field: number): string | undefined;
  double(field: number): number | undefined;
  float(field: number): number | undefined;
  message(field: number): ProtoMessage | undefined;
  /** Every message of a repeated field. */
  messages(field: number): readonly ProtoMessage[];
}

/** Throws WireError where the bytes are no message; `messages` and `message` do so for what they contain. */
export function readMessage(bytes: Uint8Array): ProtoMessage {
  const fields = readFields(bytes);
  const find = (number: number, wire: ProtoField['wire']): Uint8Array | undefined => {
    const found = fields.find((field) => field.number === number && field.wire === wire);
    return typeof found?.value === 'bigint' ? undefined : found?.value;
  };
  const view = (value: Uint8Array | undefined) => value && new DataView(value.buffer, value.byteOffset, value.length);
  return {
    number: (number) => {
      const found = fields.find((field) => field.number === number);
      return typeof found?.value === 'bigint' ? found.value : undefined;
    },
    bytes: (number) => find(number, 'bytes'),
    text: (number) => {
      const value = find(number, 'bytes');
      return value && textOf(value);
    },
    double: (number) => view(find(number, 'fixed64'))?.getFloat64(0, true),
    float: (number) => view(find(number, 'fixed32'))?.getFloat32(0, true),
    message: (number) => {
      const value = find(number, 'bytes');
      return value && readMessage(value);
    },
    messages: (number) =>
      fields.flatMap((field) => (field.number === number && field.wire === 'bytes' ? [readMessage(field.value)] : [])),
  };
}

/** Bytes as UTF-8; undefined where they are not. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
