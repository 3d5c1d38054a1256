/**
 * How single values stand on hsmd's wire: big-endian, no padding, as Core Lightning's fromwire_* and towire_* have it.
 *
 * A `Codec<T>` reads and writes one type; `struct` and `array` build larger ones. Every failure is a `WireError` that
 * names the field and the offset. What is read are views of the message: copy what must outlive it.
 */

/** The other side's bytes are wrong. `path` is the field, innermost last; `offset` counts from the message's first byte. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly path: string;
  readonly problem: string;
  readonly offset: number;

  constructor(problem: string, offset: number, path = '') {
    super(`${path === '' ? '' : `${path}: `}${problem} (at byte ${offset})`);
    this.path = path;
    this.problem = problem;
    this.offset = offset;
  }

  /** The same error, seen from the structure around it. */
  within(field: string): WireError {
    const joint = this.path === '' || this.path.startsWith('[') ? '' : '.';
    return new WireError(this.problem, this.offset, `${field}${joint}${this.path}`);
  }
}

/** What a reader cannot know by itself: whether 33 bytes are a point on secp256k1. */
export interface CurveCheck {
  isPoint(compressed: Uint8Array): boolean;
}

/** For whoever only routes messages: takes every 33 bytes for a point. */
export const trustPoints: CurveCheck = { isPoint: () => true };

/** A cursor over one message. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly curve: CurveCheck;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array, curve: CurveCheck) {
    this.bytes = bytes;
    this.curve = curve;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Moves on by `length` bytes and returns where they began. */
  #advance(length: number): number {
    if (length > this.left) throw new WireError(`expected ${length} bytes, found ${this.left}`, this.at);
    const start = this.at;
    this.at += length;
    return start;
  }

  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.bytes.subarray(start, start + length);
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }
}

/** A message being written; it grows as needed. */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  /** `capacity` bytes fit without growing. */
  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  #room(length: number): number {
    const start = this.#length;
    if (start + length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(start + length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, start));
      this.#bytes.fill(0);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = start + length;
    return start;
  }

  put(bytes: Uint8Array): void {
    const start = this.#room(bytes.length);
    this.#bytes.set(bytes, start);
  }

  u8(value: number): void {
    inRange(value, 0xff);
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    inRange(value, 0xffff);
    const at = this.#room(2);
    this.#view.setUint16(at, value);
  }

  u32(value: number): void {
    inRange(value, 0xffffffff);
    const at = this.#room(4);
    this.#view.setUint32(at, value);
  }

  u64(value: bigint): void {
    if (value < 0n || value > 0xffffffffffffffffn) throw new RangeError(`u64 out of range: ${value}`);
    const at = this.#room(8);
    this.#view.setBigUint64(at, value);
  }

  /** The bytes written so far. The writer must not be used again. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

function inRange(value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) throw new RangeError(`expected 0 to ${max}, got ${value}`);
}

/** What a codec's values look like, for whoever wants to make some: the tests draw their messages from it. */
export type Shape =
  | { readonly kind: 'uint'; readonly bits: 8 | 16 | 32 | 64 }
  | { readonly kind: 'fixed'; readonly length: number }
  | {
      readonly kind:
        | 'bool'
        | 'octets'
        | 'wirestring'
        | 'point'
        | 'secret'
        | 'ecdsaSignature'
        | 'sighash'
        | 'side'
        | 'tx'
        | 'psbt';
    }
  | { readonly kind: 'array' | 'optional'; readonly item: Shape }
  | { readonly kind: 'struct'; readonly fields: readonly (readonly [name: string, Shape])[] }
  | { readonly kind: 'tlvs'; readonly records: readonly (readonly [name: string, Shape])[] };

/** Reads and writes values of one type. */
export interface Codec<T> {
  readonly shape: Shape;
  read(r: Reader): T;
  write(w: Writer, value: T): void;
}

/** The fields of a structure, in wire order. */
// biome-ignore lint/suspicious/noExplicitAny: the one bound under which fields of any type can be listed
export type Fields = { readonly [name: string]: Codec<any> };

/** The value that such fields hold. */
export type StructOf<F extends Fields> = { readonly [N in keyof F]: F[N] extends Codec<infer T> ? T : never };

