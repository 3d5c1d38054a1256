/**
 * What the stand-in for lightning_hsmd (keyhold-hsmd.c) and its host say to each other, over a unix stream socket.
 *
 * A frame is u32 length of what follows, u8 kind, u32 conn, payload; all big-endian. Conn 0 is lightningd's own request
 * socket, the others are its daemons' and are numbered by the host. One request of a conn is in flight at a time: the
 * stand-in reads the next one when the host has settled the last, and sends those in flight again to the next host.
 */

import { concat } from '../../proto/bytes.ts';
import { array, octets, Reader, struct, trustPoints, u8, u32, WireError, Writer } from '../../proto/hsmd/codec.ts';

/** The kinds of frames: their code on the wire and who sends them. */
// biome-ignore format: one kind a row
export const kinds = {
  hello:   { code: 1, from: 'shim' }, // first on every connection; the payload is a `Hello`
  request: { code: 2, from: 'shim' }, // an hsmd message, without its length; may be empty
  closed:  { code: 3, from: 'shim' }, // that client closed its socket
  reply:   { code: 4, from: 'host' }, // the hsmd message that settles the request in flight
  replyFd: { code: 5, from: 'host' }, // u32 new conn, then the message: a socket for the new conn is passed behind it
  silent:  { code: 6, from: 'host' }, // settles a request that has no reply
  close:   { code: 7, from: 'host' }, // closes that client's socket; conn 0: ends the stand-in with status 1
  status:  { code: 8, from: 'host' }, // a message for lightningd's status socket (fd 0); the conn does not matter
  keep:    { code: 9, from: 'host' }, // replaces the bytes that every later hello brings back
} as const;

export type Kind = keyof typeof kinds;
export type Side = (typeof kinds)[Kind]['from'];

export interface Frame {
  readonly kind: Kind;
  readonly conn: number;
  /** A view of what was received: copy what must outlive it. */
  readonly payload: Uint8Array;
}

/** Core Lightning's WIRE_LEN_LIMIT: every hsmd message is shorter, in bytes. */
export const messageLimit = 1 << 27;

const headerLength = 9;
const frameLimit = headerLength + messageLimit;

const names = new Map<string, Kind>();
for (const kind of Object.keys(kinds) as Kind[]) names.set(`${kinds[kind].from} ${kinds[kind].code}`, kind);

/** One frame's bytes; the payload is the parts one after the other. */
export function encodeFrame(kind: Kind, conn: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = headerLength;
  for (const part of parts) length += part.length;
  if (length > frameLimit) throw new RangeError(`expected a frame of at most ${frameLimit} bytes, got ${length}`);
  const frame = new Uint8Array(length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, length - 4);
  view.setUint8(4, kinds[kind].code);
  view.setUint32(5, conn);
  let at = headerLength;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/** Finds the frames that one side sent in chunks cut anywhere. */
export class FrameDecoder {
  readonly #from: Side;
  #chunks: Uint8Array[] = [];
  #length = 0;
  #needed = headerLength;

  constructor(from: Side) {
    this.#from = from;
  }

  /**
   * The frames that this chunk completes.
   * @throws WireError for a kind which that side does not send, and for an impossible length.
   */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= this.#needed) {
      const bytes = this.#chunks.length === 1 ? (this.#chunks[0] ?? chunk) : concat(...this.#chunks);
      const r = new Reader(bytes, trustPoints);
      const end = 4 + this.#lengthOf(r);
      const kind = this.#kindOf(r);
      const rest = bytes.subarray(end);
      this.#needed = end;
      this.#chunks = [bytes];
      if (bytes.length < end) continue;
      frames.push({ kind, conn: r.u32(), payload: bytes.subarray(headerLength, end) });
      this.#needed = headerLength;
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#length = rest.length;
    }
    return frames;
  }

  #lengthOf(r: Reader): number {
    const length = r.u32();
    if (length >= headerLength - 4 && length <= frameLimit - 4) return length;
    throw new WireError(`expected a frame of ${headerLength - 4} to ${frameLimit - 4} bytes, found ${length}`, 0);
  }

  #kindOf(r: Reader): Kind {
    const code = r.u8();
    const kind = names.get(`${this.#from} ${code}`);
    if (kind === undefined)
      throw new WireError(`expected a kind of frame that a ${this.#from} sends, found ${code}`, 4);
    return kind;
  }
}

/** What a stand-in says of itself when it connects. */
export interface Hello {
  /** lightningd runs with --developer. */
  readonly developer: boolean;
  /** KEYHOLD_NODE, as the node's operator set it: not proof of anything. */
  readonly node: string;
  /** lightningd's version where the environment tells it, else empty. */
  readonly lightningd: string;
  /** The conns still open, without 0. */
  readonly clients: readonly number[];
  /** What an earlier host gave by `keep`; empty at first. */
  readonly kept: Uint8Array;
}

const protocolVersion = 1;
const developerFlag = 1;
const greeting = struct({ version: u8, flags: u8, node: octets, lightningd: octets, clients: array(u32) });

/** @throws WireError if the payload of a hello is cut short or of another version of this protocol. */
export function decodeHello(payload: Uint8Array): Hello {
  const version = payload[0];
  if (version !== protocolVersion) {
    throw new WireError(`expected version ${protocolVersion} of the stand-in's protocol, found ${version}`, 0);
  }
  const r = new Reader(payload, trustPoints);
  const { flags, node, lightningd, clients } = greeting.read(r);
  const text = new TextDecoder();
  return {
    developer: (flags & developerFlag) !== 0,
    node: text.decode(node),
    lightningd: text.decode(lightningd),
    clients,
    kept: r.take(r.left),
  };
}

/** A hello's payload, for a stand-in that is not the C program. */
export function encodeHello(hello: Hello): Uint8Array {
  const text = new TextEncoder();
  const w = new Writer();
  greeting.write(w, {
    version: protocolVersion,
    flags: hello.developer ? developerFlag : 0,
    node: text.encode(hello.node),
    lightningd: text.encode(hello.lightningd),
    clients: hello.clients,
  });
  w.put(hello.kept);
  return w.finish();
}
