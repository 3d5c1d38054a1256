import test from 'ava';
import fc from 'fast-check';
import { toHex, utf8 } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';
import { openMemoryStore } from '../../signer/store/memory.ts';
import { Seal, SealError, type SealedEntry, type SealedHead, type SealProblem } from '../../signer/store/seal.ts';
import { openSealed, SealedCopy, type SealedUpdate } from '../../signer/store/sealed.ts';
import type { Change, Store } from '../../signer/store/store.ts';
import { batches, shown } from './store_suite.ts';

let counter = 0;
/** Never the same bytes twice. */
const entropy = (length: number) => {
  const bytes = new Uint8Array(length).fill(0x5a);
  new DataView(bytes.buffer).setUint32(0, ++counter);
  return bytes;
};
const sealOf = (seed: number) => new Seal(new Secret(new Uint8Array(32).fill(seed)), entropy);
const seal = sealOf(1);

/** A host that keeps what it is given, and remembers all of it. */
class Host {
  readonly entries = new Map<string, SealedEntry>();
  head: SealedHead | undefined;
  /** The copy after each update. */
  readonly past: { readonly entries: readonly SealedEntry[]; readonly head: SealedHead }[] = [];

  take({ entries, head }: SealedUpdate): void {
    for (const entry of entries) {
      if (entry.ciphertext === undefined) this.entries.delete(entry.key);
      else this.entries.set(entry.key, entry);
    }
    this.head = head;
    this.past.push({ entries: [...this.entries.values()], head });
  }
}

const put = (key: string, text: string): Change => ({ key, value: utf8(text) });

/** A node's history: the store, and a host with its copy. */
async function played(): Promise<{ store: Store; host: Host; copy: SealedCopy }> {
  const store = openMemoryStore({}, 'create');
  const host = new Host();
  const copy = new SealedCopy(seal, store);
  const history = [
    [put('node', '1'), put('channel/02aa/1', 'n=1')],
    [put('channel/02aa/1', 'n=2'), put('channel/02bb/2', 'n=1')],
    [put('payment/00ff', 'in flight'), put('channel/02bb/2', 'n=2')],
    [{ key: 'payment/00ff', value: undefined }, put('node', '2')],
    [put('channel/02aa/1', 'n=3'), put('channel/02aa/1', 'n=4'), put('node', '2')],
  ];
  for (const changes of history) host.take(copy.update(changes, await store.commit(changes)));
  return { store, host, copy };
}

function last(host: Host): { readonly entries: readonly SealedEntry[]; readonly head: SealedHead } {
  const copy = host.past.at(-1);
  if (copy === undefined) throw new Error('no copy');
  return copy;
}

test('the whole copy opens to the state it was made of', async (t) => {
  const { store, host } = await played();
  const { entries, head } = last(host);
  t.deepEqual(shown(openSealed(seal, entries, head, 5n)), shown(store));
  t.deepEqual(shown(openSealed(seal, [...entries].reverse(), head, 0n)), shown(store), 'in any order');
});

test('the host sees neither keys nor values, and equal values look different', async (t) => {
  const { host } = await played();
  const bytes = host.past.flatMap(({ entries, head }) => [
    ...entries.flatMap(({ ciphertext }) => ciphertext ?? []),
    head.ciphertext,
  ]);
  const names = [...host.entries.keys()];
  for (const word of ['channel', '02aa', 'payment', 'n=2', 'node']) {
    t.false(
      bytes.some((part) => toHex(part).includes(toHex(utf8(word)))),
      word,
    );
    t.false(
      names.some((name) => name.includes(word)),
      word,
    );
  }
  t.true(names.every((name) => /^[0-9a-f]{64}$/.test(name)));
  t.notDeepEqual(seal.entry('a', 1n, utf8('x')).ciphertext, seal.entry('a', 1n, utf8('x')).ciphertext);
  t.not(seal.name('channel/02aa/1'), sealOf(2).name('channel/02aa/1'));
});

type Attack = (host: Host) => { readonly entries: readonly SealedEntry[]; readonly head: SealedHead };
const flipped = (bytes: Uint8Array | undefined, at: number): Uint8Array => {
  const out = Uint8Array.from(bytes ?? []);
  const i = at < 0 ? out.length + at : at;
  out[i] = (out[i] ?? 0) ^ 1;
  return out;
};
/** The copy after `n` updates. */
const after = (host: Host, n: number) => host.past[n - 1] ?? last(host);
const withFirst = (host: Host, change: (entry: SealedEntry, second: SealedEntry) => SealedEntry) => {
  const { entries, head } = last(host);
  const [first, second, ...rest] = entries;
  if (first === undefined || second === undefined) throw new Error('entries');
  return { entries: [change(first, second), second, ...rest], head };
};

