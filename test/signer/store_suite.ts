/**
 * What every store must do, wherever it keeps its state: run against each of them in store.test.ts, and in a browser.
 * No test runner in here: a case fails by throwing.
 */

import fc from 'fast-check';
import { equalBytes, toHex, utf8 } from '../../proto/bytes.ts';
import { rememberedHashes } from '../../signer/store/state.ts';
import {
  type Change,
  type Head,
  type Snapshot,
  type Store,
  StoreError,
  type WhenMissing,
} from '../../signer/store/store.ts';

/** Somewhere to keep one store, empty at first. */
export interface Place {
  open(whenMissing: WhenMissing): Promise<Store>;
}

export interface StoreCase {
  readonly title: string;
  readonly run: (place: Place) => Promise<void>;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`expected ${what}`);
}

function same(actual: unknown, expected: unknown, what: string): void {
  const text = (value: unknown) =>
    JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}` : part));
  if (text(actual) !== text(expected)) throw new Error(`${what}: expected ${text(expected)}, got ${text(actual)}`);
}

/** A state in a form that can be compared. */
export function shown({ entries, versions, head }: Snapshot): object {
  const rows = Array.from(entries, ([key, value]) => [key, toHex(value), versions.get(key)]).sort(([a], [b]) =>
    String(a) < String(b) ? -1 : 1,
  );
  return { rows, versions: versions.size, version: head.version, hash: toHex(head.hash) };
}

async function thrownBy(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error: unknown) {
    return error;
  }
  throw new Error('expected it to throw');
}

const put = (key: string, text: string): Change => ({ key, value: utf8(text) });
const remove = (key: string): Change => ({ key, value: undefined });
const keys = fc.constantFrom('node', 'a', 'b', 'channel/02ab/1', 'payment/00');
export const batches = fc.array(
  fc.record({ key: keys, value: fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined }) }),
  { minLength: 1, maxLength: 4 },
);

/** Applies a batch to a plain model. */
export function applyTo(model: Map<string, Uint8Array>, changes: readonly Change[]): void {
  for (const { key, value } of changes) {
    if (value === undefined) model.delete(key);
    else model.set(key, value);
  }
}

const sameEntries = (a: ReadonlyMap<string, Uint8Array>, b: ReadonlyMap<string, Uint8Array>) =>
  a.size === b.size && [...a].every(([key, value]) => equalBytes(value, b.get(key) ?? new Uint8Array(1000)));

export const storeCases: readonly StoreCase[] = [
  {
    title: 'a new store is empty, at version 0',
    async run(place) {
      await using store = await place.open('create');
      same(shown(store), { rows: [], versions: 0, version: 0n, hash: '00'.repeat(32) }, 'a new store');
    },
  },
  {
    title: 'a missing store is not silently begun anew',
    async run(place) {
      const error = await thrownBy(() => place.open('fail'));
      check(error instanceof StoreError && error.message.includes('keyhold signer recover'), 'the way to recover');
      await using store = await place.open('create');
      same(store.head.version, 0n, 'version');
    },
  },
  {
    title: 'what was committed is there when the store is opened again, by the same chain',
    async run(place) {
      let before: object;
      {
        await using store = await place.open('create');
        await store.commit([put('node', 'one'), put('channel/02/1', 'x'), put('gone', 'soon')]);
        await store.commit([put('node', 'two'), remove('gone'), remove('never-there')]);
        const head = await store.commit([put('a', '1'), put('a', '2'), put('b', ''), remove('b'), put('c', '')]);
        same(head, store.head, 'the head that the commit gave');
        before = shown(store);
        same(
          [store.entries.get('node'), store.entries.get('a')].map((value) => value && toHex(value)),
          [toHex(utf8('two')), toHex(utf8('2'))],
          'last changes win',
        );
        same(
          ['channel/02/1', 'node', 'a', 'c'].map((key) => store.versions.get(key)),
          [1n, 2n, 3n, 3n],
          'versions',
        );
      }
      await using store = await place.open('fail');
      same(shown(store), before, 'after opening again');
      same(
        toHex(store.head.hash),
        '37dc09978da576134d605f784ded305ef05c895fdc21ce8d265b656c19c928ed',
        'the chain, the same in every store',
      );
    },
  },
  {
    title: 'concurrent commits keep their order and each sees its own head',
    async run(place) {
      let heads: readonly Head[];
      {
        await using store = await place.open('create');
        const commits = Array.from({ length: 50 }, async (_, i) => {
          const head = await store.commit([put('counter', `${i}`), put(`own/${i}`, '')]);
          check(store.entries.has(`own/${i}`) && store.head.version >= head.version, 'the store to show what resolved');
          return head;
        });
        heads = await Promise.all(commits);
      }
      same(
        heads.map(({ version }) => version),
        Array.from({ length: 50 }, (_, i) => BigInt(i + 1)),
        'versions',
      );
      await using store = await place.open('fail');
      same(toHex(store.entries.get('counter') ?? new Uint8Array()), toHex(utf8('49')), 'the last one');
      for (const { version, hash } of heads)
        check(equalBytes(store.hashAt(version) ?? hash.subarray(1), hash), `the hash at ${version}`);
    },
  },
  {
    title: 'an open store cannot be opened a second time',
    async run(place) {
      {
        await using store = await place.open('create');
        check((await thrownBy(() => place.open('create'))) instanceof StoreError, 'a StoreError');
        await store.commit([put('a', '1')]);
      }
      await using store = await place.open('fail');
      same(store.head.version, 1n, 'version');
    },
  },
  {
    title: 'a malformed key is refused, and nothing of its batch is kept',
    async run(place) {
      await using store = await place.open('create');
      for (const key of ['', 'a b', 'ä', '\n', 'x'.repeat(256)])
        check(
          (await thrownBy(() => store.commit([put('fine', ''), put(key, '')]))) instanceof RangeError,
          'a RangeError',
        );
      await store.commit([put('x'.repeat(255), '')]);
      same([...store.entries.keys()].length, 1, 'entries');
      same(store.head.version, 1n, 'version');
    },
  },
  {
    title: 'closing waits for commits under way, and nothing is taken afterwards',
    async run(place) {
      const store = await place.open('create');
      const commit = store.commit([put('a', '1')]);
      await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()]);
      same((await commit).version, 1n, 'version');
      check((await thrownBy(() => store.commit([put('a', '2')]))) instanceof StoreError, 'a StoreError');
      await using again = await place.open('fail');
      same(again.head.version, 1n, 'version');
    },
  },
  {
    title: 'bytes changed after the commit was asked for do not change what is kept',
    async run(place) {
      const value = utf8('before');
      {
        await using store = await place.open('create');
        const commit = store.commit([{ key: 'a', value }]);
        value.fill(0);
        await commit;
        same(toHex(store.entries.get('a') ?? value), toHex(utf8('before')), 'in memory');
      }
      await using store = await place.open('fail');
      same(toHex(store.entries.get('a') ?? value), toHex(utf8('before')), 'opened again');
    },
  },
  {
    title: 'a commit without changes makes no version, but resolves after those before it',
    async run(place) {
      await using store = await place.open('create');
      same(await store.commit([]), store.head, 'the head of a new store');
      const first = store.commit([put('a', '1')]);
      const head = await store.commit([]);
      same(head, await first, 'the head before it');
      same(store.head.version, 1n, 'version');
    },
  },
  {
    title: 'a recovered state is begun with, and never put over another',
    async run(place) {
      const recovered: Snapshot = {
        entries: new Map([['node', utf8('recovered')]]),
        versions: new Map([['node', 5n]]),
        head: { version: 9n, hash: new Uint8Array(32).fill(9) },
      };
      {
        await using store = await place.open({ recovered });
        same(shown(store), shown(recovered), 'the recovered state');
        same((await store.commit([put('a', '1')])).version, 10n, 'version');
      }
      check((await thrownBy(() => place.open({ recovered }))) instanceof StoreError, 'a StoreError');
      await using store = await place.open('fail');
      same(store.versions.get('node'), 5n, 'the version it was changed at');
    },
  },
  {
    title: 'earlier hashes are remembered for a while',
    async run(place) {
      const total = rememberedHashes + 50;
      {
        await using store = await place.open('create');
        await Promise.all(Array.from({ length: total }, (_, i) => store.commit([put('n', `${i}`)])));
      }
      await using store = await place.open('fail');
      const oldest = BigInt(total - rememberedHashes + 1);
      check(store.hashAt(BigInt(total) + 1n) === undefined, 'no hash of a version to come');
      check(store.hashAt(oldest)?.length === 32, 'the oldest hash');
      check(store.hashAt(oldest - 1n) === undefined, 'nothing older');
    },
  },
  {
    title: 'a store is what a plain map would be, whatever happens to it',
    async run(place) {
      const model = new Map<string, Uint8Array>();
      let version = 0n;
      const steps = fc.array(
        fc.oneof({ weight: 8, arbitrary: batches }, { weight: 1, arbitrary: fc.constant('reopen' as const) }),
        { maxLength: 30 },
      );
      await using closing = {
        store: await place.open('create'),
        [Symbol.asyncDispose]: () => closing.store[Symbol.asyncDispose](),
      };
      const property = fc.asyncProperty(steps, async (history) => {
        for (const step of history) {
          if (step === 'reopen') {
            await closing.store[Symbol.asyncDispose]();
            closing.store = await place.open('fail');
          } else {
            await closing.store.commit(step);
            applyTo(model, step);
            version++;
          }
          check(
            sameEntries(closing.store.entries, model) && closing.store.head.version === version,
            'the store to equal the model',
          );
        }
      });
      await fc.assert(property, { numRuns: 20 });
    },
  },
];
