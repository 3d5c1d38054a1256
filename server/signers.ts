// The signers attached to one node: which of them is active, who stands by, when one takes over, and that each is
// told what lightningd said at its start before it is asked anything.

import type { Clock } from '../proto/clock.ts';
import type { Log } from '../proto/log.ts';
import type { SignerPort } from './signer_port.ts';

/** What became of telling a port: it can be asked, could not do it now, or must not serve this node. */
export type Initialised = 'ready' | 'again' | { readonly unfit: string };

/** How a port leaves: a goodbye gives up being active at once, a lost connection may come back. */
export type Departure = 'goodbye' | 'lost';

export interface SignersOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** How long a lost active signer may take to come back before another takes over, in milliseconds. */
  readonly takeoverMs: number;
  /** How long until a signer that could not initialise is asked again, in milliseconds. */
  readonly retryMs: number;
  /** Tells a port what lightningd said at its start. Never rejects. */
  readonly initialise: (port: SignerPort) => Promise<Initialised>;
  /** This port is the active one from now on; it may not be initialised yet. */
  readonly onActive: (port: SignerPort) => void;
  /** The active port can be asked from now on. */
  readonly onReady: (port: SignerPort) => void;
}

interface Entry {
  readonly port: SignerPort;
  readonly since: number;
  ready: boolean;
  /** Counts initialisations: the end of an earlier one is not that of the latest. */
  round: number;
}

/** A signer that cannot serve this node; `at` in milliseconds since 1970. */
export interface SentAway {
  readonly signer: string;
  readonly reason: string;
  readonly at: number;
}

/** An attached signer as others see it; `since` in milliseconds since 1970. */
export interface SignerView {
  readonly port: SignerPort;
  readonly since: number;
  readonly active: boolean;
}

export class Signers {
  readonly #options: SignersOptions;
  #entries: Entry[] = [];
  #active: Entry | undefined;
  #lease = 0n;
  #sentAway: SentAway | undefined;
  /** The session of a lost active signer, kept its place until `cancel` is called or the time is up. */
  #reserved: { readonly session: string; readonly cancel: () => void } | undefined;

  constructor(options: SignersOptions) {
    this.#options = options;
  }

  /** The fencing number given out last. */
  get lease(): bigint {
    return this.#lease;
  }

  /** The one that was sent away last, until one that can serve is attached. */
  get sentAway(): SentAway | undefined {
    return this.#sentAway;
  }

  /** The port to ask, if one is active and initialised. */
  get current(): SignerPort | undefined {
    return this.#active?.ready === true ? this.#active.port : undefined;
  }

  /** Every port, the longest attached first. */
  list(): readonly SignerView[] {
    return this.#entries.map(({ port, since }, i) => ({ port, since, active: this.#entries[i] === this.#active }));
  }

  /** Whether this is the port that is asked, or will be once it is initialised. */
  isActive(port: SignerPort): boolean {
    return this.#active?.port === port;
  }

  has(port: SignerPort): boolean {
    return this.#entries.some((entry) => entry.port === port);
  }

  /** Adds a port: active if no other is or keeps the place, or if it continues the active one's session. */
  attach(port: SignerPort): void {
    const earlier = this.#entries.find((entry) => entry.port.session === port.session);
    const entry: Entry = { port, since: this.#options.clock.now(), ready: false, round: 0 };
    const holder = this.#active?.port.session ?? this.#reserved?.session;
    const active = holder === undefined || holder === port.session;
    this.#entries = [...this.#entries.filter((each) => each !== earlier), entry];
    if (active) this.#grant(entry);
    this.#options.log('info', 'signer attached', {
      signer: port.name,
      software: port.software,
      active,
      lease: this.#lease,
    });
    earlier?.port.dismiss('this signer attached again');
    port.welcome(active, this.#lease);
    this.#initialise(entry);
  }

  /** Removes a port. Where it was active another takes over, at once or when it has not come back in time. */
  detach(port: SignerPort, departure: Departure): void {
    const entry = this.#entries.find((each) => each.port === port);
    if (entry === undefined) return;
    this.#entries = this.#entries.filter((each) => each !== entry);
    this.#options.log('info', 'signer detached', { signer: port.name, departure });
    if (this.#active !== entry) return;
    this.#active = undefined;
    if (departure === 'goodbye') this.#takeOver();
    else {
      const cancel = this.#options.clock.after(this.#options.takeoverMs, () => this.#takeOver());
      this.#reserved = { session: port.session, cancel };
    }
  }

  /**
   * This signer says that it signs nothing: where it is the active one it is told anew what lightningd said at its start,
   * and not asked before it has taken that in.
   */
  doubt(port: SignerPort): void {
    const active = this.#active;
    if (active?.port === port && active.ready) this.#initialise(active);
  }

  /** Tells every port anew what lightningd says at its start, but `told`, which has just answered it. */
  initialiseAll(told?: SignerPort): void {
    for (const entry of this.#entries) {
      if (entry.port !== told) this.#initialise(entry);
      else {
        entry.round += 1;
        entry.ready = true;
        this.#sentAway = undefined;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#reserved?.cancel();
    const ports = this.#entries.map(({ port }) => port);
    this.#entries = [];
    this.#active = undefined;
    for (const port of ports) port.dismiss('the host is stopping');
  }

  /** Makes an entry active under a fencing number above every earlier one, earlier runs of the host included. */
  #grant(entry: Entry): void {
    this.#reserved?.cancel();
    this.#reserved = undefined;
    const now = BigInt(Math.trunc(this.#options.clock.now()));
    this.#lease = now > this.#lease ? now : this.#lease + 1n;
    this.#active = entry;
    this.#options.onActive(entry.port);
  }

  #takeOver(): void {
    this.#reserved = undefined;
    const next = this.#entries.find((entry) => entry.ready) ?? this.#entries[0];
    if (next === undefined) return;
    this.#grant(next);
    this.#options.log('warn', 'standby signer takes over', { signer: next.port.name, lease: this.#lease });
    next.port.promote(this.#lease);
    if (next.ready) this.#options.onReady(next.port);
  }

  #initialise(entry: Entry): void {
    const { initialise, clock, retryMs } = this.#options;
    entry.ready = false;
    entry.round += 1;
    const round = entry.round;
    const current = () => entry.round === round && this.#entries.includes(entry);
    void initialise(entry.port).then((outcome) => {
      if (!current()) return;
      if (outcome === 'again' && this.#gaveWay(entry)) return;
      if (outcome === 'again') clock.after(retryMs, () => current() && this.#initialise(entry));
      else if (outcome === 'ready') {
        entry.ready = true;
        this.#sentAway = undefined;
        if (this.#active === entry) this.#options.onReady(entry.port);
      } else this.#sendAway(entry, outcome.unfit);
    });
  }

  /** An active signer that cannot be asked leaves the place to one that can. It may attach again, and stands by then. */
  #gaveWay(entry: Entry): boolean {
    if (this.#active !== entry || !this.#entries.some(({ ready }) => ready)) return false;
    this.detach(entry.port, 'goodbye');
    entry.port.dismiss('it cannot be asked now, another signer can');
    return true;
  }

  /** It comes again and again: the log has it once. */
  #sendAway({ port }: Entry, reason: string): void {
    const { clock, log } = this.#options;
    const { name: signer } = port;
    const isKnown = this.#sentAway?.signer === signer && this.#sentAway.reason === reason;
    log(isKnown ? 'debug' : 'error', 'signer sent away', { signer, reason });
    this.#sentAway = { signer, reason, at: clock.now() };
    this.detach(port, 'goodbye');
    port.dismiss(reason, true);
  }
}
