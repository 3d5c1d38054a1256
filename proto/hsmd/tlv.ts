/** A TLV stream at the end of a message (BOLT 1): BigSize type, BigSize length, value; types strictly increasing. */

import { type Codec, type Fields, inField, Reader, type StructOf, WireError, Writer } from './codec.ts';

/** Type number and codec of each known record. */
// biome-ignore lint/suspicious/noExplicitAny: the same bound as codec.ts's Fields
export type TlvFields = { readonly [name: string]: readonly [number: number, codec: Codec<any>] };

type Records<T extends TlvFields> = Partial<StructOf<{ [N in keyof T]: T[N][1] } & Fields>>;
export type TlvsOf<T extends TlvFields> = { readonly [N in keyof T]?: Records<T>[N] };

function readBigSize(r: Reader): bigint {
  const at = r.at;
  const first = r.u8();
  if (first < 0xfd) return BigInt(first);
  const [value, least] =
    first === 0xfd ? [BigInt(r.u16()), 0xfdn] : first === 0xfe ? [BigInt(r.u32()), 0x10000n] : [r.u64(), 0x100000000n];
  if (value < least) throw new WireError(`BigSize ${value} is not in its shortest form`, at);
  return value;
}

function writeBigSize(w: Writer, value: number): void {
  if (value < 0xfd) w.u8(value);
  else if (value <= 0xffff) {
    w.u8(0xfd);
    w.u16(value);
  } else {
    w.u8(0xfe);
    w.u32(value);
  }
}

/** Known records by name; an unknown even type is an error, an unknown odd one is skipped (BOLT 1, "it's ok to be odd"). */
export function tlvs<const T extends TlvFields>(fields: T): Codec<TlvsOf<T>> {
  const byNumber = new Map(Object.entries(fields).map(([name, [number, codec]]) => [BigInt(number), { name, codec }]));
  return {
    shape: { kind: 'tlvs', records: Object.entries(fields).map(([name, [, codec]]) => [name, codec.shape]) },
    read(r) {
      const out: Record<string, unknown> = {};
      let previous = -1n;
      while (r.left > 0) {
        const at = r.at;
        const type = readBigSize(r);
        if (type <= previous) throw new WireError(`TLV type ${type} after ${previous}`, at);
        previous = type;
        const length = readBigSize(r);
        if (length > BigInt(r.left)) throw new WireError(`TLV of ${length} bytes, ${r.left} left`, r.at);
        const value = new Reader(r.take(Number(length)), r.curve);
        const known = byNumber.get(type);
        if (known !== undefined) {
          out[known.name] = inField(known.name, () => {
            const parsed: unknown = known.codec.read(value);
            if (value.left > 0) throw new WireError(`${value.left} bytes too many`, value.at);
            return parsed;
          });
        } else if (type % 2n === 0n) throw new WireError(`unknown even TLV type ${type}`, at);
      }
      return out as TlvsOf<T>;
    },
    write(w, value) {
      for (const [name, [number, codec]] of Object.entries(fields)) {
        const present = (value as Record<string, unknown>)[name];
        if (present === undefined) continue;
        const body = new Writer();
        codec.write(body, present);
        const bytes = body.finish();
        writeBigSize(w, number);
        writeBigSize(w, bytes.length);
        w.put(bytes);
      }
    },
  };
}
