import test from 'ava';
import fc from 'fast-check';
import { equalBytes, utf8 } from '../../proto/bytes.ts';
import { silent } from '../../proto/log.ts';
import { openFileStore } from '../../signer/node/file_store.ts';
import { type Change, type Head, type Store, StoreError, type WhenMissing } from '../../signer/store/store.ts';
import { FaultyDisk, type Loss, noLock } from './faulty_disk.ts';
import { applyTo, batches } from './store_suite.ts';

/** A machine with one disk, on which a store is opened, dies, and is opened again. */
class Machine {
  readonly fs = new FaultyDisk();
  readonly #lock = noLock();
  /** What every version asked for was, the first being the empty one. */
  readonly asked: ReadonlyMap<string, Uint8Array>[] = [new Map()];
  /** The head of the last commit that resolved. */
  promised: Head | undefined;

  /** What was wrong with a store when it was opened again. */
  problem: string | undefined;

  async open(whenMissing: WhenMissing = this.promised === undefined ? 'create' : 'fail'): Promise<Store> {
    let salt = 0;
    const entropy = (length: number) => new Uint8Array(length).fill(++salt);
    const store = await openFileStore({
      folder: '/s',
      whenMissing,
      log: silent,
      entropy,
      fs: this.fs,
      lock: this.#lock,
      leastGrowth: 400,
    });
    this.problem ??= this.#problemOf(store);
    this.promised = store.head; // whoever opened it may answer by what it holds
    return store;
  }

  async commit(store: Store, changes: readonly Change[]): Promise<void> {
    const next = new Map(this.asked.at(-1));
    applyTo(next, changes);
    this.asked.push(next);
    const head = await store.commit(changes);
    if (head.version > (this.promised?.version ?? 0n)) this.promised = head;
  }

  /** Opens the store and closes it; what was wrong then or at any opening before. */
  async problemFound(): Promise<string | undefined> {
    const store = await this.open();
    await store[Symbol.asyncDispose]();
    return this.problem;
  }

  /** Only the process dies: what was not synced is still there, and still not synced. */
  kill(): void {
    this.fs.fault = undefined;
    this.#lock.release();
  }

  crash(loss: Loss): void {
    this.fs.crash(loss);
    this.#lock.release();
  }

  /** What a store lost is forgotten here too. */
  #problemOf(store: Store): string | undefined {
    const version = Number(store.head.version);
    if (this.promised !== undefined && store.head.version < this.promised.version)
      return `version ${version} is there, ${this.promised.version} was promised`;
    if (
      this.promised !== undefined &&
      !equalBytes(store.hashAt(this.promised.version) ?? store.head.hash, this.promised.hash)
    )
      return 'the chain is another one';
    const expected = this.asked[version];
    if (expected === undefined) return `version ${version} was never asked for`;
    this.asked.length = version + 1;
    const equal =
      expected.size === store.entries.size &&
      [...expected].every(([key, value]) => equalBytes(store.entries.get(key) ?? utf8('none at all'), value));
    return equal ? undefined : `version ${version} holds something else`;
  }
}

type Step = readonly (readonly Change[])[] | 'reopen';

/** Commits of each step at once. Stops where the disk does. */
async function play(machine: Machine, history: readonly Step[]): Promise<void> {
  let store: Store | undefined;
  try {
    store = await machine.open();
    for (const step of history) {
      if (step === 'reopen') {
        await store[Symbol.asyncDispose]();
        store = await machine.open();
      } else {
        const done = await Promise.allSettled(step.map((changes) => machine.commit(store as Store, changes))); // it is open
        if (done.some(({ status }) => status === 'rejected')) break;
      }
    }
  } catch {
    // The machine is dead; what matters is what it left.
  }
  await store?.[Symbol.asyncDispose]().then(undefined, () => {});
}

const value = (n: number) => utf8(`${n}`.repeat(30));
/** Concurrent and single commits, changes and removals, reopenings, and enough bytes to write the file anew several times. */
const history: readonly Step[] = Array.from({ length: 24 }, (_, i): Step => {
  if (i % 7 === 6) return 'reopen';
  const batch = (n: number): readonly Change[] => [
    { key: `k${n % 5}`, value: value(n) },
    { key: `k${(n + 2) % 5}`, value: n % 3 === 0 ? undefined : value(n + 1) },
  ];
  return Array.from({ length: 1 + (i % 3) }, (_, j) => batch(3 * i + j));
});

/** A random source that a seed determines (mulberry32). */
function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const losses: readonly (readonly [string, (n: number) => Loss])[] = [
  ['all that was not synced', () => 'all'],
  ['nothing', () => 'none'],
  ['some of what was not synced', (n) => ({ random: seeded(n) })],
  ['other parts of what was not synced', (n) => ({ random: seeded(n + 10_000) })],
];

