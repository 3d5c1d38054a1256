/**
 * Block headers, the only part of a block that a signer sees: 80 bytes, little-endian, their hash the double SHA-256.
 * Hashes are kept in internal order (as hashed), the reverse of how explorers print them.
 */

import { LeReader } from '../../proto/bitcoin/stream.ts';
import { toHex } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import { sha256d } from '../crypto/hash.ts';

export interface Header {
  /** The 80 bytes. */
  readonly bytes: Uint8Array;
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array;
  /** The hash of the header before it, 32 bytes, internal order. */
  readonly previous: Uint8Array;
  /** 32 bytes, internal order. */
  readonly merkleRoot: Uint8Array;
  /** Seconds since 1970, u32. */
  readonly time: number;
  /** The target in compact form, u32. */
  readonly bits: number;
}

export const headerLength = 80;

/** Reads a header out of its own copy of the bytes. Throws WireError unless there are exactly 80. */
export function parseHeader(bytes: Uint8Array): Header {
  if (bytes.length !== headerLength)
    throw new WireError(`expected a block header of ${headerLength} bytes, found ${bytes.length}`, 0);
  const own = bytes.slice();
  const r = new LeReader(own);
  r.u32();
  return {
    bytes: own,
    hash: sha256d(own),
    previous: r.take(32),
    merkleRoot: r.take(32),
    time: r.u32(),
    bits: r.u32(),
  };
}

/** A hash as explorers print it. */
export function display(hash: Uint8Array): string {
  return toHex(hash.slice().reverse());
}
