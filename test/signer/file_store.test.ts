import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { utf8 } from '../../proto/bytes.ts';
import { openFileStore } from '../../signer/node/file_store.ts';
import { type Store, StoreError, type WhenMissing } from '../../signer/store/store.ts';

const entropy = (length: number) => Uint8Array.from(randomBytes(length));

async function folderFor(t: ExecutionContext) {
  const root = await mkdtemp(join(tmpdir(), 'keyhold-'));
  t.teardown(() => rm(root, { recursive: true }));
  const folder = join(root, 'node');
  const logged: unknown[] = [];
  const open = (whenMissing: WhenMissing): Promise<Store> =>
    openFileStore({
      folder,
      whenMissing,
      entropy,
      log: (level, message, fields) => logged.push([level, message, fields]),
    });
  return { folder, path: join(folder, 'state.log'), logged, open };
}

/** Three commits, and closed. */
async function filled(open: (whenMissing: WhenMissing) => Promise<Store>): Promise<void> {
  await using store = await open('create');
  for (const text of ['one', 'two', 'three']) await store.commit([{ key: 'node', value: utf8(text) }]);
}

test('a store that was closed is whole: damage to its last commit is an error, not an unfinished write', async (t) => {
  const { path, open } = await folderFor(t);
  await filled(open);
  const bytes = await readFile(path);
  const at = bytes.lastIndexOf('three');
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
  await t.throwsAsync(open('fail'), { instanceOf: StoreError, message: /state\.log is damaged at byte \d+/ });
  t.deepEqual(await readFile(path), bytes, 'the file is left as it was found');
});

test('an unfinished write is dropped, with a word about it, and written over', async (t) => {
  const { path, logged, open } = await folderFor(t);
  await filled(open);
  const whole = await readFile(path);
  const tail = randomBytes(50);
  await writeFile(path, Buffer.concat([whole, tail]));
  {
    await using store = await open('fail');
    t.is(store.head.version, 3n);
    t.deepEqual(logged, [
      ['warn', 'dropped an unfinished write of the signer state', { file: path, offset: whole.length, bytes: 50 }],
    ]);
    t.false((await readFile(path)).includes(tail), 'it is gone');
    await store.commit([{ key: 'node', value: utf8('four') }]);
  }
  await using store = await open('fail');
  t.is(store.head.version, 4n);
  t.is(logged.length, 1);
});

test('only its owner can read the state, and a folder holds nothing but it', async (t) => {
  const { folder, path, open } = await folderFor(t);
  await filled(open);
  await writeFile(`${path}.new`, 'left by a crash');
  await using store = await open('fail');
  t.is(store.head.version, 3n);
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.is((await stat(folder)).mode & 0o777, 0o700);
  t.deepEqual(
    (await readdir(folder)).filter((name) => !name.startsWith('lock-')),
    ['state.log'],
  );
});

test('a store that cannot be opened does not stay locked', async (t) => {
  const { open } = await folderFor(t);
  await t.throwsAsync(open('fail'), { instanceOf: StoreError });
  await filled(open);
  t.pass();
});
