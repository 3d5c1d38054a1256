/**
 * What a host leaves with each shim and gets back from it when it starts again: enough to go on with a lightningd that
 * never stopped. It stays in the memory of the shim, beside the node it is about, and holds nothing that lightningd did
 * not have.
 */

import type { ClientIdentity } from '../proto/answer.ts';
import {
  array,
  octets,
  optional,
  Reader,
  struct,
  trustPoints,
  u8,
  u32,
  u64,
  WireError,
  Writer,
} from '../proto/hsmd/codec.ts';
import { nodeId } from '../proto/hsmd/fields.ts';
import type { Start } from './start.ts';

export interface Kept {
  readonly start: Start | undefined;
  /** `hsmd_dev_preinit`, as long as init was not answered. */
  readonly preinit: Uint8Array | undefined;
  /** How many clients without a channel hsmd_client_hsmfd has made, the closed ones included. */
  readonly withoutChannel: number;
  /** The number the next client gets. */
  readonly nextConn: number;
  readonly clients: readonly (ClientIdentity & { readonly conn: number })[];
}

export const nothingKept: Kept = { start: undefined, preinit: undefined, withoutChannel: 0, nextConn: 1, clients: [] };

const VERSION = 1;

const layout = struct({
  version: u8,
  start: optional(struct({ preinit: optional(octets), init: octets, nodeId })),
  preinit: optional(octets),
  withoutChannel: u8,
  nextConn: u32,
  clients: array(struct({ conn: u32, nodeId, dbid: u64, capabilities: u64 })),
});

export function encodeKept(kept: Kept): Uint8Array {
  const w = new Writer();
  layout.write(w, { version: VERSION, ...kept });
  return w.finish();
}

/** Throws `WireError` for bytes that no host of this version left. An empty blob is a shim that has never met one. */
export function decodeKept(blob: Uint8Array): Kept {
  if (blob.length === 0) return nothingKept;
  if (blob[0] !== VERSION) throw new WireError(`expected version ${VERSION} of what a host keeps, found ${blob[0]}`, 0);
  return layout.read(new Reader(Uint8Array.from(blob), trustPoints));
}
