/**
 * How single values stand in Bitcoin's own formats: little-endian, lengths as "compact size" integers of one, three,
 * five or nine bytes. Transactions and PSBTs are read and written with these two cursors; hsmd's messages around them
 * are big-endian and have theirs in hsmd/codec.ts.
 */

import { WireError } from '../hsmd/codec.ts';

/** Reads part of a byte string; offsets in errors count from the string's first byte. */
export class LeReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;
  /** Whether every compact size so far was written in its shortest form. */
  canonical = true;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

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

  /** A reader of the next `length` bytes, which this one skips. */
  part(length: number): LeReader {
    const start = this.#advance(length);
    return new LeReader(this.bytes, start, start + length);
  }

  u8(): number {
    return this.bytes[this.#advance(1)] ?? 0;
  }

  u16(): number {
    const at = this.#advance(2);
    return (this.bytes[at] ?? 0) | ((this.bytes[at + 1] ?? 0) << 8);
  }

  u32(): number {
    return (this.u16() | (this.u16() << 16)) >>> 0;
  }

  u64(): bigint {
    const low = this.u32();
    return (BigInt(this.u32()) << 32n) | BigInt(low);
  }

  /** A compact size. Above 2^53 the number is rounded, which is still more than any length or count can be. */
  size(): number {
    const first = this.u8();
    if (first < 0xfd) return first;
    const value = first === 0xfd ? this.u16() : first === 0xfe ? this.u32() : Number(this.u64());
    if (value < (first === 0xfd ? 0xfd : first === 0xfe ? 0x10000 : 0x100000000)) this.canonical = false;
    return value;
  }

  /** A compact size and that many bytes. */
  sized(): Uint8Array {
    return this.take(this.size());
  }

  /** Fails where bytes are left. */
  finish(): void {
    if (this.left > 0) throw new WireError(`${this.left} bytes too many`, this.at);
  }
}

/** How many bytes a compact size takes. */
export function sizeLength(size: number): number {
  return size < 0xfd ? 1 : size < 0x10000 ? 3 : size < 0x100000000 ? 5 : 9;
}

/** Writes into a buffer that grows as needed. */
export class LeWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  #room(length: number): number {
    const start = this.#length;
    const needed = start + length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, start));
      this.#bytes = larger;
    }
    this.#length = needed;
    return start;
  }

  put(bytes: Uint8Array): void {
    const start = this.#room(bytes.length);
    this.#bytes.set(bytes, start);
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
  }

  u32(value: number): void {
    this.u16(value & 0xffff);
    this.u16(value >>> 16);
  }

  u64(value: bigint): void {
    if (value < 0n || value > 0xffffffffffffffffn) throw new RangeError(`u64 out of range: ${value}`);
    this.u32(Number(value & 0xffffffffn));
    this.u32(Number(value >> 32n));
  }

  /** A compact size, in its shortest form. */
  size(value: number): void {
    if (value < 0xfd) this.u8(value);
    else if (value < 0x10000) {
      this.u8(0xfd);
      this.u16(value);
    } else {
      if (value >= 0x100000000) throw new RangeError(`expected a length below 2^32, got ${value}`);
      this.u8(0xfe);
      this.u32(value);
    }
  }

  /** A compact size and the bytes. */
  sized(bytes: Uint8Array): void {
    this.size(bytes.length);
    this.put(bytes);
  }

  /** The bytes written so far. The writer must not be used again. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
