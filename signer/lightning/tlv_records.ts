/**
 * A TLV stream (BOLT 1) as raw records: invoices of BOLT 12 are hashed record by record, known or not, so none may be
 * skipped or written anew.
 */

import { WireError } from '../../proto/hsmd/codec.ts';

export interface TlvRecord {
  readonly type: bigint;
  /** The type as it stands there, 1 to 9 bytes. */
  readonly typeBytes: Uint8Array;
  readonly value: Uint8Array;
  /** Type, length and value. */
  readonly bytes: Uint8Array;
}

/** The records of a whole stream. Throws WireError where types do not increase or a number is not in its shortest form. */
export function readRecords(stream: Uint8Array): readonly TlvRecord[] {
  const records: TlvRecord[] = [];
  let previous = -1n;
  for (let at = 0; at < stream.length; ) {
    const type = readBigSize(stream, at);
    if (type.value <= previous) throw new WireError(`TLV type ${type.value} after ${previous}`, at);
    const length = readBigSize(stream, type.end);
    const end = length.end + Number(length.value);
    if (end > stream.length)
      throw new WireError(`TLV of ${length.value} bytes, ${stream.length - length.end} left`, at);
    records.push({
      type: type.value,
      typeBytes: stream.subarray(at, type.end),
      value: stream.subarray(length.end, end),
      bytes: stream.subarray(at, end),
    });
    previous = type.value;
    at = end;
  }
  return records;
}

function readBigSize(bytes: Uint8Array, at: number): { readonly value: bigint; readonly end: number } {
  const first = bytes[at] ?? 0;
  const more = first < 0xfd ? 0 : 2 ** (first - 0xfc);
  const end = at + 1 + more;
  if (end > bytes.length)
    throw new WireError(`expected a BigSize of ${1 + more} bytes, found ${bytes.length - at}`, at);
  let value = more === 0 ? BigInt(first) : 0n;
  for (const byte of bytes.subarray(at + 1, end)) value = (value << 8n) | BigInt(byte);
  const least = more === 0 ? 0n : more === 2 ? 0xfdn : 1n << BigInt(4 * more);
  if (value < least) throw new WireError(`BigSize ${value} is not in its shortest form`, at);
  return { value, end };
}
