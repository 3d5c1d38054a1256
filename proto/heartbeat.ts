import type { Clock } from './clock.ts';
import type { Heartbeat } from './gen/keyhold/v1/signer_link_pb.ts';
import { heartbeatsMissed } from './link.ts';

export interface HeartbeatOptions {
  readonly clock: Clock;
  /** How often to ask, in milliseconds. */
  readonly everyMs: number;
  readonly send: (beat: { readonly ping: bigint; readonly pong: bigint; readonly roundTripUs: number }) => void;
  /** Nothing was heard for too long. */
  readonly lost: () => void;
}

/** One end's pulse on a link: asks whether the other lives, answers when asked, measures the round trip. */
export class Pulse {
  readonly #options: HeartbeatOptions;
  #roundTripUs = 0;
  #pings = 0n;
  #sentAt = 0;
  /** Heartbeats sent since the other side was heard, the one before that included. */
  #silence = 0;
  #cancel: () => void = () => {};

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#beat();
  }

  /** The round trip measured last, in microseconds; 0 before the first. */
  get roundTripUs(): number {
    return this.#roundTripUs;
  }

  /** The other side said something, whatever it was. */
  heard(): void {
    this.#silence = 1;
  }

  receive({ ping, pong }: Heartbeat): void {
    const { clock, send } = this.#options;
    if (pong !== 0n && pong === this.#pings)
      this.#roundTripUs = Math.max(1, Math.round((clock.monotonic() - this.#sentAt) * 1000));
    if (ping !== 0n) send({ ping: 0n, pong: ping, roundTripUs: this.#roundTripUs });
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }

  #beat(): void {
    const { clock, everyMs, send, lost } = this.#options;
    if (this.#silence === heartbeatsMissed) {
      lost();
      return;
    }
    this.#silence += 1;
    this.#pings += 1n;
    this.#sentAt = clock.monotonic();
    send({ ping: this.#pings, pong: 0n, roundTripUs: this.#roundTripUs });
    this.#cancel = clock.after(everyMs, () => this.#beat());
  }
}
