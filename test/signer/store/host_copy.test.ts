/** The state and its copy at a host: what each attach finds, what is sent, and what is never signed with. */

import test, { type ExecutionContext } from 'ava';
import { toHex, utf8 } from '../../../proto/bytes.ts';
import { systemEntropy } from '../../../proto/entropy.ts';
import type { LogFields } from '../../../proto/log.ts';
import type { Memory } from '../../../signer/store/memory.ts';
import { Seal } from '../../../signer/store/seal.ts';
import { openSealed } from '../../../signer/store/sealed.ts';
import { type Snapshot, type Store, StoreError } from '../../../signer/store/store.ts';
import { temporaryDirectory, until } from '../../server/host_under_test.ts';
import { shown } from '../store_suite.ts';
import { copyOf, HostOfCopies, keys, signerWith } from './host_of_copies.ts';

async function hostFor(t: ExecutionContext): Promise<HostOfCopies> {
  const host = new HostOfCopies(await temporaryDirectory(t));
  t.teardown(() => host[Symbol.asyncDispose]());
  return host;
}

const put = (store: Store, key: string, text: string) => store.commit([{ key, value: utf8(text) }]);

/** What the host's copy opens to. */
async function opened(host: HostOfCopies, minimum = 0n): Promise<Snapshot> {
  const copy = await host.copy;
  if (copy.head === undefined) throw new Error('no copy');
  const entries = copy.entries().map(({ name, version, ciphertext }) => ({ key: toHex(name), version, ciphertext }));
  return openSealed(new Seal(keys.state, systemEntropy), entries, copy.head, minimum);
}

async function followed(host: HostOfCopies, store: Store): Promise<void> {
  const copy = await host.copy;
  await until(() => copy.version === store.head.version, `the copy is at version ${store.head.version}`);
}

test('a state that the owner begins has a copy from then on: every commit reaches it, in order and together', async (t) => {
  const host = await hostFor(t);
  await using signer = signerWith({}, { newState: true });
  const link = await host.attach(signer.hostCopy);
  const store = await signer.open();
  t.is(store.head.version, 0n);
  await Promise.all(Array.from({ length: 50 }, (_, i) => put(store, `channel/${i % 7}`, `${i}`)));
  await put(store, 'node', 'x');
  await store.commit([{ key: 'channel/3', value: undefined }]);
  await followed(host, store);
  t.deepEqual(shown(await opened(host)), shown(store));
  const updates = link.said.filter((each) => each === 'stateUpdate').length;
  t.true(updates >= 1 && updates < 20, `${updates} updates for 52 commits`);
  for (const key of ['a', 'node']) {
    await put(store, key, 'later');
    await followed(host, store);
  }
  t.deepEqual(shown(await opened(host)), shown(store));
});

test('a commit does not wait for the host', async (t) => {
  const host = await hostFor(t);
  await using signer = signerWith({}, { newState: true });
  const link = await host.attach(signer.hostCopy);
  const store = await signer.open();
  await put(store, 'a', '1');
  t.false(link.said.includes('stateUpdate'));
  t.is((await host.copy).version, 0n);
  await followed(host, store);
});

