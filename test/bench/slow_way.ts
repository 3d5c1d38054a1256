/** One direction of one connection of a slow link: pieces come out in order, each no sooner than its time. */

import type { Socket } from 'node:net';

/** More on its way than this and the sender has to wait, in bytes. */
const mostOnTheWay = 8 << 20;

export interface WayOptions {
  readonly from: Socket;
  readonly to: Socket;
  /** What the next piece takes, in milliseconds. */
  readonly delayMs: () => number;
  /** The moment before which nothing comes out, on `performance.now()`. */
  readonly notBefore: number;
}

interface Piece {
  readonly due: number;
  /** Undefined: the sender has ended its half. */
  readonly bytes: Uint8Array | undefined;
}

export class Way {
  readonly #options: WayOptions;
  readonly #pieces: Piece[] = [];
  #latest: number;
  #onTheWay = 0;
  #cancel: (() => void) | undefined;

  constructor(options: WayOptions) {
    this.#options = options;
    this.#latest = options.notBefore;
  }

  open(): void {
    const { from, to } = this.#options;
    from.on('data', (bytes: Uint8Array) => this.#put(bytes));
    from.on('end', () => this.#put(undefined));
    to.on('close', () => this.#cancel?.());
  }

  #put(bytes: Uint8Array | undefined): void {
    const { from, delayMs } = this.#options;
    this.#latest = Math.max(this.#latest, performance.now() + delayMs());
    this.#pieces.push({ due: this.#latest, bytes });
    this.#onTheWay += bytes?.length ?? 0;
    if (this.#onTheWay > mostOnTheWay) from.pause();
    this.#cancel ??= this.#wake();
  }

  /** Timers are never finer than a millisecond, which a payment would feel ten times: the last of it is spent looking. */
  #wake(): (() => void) | undefined {
    const [next] = this.#pieces;
    if (next === undefined) return undefined;
    const ms = Math.floor(next.due - performance.now());
    if (ms >= 1) {
      const timer = setTimeout(() => this.#deliver(), ms);
      return () => clearTimeout(timer);
    }
    const look = setImmediate(() => this.#deliver());
    return () => clearImmediate(look);
  }

  #deliver(): void {
    const { from, to } = this.#options;
    for (let [next] = this.#pieces; next !== undefined && next.due <= performance.now(); [next] = this.#pieces) {
      this.#pieces.shift();
      if (to.destroyed) return;
      if (next.bytes === undefined) to.end();
      else to.write(next.bytes);
      this.#onTheWay -= next.bytes?.length ?? 0;
    }
    if (this.#onTheWay <= mostOnTheWay && from.isPaused()) from.resume();
    this.#cancel = this.#wake();
  }
}
