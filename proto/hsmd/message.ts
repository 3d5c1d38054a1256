/** Whole messages: u16 type, then the fields of that type's row in the table of calls. */

import { type Call, calls, type Message, type ReplyOf, type Request } from './calls.ts';
import { type CurveCheck, type Fields, Reader, type StructOf, trustPoints, WireError, Writer } from './codec.ts';

const byNumber: ReadonlyMap<number, Call> = new Map(
  (Object.keys(calls) as Call[]).map((name) => [calls[name].request.number, name]),
);

/** The type number of a message, or undefined where there are not even two bytes. */
export function messageType(bytes: Uint8Array): number | undefined {
  return bytes.length < 2 ? undefined : ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
}

/** Which call a message is a request of; undefined for replies, unknown types and messages too short to have one. */
export function callOf(bytes: Uint8Array): Call | undefined {
  const type = messageType(bytes);
  return type === undefined ? undefined : byNumber.get(type);
}

/**
 * Decodes a request as strictly and as leniently as hsmd: a wrong value or a missing byte is a `WireError`, bytes after
 * the last field are ignored.
 */
export function decodeRequest(bytes: Uint8Array, curve: CurveCheck): Request {
  const name = callOf(bytes);
  if (name === undefined) throw new WireError(`unknown request type ${messageType(bytes) ?? 'of no bytes'}`, 0);
  return { call: name, fields: decodeFields(calls[name].request, bytes, curve) } as Request;
}

/** Decodes one known message. */
export function decodeMessage<F extends Fields>(
  message: Message<F>,
  bytes: Uint8Array,
  curve: CurveCheck = trustPoints,
): StructOf<F> {
  const type = messageType(bytes);
  if (type !== message.number)
    throw new WireError(`expected message type ${message.number}, found ${type ?? 'none'}`, 0);
  return decodeFields(message, bytes, curve);
}

function decodeFields<F extends Fields>(message: Message<F>, bytes: Uint8Array, curve: CurveCheck): StructOf<F> {
  const r = new Reader(bytes, curve);
  r.at = 2;
  return message.codec.read(r);
}

/** Encodes a message with its type in front. */
export function encodeMessage<F extends Fields>(message: Message<F>, value: StructOf<F>): Uint8Array {
  const w = new Writer();
  w.u16(message.number);
  message.codec.write(w, value);
  return w.finish();
}

/** Encodes the reply to a call. */
export function encodeReply<C extends Call>(name: C, value: ReplyOf<C>): Uint8Array {
  const reply: Message | undefined = calls[name].reply;
  if (reply === undefined) throw new TypeError(`${name} has no reply`);
  return encodeMessage(reply, value as StructOf<Fields>);
}