test('what a cut link lost is sent when the next begins, and no more than that', async (t) => {
  const host = await hostFor(t);
  await using signer = signerWith({}, { newState: true });
  const first = await host.attach(signer.hostCopy);
  const store = await signer.open();
  await put(store, 'a', '1');
  await put(store, 'b', '1');
  await followed(host, store);
  await put(store, 'a', '2');
  first.cut();
  await put(store, 'c', '1');
  await store.commit([{ key: 'b', value: undefined }]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.is((await host.copy).version, 2n);
  const second = await host.attach(signer.hostCopy);
  await put(store, 'd', '1');
  await followed(host, store);
  t.deepEqual(shown(await opened(host)), shown(store));
  t.is(second.said[0], 'listState');
});

test('an update that was stored although the link was cut is not sent again', async (t) => {
  const host = await hostFor(t);
  await using signer = signerWith({}, { newState: true });
  const first = await host.attach(signer.hostCopy);
  const store = await signer.open();
  await put(store, 'a', '1');
  await followed(host, store);
  first.cut();
  const second = await host.attach(signer.hostCopy);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.deepEqual(second.said, []);
  await put(store, 'a', '2');
  await followed(host, store);
});

test('host behind: a copy that was put back is brought up, entries that are too new in it included', async (t) => {
  const host = await hostFor(t);
  const memory: Memory = {};
  {
    await using signer = signerWith(memory, { newState: true });
    const link = await host.attach(signer.hostCopy);
    const store = await signer.open();
    for (const key of ['a', 'b', 'c']) await put(store, key, '1');
    await followed(host, store);
    link.cut();
    await host.remember('three');
    await host.attach(signer.hostCopy);
    await put(store, 'a', '2');
    await store.commit([{ key: 'c', value: undefined }]);
    await followed(host, store);
  }
  await host.putBack('three');
  await using signer = signerWith(memory);
  await host.attach(signer.hostCopy);
  const store = await signer.open();
  t.is(signer.hostCopy.problem, undefined);
  await followed(host, store);
  t.deepEqual(shown(await opened(host, 5n)), shown(store));
});

/** A state at version 5 with its copy, and the disk as it was at version 3. */
async function rolledBack(t: ExecutionContext) {
  const host = await hostFor(t);
  const memory: Memory = {};
  await using signer = signerWith(memory, { newState: true });
  await host.attach(signer.hostCopy);
  const store = await signer.open();
  for (const key of ['a', 'b', 'c']) await put(store, key, '1');
  const old = copyOf(memory);
  for (const key of ['a', 'b']) await put(store, key, '2');
  await followed(host, store);
  return { host, old, now: memory };
}

test('local behind: a state that was put back is not opened, nothing can be committed, and the owner is told the way out', async (t) => {
  const { host, old } = await rolledBack(t);
  const lines: (string | LogFields | undefined)[] = [];
  await using signer = signerWith(old, { log: (_level, message) => lines.push(message) });
  await host.attach(signer.hostCopy);
  const expected = /version 3, but this node has signed at version 5.*keyhold signer recover/;
  await t.throwsAsync(signer.open(), { instanceOf: StoreError, message: expected });
  await t.throwsAsync(signer.open(), { instanceOf: StoreError, message: expected });
  t.regex(signer.hostCopy.problem ?? '', expected);
  t.is(lines.filter((line) => expected.test(String(line))).length, 1);
  t.is((await host.copy).version, 5n);
});

test('local behind is not forgotten when the host shows an older copy later', async (t) => {
  const { host, old } = await rolledBack(t);
  await using signer = signerWith(old);
  const link = await host.attach(signer.hostCopy);
  await t.throwsAsync(signer.open(), { message: /keyhold signer recover/ });
  link.cut();
  await using other = new HostOfCopies(await temporaryDirectory(t));
  const later = await other.attach(signer.hostCopy);
  await t.throwsAsync(signer.open(), { message: /keyhold signer recover/ });
  t.deepEqual(later.said, [], 'and it is given nothing of such a state');
});

test('local behind found out while it stood by: it is not served when it is promoted', async (t) => {
  const { host, now } = await rolledBack(t);
  const behind = copyOf(now);
  await using active = signerWith(now);
  await host.attach(active.hostCopy);
  const store = await active.open();
  await using standby = signerWith(behind);
  const link = await host.attach(standby.hostCopy, { active: false });
  const old = await standby.open();
  await put(store, 'a', '3');
  await followed(host, store);
  t.is(standby.hostCopy.problem, undefined);
  link.promote();
  t.regex(standby.hostCopy.problem ?? '', /version 5, but this node has signed at version 6/);
  await t.throwsAsync(put(old, 'x', '1'), { instanceOf: StoreError, message: /keyhold signer recover/ });
});

test('forked: two signers that went on from one state are found out', async (t) => {
  const { host, now, old } = await rolledBack(t);
  await using one = signerWith(now);
  await host.attach(one.hostCopy);
  await one.open();
  await using elsewhere = new HostOfCopies(await temporaryDirectory(t));
  await using two = signerWith(old);
  const link = await elsewhere.attach(two.hostCopy);
  const store = await two.open();
  for (const key of ['x', 'y', 'z']) await put(store, key, '1');
  link.cut();
  await host.attach(two.hostCopy);
  t.regex(two.hostCopy.problem ?? '', /went apart at or before version 5: two signers.*keyhold signer recover/);
  t.is((await host.copy).version, 5n);
});

test('a lost state is no silent start from zero, whatever the host says that it has', async (t) => {
  const { host } = await rolledBack(t);
  await using signer = signerWith({});
  await host.attach(signer.hostCopy);
  await t.throwsAsync(signer.open(), { instanceOf: StoreError, message: /keyhold signer recover.*at version 5/s });
  t.is((await host.copy).version, 5n);
  await using empty = await hostFor(t);
  for (const keeps of [true, false]) {
    await using lost = signerWith({});
    await empty.attach(lost.hostCopy, { keeps });
    await t.throwsAsync(lost.open(), { instanceOf: StoreError, message: /keyhold signer recover.*--new-state/s });
  }
  await using alone = signerWith({});
  await t.throwsAsync(alone.open(), { instanceOf: StoreError, message: /--new-state/ });
});

test('with the owner’s word a new state begins above the copy given up, and replaces it', async (t) => {
  const { host, now } = await rolledBack(t);
  const memory: Memory = {};
  {
    await using signer = signerWith(memory, { newState: true });
    await host.attach(signer.hostCopy);
    const store = await signer.open();
    t.deepEqual([...store.entries.keys()], ['begun']);
    await put(store, 'node', 'new');
    await followed(host, store);
    t.deepEqual([...(await opened(host, 7n)).entries.keys()].sort(), ['begun', 'node']);
  }
  await using again = signerWith(memory, { newState: true });
  await host.attach(again.hostCopy);
  t.is((await again.open()).entries.size, 2);
  await using given = signerWith(now);
  await host.attach(given.hostCopy);
  await t.throwsAsync(given.open(), { message: /version 5, but this node has signed at version 7/ });
});

test('a host that shows something else for a copy is not believed, and not helped to lose one', async (t) => {
  const host = await hostFor(t);
  const copy = await host.copy;
  await copy.update({ base: 0n, entries: [], head: { version: 9n, ciphertext: new Uint8Array(100) } });
  await using lost = signerWith({});
  await host.attach(lost.hostCopy);
  await t.throwsAsync(lost.open(), { instanceOf: StoreError, message: /at version 9/ });
  const lines: string[] = [];
  await using logged = signerWith({}, { newState: true, log: (_level, message) => lines.push(message) });
  const link = await host.attach(logged.hostCopy);
  const store = await logged.open();
  for (let i = 0; i < 20; i++) await put(store, 'a', `${i}`);
  t.is(logged.hostCopy.problem, undefined);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.deepEqual(link.said, []);
  t.is(copy.version, 9n, 'whose it is, it is left alone');
  t.regex(lines.join(), /another node’s, or damaged/);
});

test('a signer of another node that comes by mistake, with a newer state, leaves the copy alone', async (t) => {
  const host = await hostFor(t);
  await using right = signerWith({}, { newState: true });
  const link = await host.attach(right.hostCopy);
  const store = await right.open();
  await put(store, 'a', '1');
  await followed(host, store);
  link.cut();
  const elsewhere = await hostFor(t);
  const memory: Memory = {};
  {
    await using other = signerWith(memory, { newState: true, secret: 8 });
    await elsewhere.attach(other.hostCopy);
    const others = await other.open();
    for (let i = 0; i < 5; i++) await put(others, 'a', `${i}`);
  }
  await using wrong = signerWith(memory, { secret: 8 });
  await host.attach(wrong.hostCopy);
  t.is((await wrong.open()).head.version, 5n);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.deepEqual(shown(await opened(host)), shown(store));
});

test('a signer that stands by sends nothing', async (t) => {
  const host = await hostFor(t);
  await using signer = signerWith({}, { newState: true });
  const link = await host.attach(signer.hostCopy, { active: false });
  const store = await signer.open();
  await put(store, 'a', '1');
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.deepEqual(link.said, []);
  link.promote();
  await followed(host, store);
});