/** The newest copy with one entry changed. */
const withKey = (host: Host, name: string, change: (entry: SealedEntry) => SealedEntry) => {
  const { entries, head } = last(host);
  return { entries: entries.map((entry) => (entry.key === seal.name(name) ? change(entry) : entry)), head };
};

const attacks: readonly (readonly [string, SealProblem, Attack])[] = [
  ['an older copy, whole', 'rolled back', (host) => after(host, 4)],
  ['the newest head on an older copy', 'wrong entries', (host) => ({ ...after(host, 4), head: last(host).head })],
  [
    'one entry from an older version',
    'wrong entries',
    (host) =>
      withFirst(
        host,
        (first) =>
          after(host, 1).entries.find(({ key, version }) => key === first.key && version !== first.version) ?? first,
      ),
  ],
  [
    'an entry of an older version with the same value',
    'wrong entries',
    (host) => withKey(host, 'node', (entry) => after(host, 4).entries.find(({ key }) => key === entry.key) ?? entry),
  ],
  ['an entry dropped', 'wrong count', (host) => ({ ...last(host), entries: last(host).entries.slice(1) })],
  ['all entries dropped', 'wrong count', (host) => ({ ...last(host), entries: [] })],
  [
    'a removed entry put back',
    'wrong count',
    (host) => {
      const held = new Set(last(host).entries.map(({ key }) => key));
      return {
        ...last(host),
        entries: [...last(host).entries, ...after(host, 3).entries.filter(({ key }) => !held.has(key))],
      };
    },
  ],
  [
    'a removed entry put back in place of another',
    'wrong entries',
    (host) => {
      const held = new Set(last(host).entries.map(({ key }) => key));
      return {
        ...last(host),
        entries: [...last(host).entries.slice(1), ...after(host, 3).entries.filter(({ key }) => !held.has(key))],
      };
    },
  ],
  [
    'an entry twice',
    'wrong entries',
    (host) => ({ ...last(host), entries: [...last(host).entries, ...last(host).entries.slice(0, 1)] }),
  ],
  [
    'two entries with their contents swapped',
    'foreign entry',
    (host) => withFirst(host, (first, second) => ({ ...first, ciphertext: second.ciphertext })),
  ],
  [
    'two entries with their names swapped',
    'foreign entry',
    (host) => withFirst(host, (first, second) => ({ ...first, key: second.key })),
  ],
  [
    'an entry that claims another version',
    'foreign entry',
    (host) => withFirst(host, (first) => ({ ...first, version: first.version + 1n })),
  ],
  [
    'an entry with a bit changed',
    'foreign entry',
    (host) => withFirst(host, (first) => ({ ...first, ciphertext: flipped(first.ciphertext, 30) })),
  ],
  [
    'an entry with its nonce changed',
    'foreign entry',
    (host) => withFirst(host, (first) => ({ ...first, ciphertext: flipped(first.ciphertext, 0) })),
  ],
  [
    'an entry cut short',
    'foreign entry',
    (host) => withFirst(host, (first) => ({ ...first, ciphertext: first.ciphertext?.subarray(0, -1) })),
  ],
  [
    'an entry cut to almost nothing',
    'foreign entry',
    (host) => withFirst(host, (first) => ({ ...first, ciphertext: first.ciphertext?.subarray(0, 7) })),
  ],
  [
    'an entry marked as removed',
    'malformed',
    (host) => withFirst(host, (first) => ({ ...first, ciphertext: undefined })),
  ],
  ['an entry under a name that is none', 'malformed', (host) => withFirst(host, (first) => ({ ...first, key: 'zz' }))],
  [
    'another node’s entry',
    'foreign entry',
    (host) => withFirst(host, (first) => ({ ...sealOf(2).entry('node', first.version, utf8('2')), key: first.key })),
  ],
  [
    'another node’s head',
    'foreign head',
    (host) => ({
      ...last(host),
      head: sealOf(2).head({ head: { version: 5n, hash: new Uint8Array(32) }, count: 3, sum: 0n }),
    }),
  ],
  [
    'an older head under the newest version',
    'foreign head',
    (host) => ({ ...last(host), head: { ...after(host, 4).head, version: 5n } }),
  ],
  [
    'a head with a bit changed',
    'foreign head',
    (host) => ({ ...last(host), head: { ...last(host).head, ciphertext: flipped(last(host).head.ciphertext, -1) } }),
  ],
  [
    'a head cut short',
    'foreign head',
    (host) => ({ ...last(host), head: { ...last(host).head, ciphertext: new Uint8Array(3) } }),
  ],
  [
    'an entry in place of the head',
    'foreign head',
    (host) => ({
      ...last(host),
      head: { version: 5n, ciphertext: last(host).entries[0]?.ciphertext ?? new Uint8Array() },
    }),
  ],
];

