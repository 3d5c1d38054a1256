/**
 * Recorded nodes over a link that takes its time and breaks, with everything on that saves round trips: every reply must
 * be the real hsmd's, whatever stops in between, and the validating policy must find every request in its place.
 */

import { copyFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadRecordings, type RecordedRequest, type RecordedSession } from '../../cli/recordings.ts';
import { systemClock } from '../../proto/clock.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { Journal } from '../../server/journal.ts';
import type { Relay } from '../../server/relay.ts';
import { approveAll } from '../../signer/policy/purpose.ts';
import { profiles } from '../../signer/policy/settings.ts';
import { validating } from '../../signer/policy/validating.ts';
import { type Memory, openMemoryStore } from '../../signer/store/memory.ts';
import type { Store } from '../../signer/store/store.ts';
import { temporaryDirectory } from './host_under_test.ts';
import { join, makeRelay, makeSession, type Stream } from './joined.ts';
import { isAsRecorded, Replayed, signerOf } from './replayed.ts';

/** Numbers from 0 to below `n`, the same for the same seed (mulberry32). */
function dice(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * n;
  };
}

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const recorded = (name: string) => loadRecordings([`test/vectors/hsmd/traces/${name}.jsonl.gz`]);

function sayWhat({ name }: RecordedSession, row: number, { bytes }: RecordedRequest, answer: unknown): string {
  return `seed ${seed}: ${name} row ${row}: ${callOf(bytes)} got ${JSON.stringify(answer, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)).slice(0, 200)}`;
}

/** The rows of each connection, in order. */
function byConn({ requests }: RecordedSession): readonly (readonly (readonly [number, RecordedRequest])[])[] {
  const conns = new Map<number, [number, RecordedRequest][]>();
  for (const [row, request] of requests.entries()) {
    const rows = conns.get(request.conn) ?? [];
    rows.push([row, request]);
    conns.set(request.conn, rows);
  }
  return [...conns.values()];
}

for (const name of ['everyday_legacy/l2', 'many_htlcs/l1', 'splice/l1'])
  test(`${name}: every reply is hsmd's with lanes interleaved at random and a link that breaks`, async (t) => {
    const roll = dice(seed);
    for (const session of await recorded(name)) {
      const folder = await temporaryDirectory(t);
      await using journal = await Journal.open({ folder, clock: systemClock, log: silent });
      const relay = makeRelay({ journal: journal.of('alice') });
      const signing = makeSession(signerOf(session));
      let stream = await join(relay, signing, { delayMs: roll(3) });
      const node = new Replayed(relay);
      const start = session.requests.findIndex(({ bytes }) => callOf(bytes) === 'init') + 1;
      for (const request of session.requests.slice(0, start)) t.true(isAsRecorded(await node.ask(request), request));
      let over = false;
      const playing = Promise.all(
        byConn(session).map(async (rows) => {
          for (const [row, request] of rows) {
            if (row < start) continue;
            if (roll(8) < 1) await pause(roll(4));
            const answer = await node.ask(request);
            if (!isAsRecorded(answer, request)) t.fail(sayWhat(session, row, request, answer));
          }
        }),
      ).finally(() => {
        over = true;
      });
      while (!over) {
        await pause(roll(60));
        if (relay.signers.current === undefined) continue;
        await stream.cut();
        stream = await join(relay, signing, { delayMs: roll(3) });
      }
      await playing;
      relay[Symbol.dispose]();
    }
    t.pass();
  });

/** When the recordings were made, so that their invoices have not expired. */
const then = { ...systemClock, now: () => Date.UTC(2026, 4, 30) };

/** Host, signer and the link between them, each of which can be killed. */
class World {
  readonly #t: ExecutionContext;
  readonly #session: RecordedSession;
  readonly #memory: Memory;
  readonly #delayMs: () => number;
  #folder = '';
  #boots = 0;
  #store: Store | undefined;
  #signing = makeSession({ handle: () => Promise.reject(new Error('not yet')) });
  #stream: Stream | undefined;
  relay: Relay = makeRelay();
  node: Replayed = new Replayed(this.relay);
  refusals: string[] = [];

  constructor(t: ExecutionContext, session: RecordedSession, memory: Memory, delayMs: () => number) {
    this.#t = t;
    this.#session = session;
    this.#memory = memory;
    this.#delayMs = delayMs;
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
    this.#signing = makeSession(signerOf(this.#session, policy), new Uint8Array(16).fill(this.#boots));
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
    this.relay = makeRelay({ journal: journal.of('alice') });
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

for (const name of ['everyday_legacy/l2', 'many_htlcs/l2'])
  test(`${name}: whatever is killed behind an acknowledgement, the policy finds every request in its place`, async (t) => {
    const roll = dice(seed);
    const memory: Memory = {};
    let acknowledged = 0;
    let killed = 0;
    for (const session of await recorded(name)) {
      const world = new World(t, session, memory, () => 1 + roll(2));
      await world.startSigner();
      await world.startHost();
      await world.connect();
      for (const [row, request] of session.requests.entries()) {
        const before = world.relay.tally.total('acknowledged');
        const answer = await world.node.ask(request);
        if (!isAsRecorded(answer, request)) t.fail(sayWhat(session, row, request, answer));
        const early = world.relay.tally.total('acknowledged') - before;
        acknowledged += early;
        if (roll(early > 0 ? 4 : 40) > 1 || world.relay.start === undefined) continue;
        await world.kill((['link', 'signer', 'host'] as const)[Math.floor(roll(3))] ?? 'link');
        killed += 1;
      }
      t.deepEqual(world.refusals, [], `seed ${seed}`);
      await world.end();
    }
    t.true(acknowledged > 8, `${acknowledged} acknowledged`);
    t.true(killed > 3, `${killed} killed`);
  });
