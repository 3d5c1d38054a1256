import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { toHex, utf8 } from '../../proto/bytes.ts';
import { type LogFields, silent } from '../../proto/log.ts';
import { DamagedFile, DurableMap } from '../../server/durable_map.ts';
import { temporaryDirectory } from './host_under_test.ts';

const place = async (t: ExecutionContext) => join(await temporaryDirectory(t), 'node.copy');
const shown = (map: DurableMap) => Object.fromEntries(Array.from(map.entries, ([key, value]) => [key, toHex(value)]));
const put = (key: string, value: Uint8Array | undefined) => new Map([[key, value]]);

test('what was written is there when the file is opened again', async (t) => {
  const path = await place(t);
  const first = await DurableMap.open(path, silent);
  await first.write(
    new Map([
      ['a', utf8('1')],
      ['b', utf8('2')],
    ]),
  );
  await first.write(
    new Map([
      ['a', undefined],
      ['c', new Uint8Array()],
    ]),
  );
  t.deepEqual(shown(first), { b: '32', c: '' });
  await first[Symbol.asyncDispose]();
  await t.throwsAsync(first.write(put('a', utf8('late'))), { message: /is closed/ });
  await using again = await DurableMap.open(path, silent);
  t.deepEqual(shown(again), { b: '32', c: '' });
});

test('a write that a crash cut off leaves all before it and nothing of itself, wherever it was cut', async (t) => {
  const path = await place(t);
  const map = await DurableMap.open(path, silent);
  await map.write(put('a', utf8('before')));
  const { size } = await stat(path);
  await map.write(
    new Map([
      ['a', utf8('after')],
      ['b', utf8('more')],
    ]),
  );
  await map[Symbol.asyncDispose]();
  const whole = await readFile(path);
  const warnings: (LogFields | undefined)[] = [];
  for (const end of [size + 1, size + 15, size + 16, whole.length - 1]) {
    await writeFile(path, whole.subarray(0, end));
    await using cut = await DurableMap.open(path, (_level, _message, fields) => warnings.push(fields));
    t.deepEqual(shown(cut), { a: toHex(utf8('before')) });
  }
  t.deepEqual(
    warnings.map((fields) => fields?.['bytes']),
    [1, 15, 16, whole.length - 1 - size],
  );
  await writeFile(path, Buffer.concat([whole.subarray(0, size), Buffer.alloc(4096)]));
  await using grown = await DurableMap.open(path, silent);
  t.deepEqual(shown(grown), { a: toHex(utf8('before')) });
});

test('damage in the middle is an error, never another content; at the end it can only pass for an unfinished write', async (t) => {
  const path = await place(t);
  const map = await DurableMap.open(path, silent);
  await map.write(put('a', utf8('first')));
  const { size } = await stat(path);
  await map.write(put('b', utf8('second')));
  await map[Symbol.asyncDispose]();
  const whole = await readFile(path);
  for (let at = 0; at < whole.length; at++) {
    await writeFile(
      path,
      whole.map((byte, i) => (i === at ? byte ^ 0x40 : byte)),
    );
    try {
      await using damaged = await DurableMap.open(path, silent);
      t.deepEqual(Object.keys(shown(damaged)), ['a'], `byte ${at}`);
      t.true(at >= size + 16, `byte ${at}`);
    } catch (error: unknown) {
      t.true(error instanceof DamagedFile, `byte ${at}: ${String(error)}`);
      t.true(at < size + 16, `byte ${at}`);
    }
  }
});

test('what is replaced again and again takes no more room', async (t) => {
  const path = await place(t);
  await using map = await DurableMap.open(path, silent);
  for (let i = 0; i < 40; i++) await map.write(put('a', new Uint8Array(20_000).fill(i)));
  t.true((await stat(path)).size < 400_000);
  t.is(map.entries.get('a')?.[0], 39);
});
