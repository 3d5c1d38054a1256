import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { lockFolder } from '../../signer/node/folder_lock.ts';
import { StoreError } from '../../signer/store/store.ts';

const entropy = (length: number) => Uint8Array.from(randomBytes(length));

async function folderFor(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'keyhold-'));
  t.teardown(() => rm(folder, { recursive: true }));
  return folder;
}

test('a folder is held by one, and free again when that one lets go', async (t) => {
  const folder = await folderFor(t);
  const first = await lockFolder(folder, entropy);
  await t.throwsAsync(lockFolder(folder, entropy), {
    instanceOf: StoreError,
    message: /open in another signer.*stop that one first/,
  });
  await first[Symbol.asyncDispose]();
  t.deepEqual(await readdir(folder), []);
  await using second = await lockFolder(folder, entropy);
  t.truthy(second);
});

test('of many that open a folder at once never two get it', async (t) => {
  const folder = await folderFor(t);
  for (let round = 0; round < 10; round++) {
    const attempts = await Promise.allSettled(Array.from({ length: 6 }, () => lockFolder(folder, entropy)));
    const holders = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
    t.true(holders.length <= 1, `${holders.length} hold it`);
    for (const attempt of attempts) if (attempt.status === 'rejected') t.true(attempt.reason instanceof StoreError);
    for (const holder of holders) await holder[Symbol.asyncDispose]();
    await (await lockFolder(folder, entropy))[Symbol.asyncDispose]();
  }
});

test('another process holds it while it lives, and no longer when it was killed', async (t) => {
  const folder = await folderFor(t);
  const script = `
    const { lockFolder } = await import(${JSON.stringify(new URL('../../signer/node/folder_lock.js', import.meta.url).href)});
    await lockFolder(${JSON.stringify(folder)}, (length) => crypto.getRandomValues(new Uint8Array(length)));
    console.log('held');
    setInterval(() => {}, 1000);`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => other.kill('SIGKILL'));
  await once(other.stdout, 'data');
  await t.throwsAsync(lockFolder(folder, entropy), { instanceOf: StoreError });
  other.kill('SIGSTOP');
  await t.throwsAsync(lockFolder(folder, entropy), { instanceOf: StoreError }, 'a stopped holder still holds');
  other.kill('SIGKILL');
  await once(other, 'exit');
  t.is((await readdir(folder)).length, 1, 'the dead one left its socket');
  await using mine = await lockFolder(folder, entropy);
  t.truthy(mine);
  t.is((await readdir(folder)).length, 1);
});

test('a path too long for a socket is refused with what to do', async (t) => {
  await t.throwsAsync(lockFolder(`/tmp/${'x'.repeat(120)}`, entropy), {
    instanceOf: StoreError,
    message: /choose a shorter one/,
  });
});
