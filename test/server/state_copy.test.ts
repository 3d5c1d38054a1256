/** The copy of the state on the host's side: one version after the other, all of an update or nothing, and back again. */

import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import test, { type ExecutionContext } from 'ava';
import { toHex, utf8 } from '../../proto/bytes.ts';
import { StateUpdateSchema } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import type { ToSignerInit } from '../../proto/link.ts';
import { silent } from '../../proto/log.ts';
import { CopyLink, heldState, wholeCopy } from '../../server/copy_link.ts';
import { DurableMap } from '../../server/durable_map.ts';
import { NodeFiles } from '../../server/node_files.ts';
import { copyLimits, StateCopy } from '../../server/state_copy.ts';
import { temporaryDirectory, until } from './host_under_test.ts';
import { ManualClock } from './manual_clock.ts';

const name = (n: number) => new Uint8Array(32).fill(n);
const entry = (n: number, version: bigint, text: string) => ({ name: name(n), version, ciphertext: utf8(text) });
const head = (version: bigint) => ({ version, ciphertext: utf8(`head ${version}`) });

async function empty(t: ExecutionContext) {
  const map = await DurableMap.open(join(await temporaryDirectory(t), 'a.copy'), silent);
  t.teardown(() => map[Symbol.asyncDispose]());
  return new StateCopy(map, new ManualClock());
}

const shown = (copy: StateCopy) =>
  copy.entries().map(({ name: [first], version, ciphertext }) => [first, version, Buffer.from(ciphertext).toString()]);

test('updates follow each other; one that does not follow is not taken', async (t) => {
  const copy = await empty(t);
  t.is(copy.version, 0n);
  t.is(await copy.update({ base: 0n, entries: [entry(1, 1n, 'one'), entry(2, 1n, 'two')], head: head(1n) }), undefined);
  t.is(
    await copy.update({ base: 1n, entries: [entry(1, 4n, 'new'), { name: name(2), version: 4n }], head: head(4n) }),
    undefined,
  );
  t.deepEqual(shown(copy), [[1, 4n, 'new']]);
  for (const [base, version] of [
    [0n, 1n],
    [1n, 5n],
    [4n, 4n],
    [4n, 3n],
    [5n, 6n],
  ] as const)
    t.regex((await copy.update({ base, entries: [], head: head(version) })) ?? '', /expected an update of version 4/);
  t.deepEqual(shown(copy), [[1, 4n, 'new']]);
  t.is(copy.head?.version, 4n);
});

test('two updates at once from the same version: one is taken', async (t) => {
  const copy = await empty(t);
  const both = await Promise.all([
    copy.update({ base: 0n, entries: [entry(1, 1n, 'a')], head: head(1n) }),
    copy.update({ base: 0n, entries: [entry(2, 1n, 'b')], head: head(1n) }),
  ]);
  t.is(both[0], undefined);
  t.regex(both[1] ?? '', /expected an update of version 1/);
  t.deepEqual(shown(copy), [[1, 1n, 'a']]);
});

test('what is too large, or no entry, is refused whole', async (t) => {
  const copy = await empty(t);
  const bad = { name: new Uint8Array(31), version: 1n, ciphertext: utf8('x') };
  t.regex(
    (await copy.update({ base: 0n, entries: [entry(1, 1n, 'a'), bad], head: head(1n) })) ?? '',
    /names of 32 bytes/,
  );
  const large = { name: name(1), version: 1n, ciphertext: new Uint8Array(copyLimits.bytes + 1) };
  t.regex((await copy.update({ base: 0n, entries: [large], head: head(1n) })) ?? '', /keeps at most/);
  const longHead = { version: 1n, ciphertext: new Uint8Array(copyLimits.head + 1) };
  t.regex((await copy.update({ base: 0n, entries: [], head: longHead })) ?? '', /a head of at most/);
  t.is(copy.version, 0n);
});

test('over the link an update comes in parts, is answered once, and can be listed and fetched', async (t) => {
  const copy = await empty(t);
  const sent: NonNullable<ToSignerInit['message']>[] = [];
  const link = new CopyLink(copy, (message) => sent.push(message), silent);
  const receive = (part: MessageInitShape<typeof StateUpdateSchema>) => link.receive(create(StateUpdateSchema, part));
  receive({ base: 0n, entries: [entry(1, 1n, 'one')] });
  receive({ base: 0n, entries: [entry(2, 2n, 'two')], head: head(2n) });
  receive({ base: 0n, entries: [entry(3, 2n, 'no')], head: head(2n) });
  await until(() => sent.length === 2, 'both are answered');
  t.like(sent[0], { case: 'stateStored', value: { version: 2n, problem: '' } });
  t.like(sent[1], { case: 'stateStored', value: { version: 2n } });
  link.list();
  t.like(sent[2], { case: 'stateListing', value: { version: 2n, last: true } });
  t.deepEqual(heldState(copy).head, head(2n));
  t.deepEqual(
    [...wholeCopy(copy)].flat().map((each) => toHex(each.name.subarray(0, 1))),
    ['01', '02'],
  );
});

test('a copy outlives the host, a damaged one is put aside', async (t) => {
  const folder = await temporaryDirectory(t);
  const clock = new ManualClock();
  {
    await using files = new NodeFiles({ folder, clock, log: silent });
    const copy = await files.copyOf('alice');
    t.is(await copy.update({ base: 0n, entries: [entry(1, 7n, 'kept')], head: head(7n) }), undefined);
    t.is(await files.copyOf('alice'), copy);
    t.is((await files.copyOf('bob')).version, 0n);
  }
  {
    await using files = new NodeFiles({ folder, clock, log: silent });
    const copy = await files.copyOf('alice');
    t.is(copy.head?.storedMs, BigInt(clock.now()));
    t.deepEqual(shown(copy), [[1, 7n, 'kept']]);
  }
  const { readdir, writeFile } = await import('node:fs/promises');
  await writeFile(join(folder, 'alice.copy'), 'something else');
  await using files = new NodeFiles({ folder, clock, log: silent });
  t.is((await files.copyOf('alice')).version, 0n);
  t.true((await readdir(folder)).some((file) => file.startsWith('alice.copy.damaged-')));
});