for (const [title, problem, attack] of attacks)
  test(`detected as "${problem}": ${title}`, async (t) => {
    const { host } = await played();
    const { entries, head } = attack(host);
    const error = t.throws(() => openSealed(seal, entries, head, 5n), { instanceOf: SealError });
    t.is(error.problem, problem, error.message);
  });

test('any mixture of all the entries ever sealed is found out, but the newest', async (t) => {
  const { host } = await played();
  const ever = [...new Set(host.past.flatMap(({ entries }) => entries))];
  const newest = new Set(last(host).entries);
  fc.assert(
    fc.property(fc.subarray(ever), fc.nat(host.past.length - 1), (entries, which) => {
      const { head, entries: right } = host.past[which] ?? last(host);
      const whole = new Set(right);
      const isRight = entries.length === whole.size && entries.every((entry) => whole.has(entry));
      try {
        openSealed(seal, entries, head, 0n);
        return isRight;
      } catch (error: unknown) {
        if (error instanceof SealError) return !isRight;
        throw error;
      }
    }),
    { numRuns: 300 },
  );
  t.true(newest.size === 3);
});

test('another node’s secret opens nothing', async (t) => {
  const { host } = await played();
  t.is(
    t.throws(() => openSealed(sealOf(2), last(host).entries, last(host).head, 0n), { instanceOf: SealError }).problem,
    'foreign head',
  );
});

test('a host that fell behind, lost everything, or kept too much is given exactly what it lacks', async (t) => {
  const { store, host, copy } = await played();
  for (const held of [...host.past.map(({ entries }) => entries), []]) {
    const behind = new Host();
    for (const entry of held) behind.entries.set(entry.key, entry);
    const update = copy.missing(store, held);
    const current = new Set([...host.entries.values()].map(({ key, version }) => `${key}@${version}`));
    t.is(
      update.entries.filter(({ ciphertext }) => ciphertext !== undefined).length,
      current.size - held.filter(({ key, version }) => current.has(`${key}@${version}`)).length,
    );
    behind.take(update);
    t.deepEqual(shown(openSealed(seal, last(behind).entries, last(behind).head, 5n)), shown(store));
  }
});

test('a signer started again goes on with the copy where it was', async (t) => {
  const { store, host } = await played();
  const copy = new SealedCopy(seal, store);
  const changes = [put('node', '3'), { key: 'channel/02bb/2', value: undefined }];
  host.take(copy.update(changes, await store.commit(changes)));
  t.deepEqual(shown(openSealed(seal, last(host).entries, last(host).head, 6n)), shown(store));
});

test('a state recovered from the copy goes on as the lost one would have', async (t) => {
  const { store, host } = await played();
  const recovered = openMemoryStore({}, { recovered: openSealed(seal, last(host).entries, last(host).head, 5n) });
  const changes = [put('node', '3')];
  await store.commit(changes);
  await recovered.commit(changes);
  t.deepEqual(shown(recovered), shown(store));
});

test('a commit out of turn is refused', async (t) => {
  const { store, copy } = await played();
  const skipped = await store.commit([put('a', '1')]);
  const next = await store.commit([put('a', '2')]);
  t.throws(() => copy.update([put('a', '2')], next), { instanceOf: RangeError });
  t.throws(() => copy.missing(store, []), { instanceOf: RangeError });
  t.notThrows(() => copy.update([put('a', '1')], skipped));
  t.throws(() => copy.update([put('a', '1')], skipped), { instanceOf: RangeError });
});

test('the copy of any history opens to the state', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(batches, { minLength: 1, maxLength: 12 }), async (history) => {
      const store = openMemoryStore({}, 'create');
      const host = new Host();
      const copy = new SealedCopy(seal, store);
      for (const changes of history) host.take(copy.update(changes, await store.commit(changes)));
      const opened = shown(openSealed(seal, last(host).entries, last(host).head, store.head.version));
      return JSON.stringify(opened, text) === JSON.stringify(shown(store), text);
    }),
    { numRuns: 50 },
  );
  t.pass();
});

const text = (_key: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);
