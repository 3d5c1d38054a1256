// Host, signer and the link between them, each of which can be killed while a recorded node goes on asking.

import { copyFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { RecordedSession } from '../../cli/recordings.ts';
import { systemClock } from '../../proto/clock.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { Journal } from '../../server/journal.ts';
import type { Relay, RelayOptions } from '../../server/relay.ts';
import type { noPolicy } from '../../signer/policy/policy.ts';
import { approveAll } from '../../signer/policy/purpose.ts';
import { profiles } from '../../signer/policy/settings.ts';
import { validating } from '../../signer/policy/validating.ts';
import type { RequestHandler } from '../../signer/session.ts';
import { type Memory, openMemoryStore } from '../../signer/store/memory.ts';
import type { Store } from '../../signer/store/store.ts';
import { temporaryDirectory } from './host_under_test.ts';
import { join, makeRelay, makeSession, type Stream } from './joined.ts';
import { Replayed, signerOf } from './replayed.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** When the recordings were made, so that their invoices have not expired. */
const then = { ...systemClock, now: () => Date.UTC(2026, 4, 30) };

export interface WorldOptions {
  readonly relay?: Partial<RelayOptions>;
  /** What the session asks in place of the signer. */
  readonly around?: (signer: RequestHandler) => RequestHandler;
  /** The signer's policy where it is to have none: then it forgets everything when it is killed. */
  readonly policy?: typeof noPolicy;
}

/** Host, signer and the link between them, each of which can be killed. */
export class World {
  readonly #t: Pick<ExecutionContext, 'teardown'>;
  readonly #session: RecordedSession;
  readonly #memory: Memory;
  readonly #delayMs: () => number;
  readonly #options: WorldOptions;
  #folder = '';
  #boots = 0;
  #store: Store | undefined;
  #signing = makeSession({ handle: () => Promise.reject(new Error('not yet')) });
  #stream: Stream | undefined;
  relay: Relay = makeRelay();
  node: Replayed = new Replayed(this.relay);
  refusals: string[] = [];

  constructor(
    t: Pick<ExecutionContext, 'teardown'>,
    session: RecordedSession,
    memory: Memory,
    delayMs: () => number,
    options: WorldOptions = {},
  ) {
    this.#t = t;
    this.#session = session;
    this.#memory = memory;
    this.#delayMs = delayMs;
    this.#options = options;
  }

  async startSigner(): Promise<void> {
    await this.#store?.[Symbol.asyncDispose]();
    const store = openMemoryStore(this.#memory, this.#memory.state === undefined ? 'create' : 'fail');
    this.#store = store;
    const policy = validating({
      settings: profiles.test,
      approver: approveAll,
      openStore: () => Promise.resolve(store),
      clock: then,
      log: (_level, message, fields) => this.refusals.push(`${message} ${Object.values(fields ?? {}).join(' ')}`),
      height: () => undefined,
    });
    this.#boots += 1;
    const { around = (signer: RequestHandler) => signer } = this.#options;
    this.#signing = makeSession(
      around(signerOf(this.#session, this.#options.policy ?? policy)),
      new Uint8Array(16).fill(this.#boots),
    );
  }

  /** A host that finds on its disk what another left when it was killed. */
  async startHost(): Promise<void> {
    const folder = await temporaryDirectory(this.#t);
    const before = this.relay;
    if (this.#folder !== '') await copyFile(joinPath(this.#folder, 'acknowledged'), joinPath(folder, 'acknowledged'));
    this.#folder = folder;
    before[Symbol.dispose]();
    const journal = await Journal.open({ folder, clock: systemClock, log: silent });
    this.#t.teardown(() => journal[Symbol.asyncDispose]());
    this.relay = makeRelay({ ...this.#options.relay, journal: journal.of('alice') });
    this.relay.onOverruled = (_client, request, reason) => this.refusals.push(`${callOf(request)} ${reason}`);
    this.node = new Replayed(this.relay, before.start);
    this.#boots += 1;
  }

  async connect(): Promise<void> {
    await this.#stream?.cut();
    const boot = new Uint8Array(16).fill(this.#boots);
    this.#stream = await join(this.relay, this.#signing, { delayMs: this.#delayMs(), boot });
  }

  async kill(what: 'link' | 'signer' | 'host'): Promise<void> {
    await this.#stream?.cut();
    if (what === 'signer') await this.startSigner();
    if (what === 'host') await this.startHost();
    await this.connect();
  }

  async end(): Promise<void> {
    while (this.relay.undecided > 0) await pause(5);
    await this.#stream?.cut();
    this.relay[Symbol.dispose]();
    await this.#store?.[Symbol.asyncDispose]();
  }
}
