/**
 * Messages for hsmd's status socket (fd 0 of the shim), which lightningd reads into its log: status_wire.csv's log line
 * and hsmd_wire.csv's word about a bad request. Neither ever carries a request's fields: they hold secrets.
 */

import { clientBadRequest } from '../proto/hsmd/calls.ts';
import { optional, toWirestring, Writer, wirestring } from '../proto/hsmd/codec.ts';
import { nodeId } from '../proto/hsmd/fields.ts';
import { encodeMessage } from '../proto/hsmd/message.ts';

const STATUS_LOG = 0xfff0;

/** Core Lightning's log levels (status_levels.h). */
const levels = { debug: 3, info: 4, unusual: 5, broken: 6 } as const;
export type StatusLevel = keyof typeof levels;

const peer = optional(nodeId);

/** Text for a wirestring: control characters, which it cannot hold, become spaces. */
function oneLine(text: string): Uint8Array {
  return toWirestring(text).map((byte) => Math.max(byte, 0x20));
}

/** A line for lightningd's log, filed under a peer where one is given (33 bytes). */
export function statusLine(level: StatusLevel, text: string, about?: Uint8Array): Uint8Array {
  const w = new Writer();
  w.u16(STATUS_LOG);
  w.u8(levels[level]);
  peer.write(w, about);
  wirestring.write(w, oneLine(text));
  return w.finish();
}

/**
 * `hsmstatus_client_bad_request`: tells lightningd that a client's request was not served and its connection closed.
 * Of the request only its type goes along, not its fields: lightningd prints them.
 */
export function badRequest(id: Uint8Array, description: string, request: Uint8Array): Uint8Array {
  return encodeMessage(clientBadRequest, { id, description: oneLine(description), msg: request.subarray(0, 2) });
}