/** Fields one after the other; a failure names the field. */
export function struct<const F extends Fields>(fields: F): Codec<StructOf<F>> {
  const entries = Object.entries(fields);
  return {
    shape: { kind: 'struct', fields: entries.map(([name, codec]) => [name, codec.shape]) },
    read(r) {
      const out: Record<string, unknown> = {};
      for (const [name, codec] of entries) out[name] = inField(name, () => codec.read(r));
      return out as StructOf<F>;
    },
    write(w, value) {
      for (const [name, codec] of entries) codec.write(w, value[name]);
    },
  };
}

/** Runs `read`, putting `field` in front of the path of what it throws. */
export function inField<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof WireError ? error.within(field) : error;
  }
}

export const u8: Codec<number> = { shape: { kind: 'uint', bits: 8 }, read: (r) => r.u8(), write: (w, v) => w.u8(v) };
export const u16: Codec<number> = {
  shape: { kind: 'uint', bits: 16 },
  read: (r) => r.u16(),
  write: (w, v) => w.u16(v),
};
export const u32: Codec<number> = {
  shape: { kind: 'uint', bits: 32 },
  read: (r) => r.u32(),
  write: (w, v) => w.u32(v),
};
export const u64: Codec<bigint> = {
  shape: { kind: 'uint', bits: 64 },
  read: (r) => r.u64(),
  write: (w, v) => w.u64(v),
};

/** One byte, 0 or 1; anything else is an error. */
export const bool: Codec<boolean> = {
  shape: { kind: 'bool' },
  read(r) {
    const value = r.u8();
    if (value > 1) throw new WireError(`expected 0 or 1, found ${value}`, r.at - 1);
    return value === 1;
  },
  write: (w, v) => w.u8(v ? 1 : 0),
};

/** Exactly `length` bytes. */
export function fixed(length: number): Codec<Uint8Array> {
  return {
    shape: { kind: 'fixed', length },
    read: (r) => r.take(length),
    write(w, v) {
      if (v.length !== length) throw new RangeError(`expected ${length} bytes, got ${v.length}`);
      w.put(v);
    },
  };
}

/** A u16 length and that many bytes. */
export const octets: Codec<Uint8Array> = {
  shape: { kind: 'octets' },
  read: (r) => r.take(r.u16()),
  write(w, v) {
    w.u16(v.length);
    w.put(v);
  },
};

/** A u16 count and that many items. */
export function array<T>(item: Codec<T>): Codec<readonly T[]> {
  return {
    shape: { kind: 'array', item: item.shape },
    read(r) {
      const count = r.u16();
      const out: T[] = [];
      for (let i = 0; i < count; i++) out.push(inField(`[${i}]`, () => item.read(r)));
      return out;
    },
    write(w, v) {
      w.u16(v.length);
      for (const value of v) item.write(w, value);
    },
  };
}

/** The CSV's `?type`: a bool, and the value if it is 1. */
export function optional<T>(item: Codec<T>): Codec<T | undefined> {
  return {
    shape: { kind: 'optional', item: item.shape },
    read: (r) => (bool.read(r) ? item.read(r) : undefined),
    write(w, v) {
      bool.write(w, v !== undefined);
      if (v !== undefined) item.write(w, v);
    },
  };
}

const text = { decode: new TextDecoder('utf-8'), encode: new TextEncoder() };

/** A zero-terminated string without control characters, kept as its raw bytes: hsmd hashes bytes, not characters. */
export const wirestring: Codec<Uint8Array> = {
  shape: { kind: 'wirestring' },
  read(r) {
    for (let i = r.at; i < r.bytes.length; i++) {
      const byte = r.bytes[i] ?? 0;
      if (byte === 0) {
        const value = r.bytes.subarray(r.at, i);
        r.at = i + 1;
        return value;
      }
      if (byte < 0x20) throw new WireError(`control character ${byte} in a string`, i);
    }
    throw new WireError('string without its terminating zero', r.at);
  },
  write(w, v) {
    if (v.some((byte) => byte < 0x20)) throw new RangeError('control character in a wirestring');
    w.put(v);
    w.u8(0);
  },
};

/** A wirestring's bytes for people. */
export function wirestringText(bytes: Uint8Array): string {
  return text.decode.decode(bytes);
}

/** A text as a wirestring's bytes. */
export function toWirestring(value: string): Uint8Array {
  return text.encode.encode(value);
}
