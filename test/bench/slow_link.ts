/**
 * A link to measure on: a TCP relay before a server, that gives each byte the time it would take over somebody's
 * network, and that can be cut. Bandwidth is whatever the loopback has.
 */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { sleep, systemClock } from '../../proto/clock.ts';
import { Way } from './slow_way.ts';

export interface SlowLinkOptions {
  /** The port behind it, on the loopback address. */
  readonly to: number;
  /** The round trip time, in milliseconds: half of it either way, and one and a half until a new connection's first byte. */
  readonly rttMs: number;
  /** At most so much more for a piece of data, in milliseconds; 0 if not given. What comes behind it waits for it. */
  readonly jitterMs?: number;
  /** Cuts now and then; never if not given. */
  readonly cuts?: {
    /** How long it holds on average, in milliseconds. */
    readonly everyMs: number;
    /** How long each cut takes, in milliseconds. */
    readonly forMs: number;
  };
  /** From 0 to below 1; `Math.random` if not given. */
  readonly random?: () => number;
}

/**
 * What the relay itself takes for a piece, in milliseconds: so much less is waited. With the delay left out an echo through
 * it takes 0.5 to 0.7 longer than one without it.
 */
const ownMs = 0.25;

export class SlowLink implements AsyncDisposable {
  readonly #options: SlowLinkOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #stop = new AbortController();
  readonly #random: () => number;
  #isCut = false;
  #port = 0;

  private constructor(options: SlowLinkOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#carry(socket));
  }

  /** Listens on a port of its own on the loopback address. */
  static async open(options: SlowLinkOptions): Promise<SlowLink> {
    const link = new SlowLink(options);
    link.#server.listen(0, '127.0.0.1');
    await once(link.#server, 'listening');
    const address = link.#server.address();
    if (address !== null && typeof address !== 'string') link.#port = address.port;
    void link.#cutNowAndThen();
    return link;
  }

  /** Where to connect instead. */
  get port(): number {
    return this.#port;
  }

  /** Breaks every connection, for both sides and with what is on its way, and refuses new ones until `mend`. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
  }

  /** Carries again. */
  mend(): void {
    this.#isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #carry(near: Socket): void {
    if (this.#isCut) {
      near.resetAndDestroy();
      return;
    }
    const { to, rttMs, jitterMs = 0 } = this.#options;
    const far = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const ends = [near, far];
    for (const socket of ends) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      // However one side goes without saying goodbye, the other sees it.
      socket.on('close', () => {
        this.#sockets.delete(socket);
        const clean = near.readableEnded && far.readableEnded;
        for (const end of ends) if (!clean && !end.destroyed) end.resetAndDestroy();
      });
    }
    const delayMs = () => Math.max(rttMs / 2 - ownMs, 0) + this.#random() * jitterMs;
    // The handshake takes a round trip before the client may say anything.
    new Way({ from: near, to: far, delayMs, notBefore: performance.now() + rttMs * 1.5 }).open();
    new Way({ from: far, to: near, delayMs, notBefore: performance.now() + rttMs * 1.5 }).open();
  }

  async #cutNowAndThen(): Promise<void> {
    const { cuts } = this.#options;
    const { signal } = this.#stop;
    if (cuts === undefined) return;
    try {
      for (;;) {
        await sleep(systemClock, -Math.log(1 - this.#random()) * cuts.everyMs, signal);
        this.cut();
        await sleep(systemClock, cuts.forMs, signal);
        this.mend();
      }
    } catch {
      // disposed of
    }
  }
}
