/**
 * The host's end of one stand-in's connection: its requests as they come, and what the host answers.
 *
 * Losing the connection is nothing special: the stand-in connects again, says what it is, repeats what is in flight.
 * So `events` then just ends, and answers to a stand-in that is gone are dropped.
 */

import type { Socket } from 'node:net';
import { WireError } from '../../proto/hsmd/codec.ts';
import { decodeHello, encodeFrame, type Frame, FrameDecoder, type Hello, type Kind } from './frames.ts';

/** A conn has a request in flight, to be settled by one `reply`, `replyFd`, `silent` or `close`, or it was closed. */
export type ShimEvent =
  | { readonly kind: 'request'; readonly conn: number; readonly message: Uint8Array }
  | { readonly kind: 'closed'; readonly conn: number };

export class ShimConnection {
  readonly hello: Hello;
  readonly #socket: Socket;
  readonly #frames: AsyncGenerator<Frame, void>;

  private constructor(socket: Socket, frames: AsyncGenerator<Frame, void>, hello: Hello) {
    this.#socket = socket;
    this.#frames = frames;
    this.hello = hello;
  }

  /**
   * Waits until the stand-in has said what it is. Aborting the signal ends the connection, now and later.
   * @returns undefined if the stand-in went away before that.
   * @throws WireError if it says anything else; the socket is destroyed.
   */
  static async open(socket: Socket, signal: AbortSignal): Promise<ShimConnection | undefined> {
    const end = () => socket.destroy();
    socket.on('error', end);
    socket.on('close', () => signal.removeEventListener('abort', end));
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    const frames = framesOf(socket);
    const first = await frames.next();
    if (first.done) return undefined;
    try {
      if (first.value.kind !== 'hello') throw new WireError(`expected a hello first, found a ${first.value.kind}`, 4);
      return new ShimConnection(socket, frames, decodeHello(first.value.payload));
    } catch (error: unknown) {
      socket.destroy();
      throw error;
    }
  }

  /**
   * What happens on the stand-in's side, until it is gone; to be read once, by one reader. While it leaves unread what
   * was written to it, no more is read from it.
   * @throws WireError if it sends what a stand-in does not send; the socket is destroyed.
   */
  async *events(): AsyncGenerator<ShimEvent, void> {
    for await (const { kind, conn, payload } of this.#frames) {
      if (kind === 'request') yield { kind, conn, message: payload };
      else if (kind === 'closed') yield { kind, conn };
      else throw new WireError(`expected a request or closed, found a ${kind}`, 4);
    }
  }

  /** Settles the conn's request with an hsmd message. */
  reply(conn: number, message: Uint8Array): void {
    this.#write('reply', conn, message);
  }

  /** Settles the conn's request with a message, and a socket behind it whose other end is the new conn `client`. */
  replyFd(conn: number, client: number, message: Uint8Array): void {
    const number = new Uint8Array(4);
    new DataView(number.buffer).setUint32(0, client);
    this.#write('replyFd', conn, number, message);
  }

  /** Settles a request that has no reply. */
  silent(conn: number): void {
    this.#write('silent', conn);
  }

  /**
   * Closes a client's socket, its request settled or not; a reply that it has not read yet may be lost.
   * For conn 0 the stand-in ends, and lightningd with it.
   */
  close(conn: number): void {
    this.#write('close', conn);
  }

  /** A message for lightningd's status socket. Dropped where lightningd left a MiB of them unread. */
  status(message: Uint8Array): void {
    this.#write('status', 0, message);
  }

  /** Replaces what the next `hello` of this stand-in brings back. Goes before the answer that depends on it. */
  keep(blob: Uint8Array): void {
    this.#write('keep', 0, blob);
  }

  /** Ends the connection; the stand-in goes on and looks for another host. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#socket.closed ? undefined : once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  #write(kind: Kind, conn: number, ...parts: readonly Uint8Array[]): void {
    if (!this.#socket.writable) return;
    const frame = encodeFrame(kind, conn, ...parts);
    this.#socket.write(frame, () => frame.fill(0)); // it may hold a secret
  }
}

/** The frames of a stand-in, until its socket ends, for whatever reason. */
async function* framesOf(socket: Socket): AsyncGenerator<Frame, void> {
  const decoder = new FrameDecoder('shim');
  try {
    for await (const chunk of chunksOf(socket)) {
      yield* decoder.push(chunk);
      if (socket.writableNeedDrain) await once(socket, 'drain', 'close');
    }
  } finally {
    socket.destroy();
  }
}

/** What comes out of a socket; a failed socket has come to its end. */
async function* chunksOf(socket: Socket): AsyncGenerator<Uint8Array, void> {
  const chunks: AsyncIterator<Uint8Array> = socket[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch(() => undefined);
    if (next === undefined || next.done) return;
    yield next.value;
  }
}

/** Resolves at the first of these events. */
function once(socket: Socket, ...events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const happened = () => {
      for (const event of events) socket.off(event, happened);
      resolve();
    };
    for (const event of events) socket.on(event, happened);
  });
}