async function callsOf(steps: readonly Step[]): Promise<number> {
  const machine = new Machine();
  await play(machine, steps);
  return machine.fs.calls;
}

for (const [name, loss] of losses)
  test(`killed at any call, losing ${name}, a store opens at a prefix with every promised commit, and goes on`, async (t) => {
    const total = await callsOf(history);
    t.true(total > 90, `${total} calls`);
    for (let at = 1; at <= total; at++) {
      const machine = new Machine();
      machine.fs.fault = { at, kills: true };
      await play(machine, history);
      machine.crash(loss(at));
      const store = await machine.open();
      t.is(machine.problem, undefined, `killed at call ${at}`);
      await machine.commit(store, [{ key: 'after', value: value(at) }]);
      await store[Symbol.asyncDispose]();
      await using again = await machine.open();
      t.is(machine.problem, undefined, `after going on from call ${at}`);
      t.true(again.entries.has('after'));
    }
  });

test('what a store shows after its process died survives a crash of the machine that follows, with or without a commit between', async (t) => {
  const total = await callsOf(history);
  for (const commits of [0, 1]) {
    for (let at = 1; at <= total; at++) {
      const machine = new Machine();
      machine.fs.fault = { at, kills: true };
      await play(machine, history);
      machine.kill();
      const store = await machine.open();
      for (let i = 0; i < commits; i++) await machine.commit(store, [{ key: 'after', value: value(at) }]);
      machine.crash('all');
      t.is(await machine.problemFound(), undefined, `process killed at call ${at}`);
    }
  }
});

test('killed at any call of opening after a crash, a store still opens at what was promised', async (t) => {
  for (let first = 5; first <= 60; first += 3) {
    for (let second = 1; second <= 12; second++) {
      const machine = new Machine();
      machine.fs.fault = { at: first, kills: true };
      await play(machine, history);
      machine.crash({ random: seeded(first) });
      machine.fs.calls = 0;
      machine.fs.fault = { at: second, kills: true };
      await play(machine, history.slice(0, 2));
      machine.crash({ random: seeded(second) });
      t.is(await machine.problemFound(), undefined, `killed at call ${first}, then at ${second}`);
    }
  }
});

test('a call that fails once ends the store: nothing is promised after it, and opening again goes on', async (t) => {
  const total = await callsOf(history);
  for (let at = 1; at <= total; at++) {
    const machine = new Machine();
    machine.fs.fault = { at, kills: false };
    await play(machine, history);
    t.is(await machine.problemFound(), undefined, `failed at call ${at}`);
  }
});

test('after a failed sync every commit is refused, though the disk works again', async (t) => {
  const machine = new Machine();
  const store = await machine.open();
  await machine.commit(store, [{ key: 'a', value: value(1) }]);
  machine.fs.fault = { at: machine.fs.calls + 2, kills: false };
  const failed = [store.commit([{ key: 'a', value: value(2) }]), store.commit([{ key: 'a', value: value(3) }])];
  for (const commit of failed)
    await t.throwsAsync(commit, { instanceOf: StoreError, message: /start the signer again/ });
  await t.throwsAsync(store.commit([{ key: 'a', value: value(4) }]), { instanceOf: StoreError });
  await t.throwsAsync(store.commit([]), { instanceOf: StoreError });
  t.is(store.head.version, 1n);
  await store[Symbol.asyncDispose]();
});

test('the disk it takes grows with what is held, not with what was committed', async (t) => {
  const machine = new Machine();
  await using store = await machine.open();
  for (let i = 0; i < 3000; i++) await store.commit([{ key: `k${i % 5}`, value: value(i) }]);
  t.true(machine.fs.size < 150_000, `${machine.fs.size} bytes`);
});

test('random histories with crashes at random calls', async (t) => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.array(batches, { minLength: 1, maxLength: 3 }) },
    { weight: 1, arbitrary: fc.constant('reopen' as const) },
  );
  const life = fc.record({
    history: fc.array(step, { maxLength: 12 }),
    dies: fc.integer({ min: 1, max: 60 }),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 4 }), async (lives) => {
      const machine = new Machine();
      for (const { history: steps, dies, seed } of lives) {
        machine.fs.calls = 0;
        machine.fs.fault = { at: dies, kills: true };
        await play(machine, steps);
        machine.crash({ random: seeded(seed) });
        const problem = await machine.problemFound();
        if (problem !== undefined) throw new Error(problem);
      }
    }),
    { numRuns: 150 },
  );
  t.pass();
});
