import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { utf8 } from '../../proto/bytes.ts';
import { silent } from '../../proto/log.ts';
import { DurableMap } from '../../server/durable_map.ts';
import { type GreenlightEntry, GreenlightState, merged, pieces } from '../../server/greenlight_state.ts';
import { temporaryDirectory } from './host_under_test.ts';

const tombstone = 2n ** 64n - 1n;
const entry = (key: string, version: bigint, value: string, signature = 'signed'): GreenlightEntry => ({
  key,
  version,
  value: utf8(value),
  signature: utf8(signature),
});

async function open(t: ExecutionContext, path?: string) {
  const file = path ?? join(await temporaryDirectory(t), 'a.greenlight');
  return { file, map: await DurableMap.open(file, silent) };
}

test('per key the highest version stays; a tombstone for ever; an equal one may bring a new signature', (t) => {
  const held = entry('channels/1', 3n, '{"a":1}');
  t.deepEqual(merged(undefined, held), held);
  t.deepEqual(merged(held, entry('channels/1', 4n, '{}')), entry('channels/1', 4n, '{}'));
  t.is(merged(held, entry('channels/1', 2n, '{}')), undefined);
  t.is(merged(held, entry('channels/1', 3n, '{"b":1}', 'other')), undefined);
  t.is(merged(held, held), undefined);
  t.deepEqual(merged(held, entry('channels/1', 3n, '{"a":1}', 'anew')), entry('channels/1', 3n, '{"a":1}', 'anew'));
  t.is(merged(held, entry('channels/1', 3n, '{"a":1}', '')), undefined);
  const gone = entry('channels/1', tombstone, 'null');
  t.deepEqual(merged(held, gone), gone);
  t.is(merged(gone, entry('channels/1', tombstone, 'null', 'anew')), undefined);
});

test('what was merged outlives the host, whatever the keys are', async (t) => {
  const first = await open(t);
  const state = new GreenlightState(first.map);
  t.like(await state.merge([entry('nodes/02', 1n, '{}'), entry('schlüssel ☂', 2n, 'not json')]), { conflicts: 0 });
  t.like(await state.merge([entry('nodes/02', 0n, 'old')]), { conflicts: 1, before: 1, after: 1 });
  await first.map[Symbol.asyncDispose]();
  const again = await open(t, first.file);
  t.teardown(() => again.map[Symbol.asyncDispose]());
  t.deepEqual(new GreenlightState(again.map).since(undefined), [
    entry('nodes/02', 1n, '{}'),
    entry('schlüssel ☂', 2n, 'not json'),
  ]);
});

test('only what changed is told to whoever knows the rest', async (t) => {
  const { map } = await open(t);
  t.teardown(() => map[Symbol.asyncDispose]());
  const state = new GreenlightState(map);
  await state.merge([entry('a', 1n, '1'), entry('b', 1n, '1')]);
  const known = state.changes;
  t.deepEqual(state.since(known), []);
  await state.merge([entry('b', 2n, '2'), entry('a', 1n, '1')]);
  t.deepEqual(state.since(known), [entry('b', 2n, '2')]);
  t.is(state.since(undefined).length, 2);
});

test('what no message could carry is refused, and nothing of it kept', async (t) => {
  const { map } = await open(t);
  t.teardown(() => map[Symbol.asyncDispose]());
  const state = new GreenlightState(map);
  const large = { ...entry('b', 1n, ''), value: new Uint8Array((3 << 20) + 1) };
  await t.throwsAsync(state.merge([entry('a', 1n, '1'), large]), { instanceOf: RangeError });
  await t.throwsAsync(state.merge([entry('k'.repeat(1025), 1n, '1')]), { instanceOf: RangeError });
  t.deepEqual(state.since(undefined), []);
});

test('many entries go in pieces below four mebibytes', (t) => {
  const all = Array.from({ length: 40 }, (_, i) => ({ ...entry(`${i}`, 1n, ''), value: new Uint8Array(100_000) }));
  const sizes = pieces(all).map((piece) => piece.reduce((sum, { value }) => sum + value.length, 0));
  t.is(
    sizes.reduce((sum, size) => sum + size, 0),
    4_000_000,
  );
  t.true(sizes.every((size) => size < 1 << 20));
});
