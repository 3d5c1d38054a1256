// A relay and a signer's session joined in memory, message by message as bytes: the whole link but gRPC.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Clock, systemClock } from '../../proto/clock.ts';
import {
  FromSignerSchema,
  HelloSchema,
  type ToSigner,
  ToSignerSchema,
} from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { silent } from '../../proto/log.ts';
import { Outbox } from '../../proto/outbox.ts';
import { LinkPort } from '../../server/link_port.ts';
import { patienceFor } from '../../server/refusal.ts';
import { Relay, type RelayOptions, relayDefaults } from '../../server/relay.ts';
import { type RequestHandler, Session } from '../../signer/session.ts';

/** The machine's own time, whose timers keep no test from ending. */
const restful: Clock = {
  ...systemClock,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** What passes in each direction, counted. */
export interface Traffic {
  toSigner: number;
  toHost: number;
  bytesToSigner: number;
  bytesToHost: number;
}

/** A stream between the two, as long as it lives. */
export interface Stream {
  readonly port: LinkPort;
  /** Breaks it: what is on its way is lost. */
  cut(): Promise<void>;
}

export function makeRelay(options: Partial<RelayOptions> = {}): Relay {
  return new Relay({ clock: systemClock, log: silent, patienceFor, ...relayDefaults, retryMs: 20, ...options });
}

export function makeSession(signer: RequestHandler, id = new Uint8Array(16).fill(7), clock: Clock = restful): Session {
  const { signal } = new AbortController();
  return new Session({ signer, id, name: 'phone', software: 'test', clock, log: silent, signal });
}

export interface JoinOptions {
  /** Milliseconds that a message takes, either way; 0 if not given. */
  readonly delayMs?: number;
  readonly clock?: Clock;
  readonly traffic?: Traffic;
  readonly boot?: Uint8Array;
}

/** Attaches the session to the relay; resolves when it may be asked. */
export async function join(relay: Relay, session: Session, options: JoinOptions = {}): Promise<Stream> {
  const { delayMs = 0, clock = restful, traffic, boot = new Uint8Array(16).fill(1) } = options;
  const later = (run: () => void) => (delayMs === 0 ? run() : void systemClock.after(delayMs, run));
  const received = new Outbox<ToSigner>();
  const early: Uint8Array[] = [];
  let port: LinkPort | undefined;
  let broken = false;
  const toHost = (bytes: Uint8Array) => {
    if (broken) return;
    const message = fromBinary(FromSignerSchema, bytes);
    if (message.message.case === 'hello') {
      const about = { node: 'alice', boot, heartbeatMs: 60_000, clock, log: silent };
      port = new LinkPort({ hello: create(HelloSchema, message.message.value), ...about });
      relay.signers.attach(port);
    } else if (port === undefined) early.push(bytes);
    else port.receive(message);
  };
  const over = session.run(
    {
      received,
      send(message) {
        const bytes = toBinary(FromSignerSchema, create(FromSignerSchema, message));
        if (traffic !== undefined) {
          traffic.toHost += 1;
          traffic.bytesToHost += bytes.length;
        }
        later(() => toHost(bytes));
      },
      abandon: () => received.close(),
    },
    () => {},
  );
  while (port === undefined) await new Promise((resolve) => setImmediate(resolve));
  const attached = port;
  void (async () => {
    for await (const message of attached.outbox) {
      const bytes = toBinary(ToSignerSchema, create(ToSignerSchema, message));
      if (traffic !== undefined) {
        traffic.toSigner += 1;
        traffic.bytesToSigner += bytes.length;
      }
      later(() => {
        if (!broken) received.push(fromBinary(ToSignerSchema, bytes));
      });
    }
  })();
  return {
    port: attached,
    async cut() {
      broken = true;
      relay.signers.detach(attached, 'lost');
      attached[Symbol.dispose]();
      received.close();
      await over.catch(() => undefined);
    },
  };
}
