import test from 'ava';
import { utf8 } from '../../proto/bytes.ts';
import { openMemoryStore } from '../../signer/store/memory.ts';
import { compareHeads } from '../../signer/store/rollback.ts';
import { rememberedHashes } from '../../signer/store/state.ts';
import type { Head, Snapshot, Store } from '../../signer/store/store.ts';

async function storeWith(values: readonly string[]): Promise<{ store: Store; heads: readonly Head[] }> {
  const store = openMemoryStore({}, 'create');
  const heads: Head[] = [store.head];
  for (const value of values) heads.push(await store.commit([{ key: 'node', value: utf8(value) }]));
  return { store, heads };
}

const five = ['1', '2', '3', '4', '5'];

test('equal heads are the same state', async (t) => {
  const { store: local } = await storeWith(five);
  t.deepEqual(compareHeads({ local, copy: local.head, seen: local.head }), { kind: 'same' });
  t.deepEqual(compareHeads({ local, copy: local.head, seen: undefined }), { kind: 'same' });
});

test('an older copy of our own chain, or none, is to be brought up', async (t) => {
  const { store: local, heads } = await storeWith(five);
  for (const copy of heads.slice(0, 5))
    t.deepEqual(compareHeads({ local, copy, seen: local.head }), { kind: 'host behind', copy, proven: true });
  t.deepEqual(compareHeads({ local, copy: undefined, seen: undefined }), {
    kind: 'host behind',
    copy: undefined,
    proven: true,
  });
});

test('a local state that was put back is not served, and the owner is told how to recover', async (t) => {
  const { store: newest } = await storeWith(five);
  const { store: local } = await storeWith(five.slice(0, 3));
  for (const [copy, seen] of [
    [newest.head, newest.head],
    [newest.head, undefined],
    [local.head, newest.head],
    [undefined, newest.head],
  ] as const) {
    const verdict = compareHeads({ local, copy, seen });
    t.is(verdict.kind, 'local behind');
    if (verdict.kind === 'local behind')
      t.regex(verdict.problem, /version 3.*signed at version 5.*nothing is signed.*keyhold signer recover/i);
  }
});

test('a local state that was lost and begun anew is not served', async (t) => {
  const { store: newest } = await storeWith(five);
  const { store: local } = await storeWith([]);
  t.is(compareHeads({ local, copy: newest.head, seen: newest.head }).kind, 'local behind');
});

test('two signers that went on from the same state are found out, at the same version and later', async (t) => {
  const { store: theirs, heads } = await storeWith(['1', '2', '3', 'theirs', '5']);
  for (const ours of [
    ['1', '2', '3', 'ours', '5'],
    [...five, '6', '7'],
  ]) {
    const { store: local } = await storeWith(ours);
    const verdict = compareHeads({ local, copy: theirs.head, seen: undefined });
    t.is(verdict.kind, 'forked');
    if (verdict.kind === 'forked') t.regex(verdict.problem, /two signers.*keyhold signer recover/i);
    t.is(
      compareHeads({ local, copy: heads[3], seen: theirs.head }).kind,
      'forked',
      'the copy is ours, the head seen is not',
    );
  }
});

test('a copy older than the store remembers is behind, but not proven to be ours', async (t) => {
  const { store, heads } = await storeWith(Array.from({ length: rememberedHashes + 5 }, (_, i) => `${i}`));
  const verdict = compareHeads({ local: store, copy: heads[2], seen: undefined });
  t.deepEqual(verdict, { kind: 'host behind', copy: heads[2], proven: false });
});

test('a state recovered from a copy is the same as that copy', async (t) => {
  const { store } = await storeWith(five);
  const recovered: Snapshot = { entries: store.entries, versions: store.versions, head: store.head };
  const local = openMemoryStore({}, { recovered });
  t.is(compareHeads({ local, copy: store.head, seen: store.head }).kind, 'same');
});
