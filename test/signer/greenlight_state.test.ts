import test from 'ava';
import { toHex, utf8 } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';
import { fromStateEntries, type StateEntry, stateDigest, toStateEntries } from '../../signer/store/greenlight_state.ts';
import { openMemoryStore } from '../../signer/store/memory.ts';
import { Seal, SealError } from '../../signer/store/seal.ts';
import { openSealed, SealedCopy } from '../../signer/store/sealed.ts';
import type { Change } from '../../signer/store/store.ts';
import { shown } from './store_suite.ts';

let counter = 0;
const entropy = (length: number) => new Uint8Array(length).fill(++counter);
const seal = new Seal(new Secret(new Uint8Array(32).fill(1)), entropy);
const sign = (digest: Uint8Array) => Uint8Array.of(...digest, ...digest);
/** The prefixes under which Greenlight's own signers keep theirs. */
const theirPrefixes = ['nodes/', 'nodestates/', 'channels/', 'allowlists/', 'trackers/', 'peers/'];

/** Greenlight's rule: per key the highest version stays; an equal one changes nothing. */
function merge(server: Map<string, StateEntry>, entries: readonly StateEntry[]): void {
  for (const entry of entries) {
    const held = server.get(entry.key);
    if (held === undefined || entry.version > held.version) server.set(entry.key, entry);
  }
}

test('the copy survives a Greenlight server, with removed keys, and keys that come back', async (t) => {
  const store = openMemoryStore({}, 'create');
  const copy = new SealedCopy(seal, store);
  const server = new Map<string, StateEntry>([
    ['nodes/02ab', { version: 3n, key: 'nodes/02ab', value: utf8('{}'), signature: new Uint8Array(64) }],
  ]);
  const history: readonly (readonly Change[])[] = [
    [
      { key: 'node', value: utf8('1') },
      { key: 'a', value: utf8('x') },
    ],
    [{ key: 'a', value: undefined }],
    [
      { key: 'a', value: utf8('back') },
      { key: 'b', value: utf8('y') },
    ],
    [{ key: 'b', value: undefined }],
  ];
  for (const changes of history) {
    merge(server, toStateEntries(copy.update(changes, await store.commit(changes)), sign));
    const { entries, head } = fromStateEntries(server.values());
    if (head === undefined) throw new Error('no head');
    t.deepEqual(shown(openSealed(seal, entries, head, store.head.version)), shown(store));
  }
  for (const { key, value, signature, version } of server.values()) {
    t.notThrows(() => JSON.parse(new TextDecoder().decode(value)));
    t.is(signature.length, 64);
    t.true(version < 2n ** 64n - 1n, 'no tombstone, which could never be taken back');
    if (key !== 'nodes/02ab') t.false(theirPrefixes.some((prefix) => key.startsWith(prefix)));
  }
});

test('what is signed is the digest of tag, key, version and value', (t) => {
  // SHA-256 of "greenlight/state-signing/v1", 0, u32 9, "keyhold/a", u64 5, u32 2, "\"\"", computed apart from this code.
  t.is(
    toHex(stateDigest({ version: 5n, key: 'keyhold/a', value: utf8('""') })),
    'd737af5ffbcdd502ee9ef93f79372ff19dfde45315a9dde52176f283915d6a6a',
  );
});

test('a server without a copy of ours gives no head', (t) => {
  t.deepEqual(fromStateEntries([{ version: 1n, key: 'channels/00', value: utf8('not even json') }]), {
    entries: [],
    head: undefined,
  });
});

test('a value that is not ours to read is an error, not a crash', (t) => {
  for (const value of ['', '{', '{}', '5', 'null', '"not base64!"', '"abc"'])
    t.is(
      t.throws(() => fromStateEntries([{ version: 1n, key: 'keyhold/head', value: utf8(value) }]), {
        instanceOf: SealError,
      }).problem,
      'malformed',
      value,
    );
});
