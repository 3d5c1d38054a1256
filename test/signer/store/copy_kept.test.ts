/** Whether the host's copy is kept when things go wrong at one end, and that its owner is told where it is not. */

import test, { type ExecutionContext } from 'ava';
import { toHex, utf8 } from '../../../proto/bytes.ts';
import { systemClock } from '../../../proto/clock.ts';
import { systemEntropy } from '../../../proto/entropy.ts';
import type { MapChanges } from '../../../server/durable_map.ts';
import { StateCopy } from '../../../server/state_copy.ts';
import { type Memory, openMemoryStore } from '../../../signer/store/memory.ts';
import { Seal } from '../../../signer/store/seal.ts';
import { openSealed } from '../../../signer/store/sealed.ts';
import type { Store } from '../../../signer/store/store.ts';
import { until } from '../../server/host_under_test.ts';
import { shown } from '../store_suite.ts';
import { copyOf, joined, keys, signerWith } from './host_of_copies.ts';

/** A host whose disk waits, or fails, when it is told to. */
class SlowDisk {
  readonly entries = new Map<string, Uint8Array>();
  ready: Promise<void> = Promise.resolve();
  readonly copy = new StateCopy(this, systemClock);

  async write(changes: MapChanges): Promise<void> {
    await this.ready;
    for (const [key, value] of changes) {
      if (value === undefined) this.entries.delete(key);
      else this.entries.set(key, value);
    }
  }
}

const put = (store: Store, key: string, text: string) => store.commit([{ key, value: utf8(text) }]);

async function isCopied(t: ExecutionContext, { copy }: SlowDisk, store: Store): Promise<void> {
  await until(() => copy.version === store.head.version, `the copy is at version ${store.head.version}`);
  const { head } = copy;
  if (head === undefined) throw new Error('no copy');
  const entries = copy.entries().map(({ name, ...entry }) => ({ key: toHex(name), ...entry }));
  t.deepEqual(shown(openSealed(new Seal(keys.state, systemEntropy), entries, head, 0n)), shown(store));
}

test('an update that the host has on its disk only after the link broke does not end the copy', async (t) => {
  const host = new SlowDisk();
  await using signer = signerWith({}, { newState: true });
  const first = joined(host.copy, signer.hostCopy);
  const store = await signer.open();
  await put(store, 'a', '1');
  await isCopied(t, host, store);
  let go = () => {};
  host.ready = new Promise((resolve) => {
    go = resolve;
  });
  await put(store, 'b', '1');
  await until(() => first.said.length === 3, 'the update is on its way');
  await new Promise((resolve) => setImmediate(resolve));
  first.cut();
  await put(store, 'c', '1');
  const second = joined(host.copy, signer.hostCopy);
  await until(() => second.said.includes('stateUpdate'), 'the host is told what it seems to lack');
  await new Promise((resolve) => setImmediate(resolve));
  go();
  await isCopied(t, host, store);
  await put(store, 'a', '2');
  await isCopied(t, host, store);
  t.is(signer.hostCopy.notKept, undefined);
});

test('where the host does not take the copy, the owner can know; with the next link it is tried again', async (t) => {
  const host = new SlowDisk();
  await using signer = signerWith({}, { newState: true });
  const first = joined(host.copy, signer.hostCopy);
  const store = await signer.open();
  await put(store, 'a', '1');
  await isCopied(t, host, store);
  t.is(signer.hostCopy.notKept, undefined);
  host.ready = Promise.reject(new Error('no space left'));
  host.ready.catch(() => {});
  await put(store, 'a', '2');
  await until(() => signer.hostCopy.notKept !== undefined, 'the signer knows that there is no copy any more');
  t.regex(signer.hostCopy.notKept ?? '', /the host could not write it/);
  first.cut();
  host.ready = Promise.resolve();
  joined(host.copy, signer.hostCopy);
  await isCopied(t, host, store);
  t.is(signer.hostCopy.notKept, undefined);
});

test('where the host keeps no copy, or something else for one, the owner can know', async (t) => {
  const host = new SlowDisk();
  await using signer = signerWith({}, { newState: true });
  const link = joined(host.copy, signer.hostCopy, { keeps: false });
  await signer.open();
  t.regex(signer.hostCopy.notKept ?? '', /keeps no copy/);
  link.cut();
  await host.copy.update({ base: 0n, entries: [], head: { version: 9n, ciphertext: new Uint8Array(100) } });
  joined(host.copy, signer.hostCopy);
  t.regex(signer.hostCopy.notKept ?? '', /another node’s, or damaged/);
});

test('a copy that another signer moved past this one’s state meanwhile is left to it, and nothing more is signed', async (t) => {
  const host = new SlowDisk();
  const memory: Memory = {};
  await using signer = signerWith(memory, { newState: true });
  const link = joined(host.copy, signer.hostCopy);
  const store = await signer.open();
  await put(store, 'a', '1');
  await isCopied(t, host, store);
  await using other = signerWith(copyOf(memory));
  joined(host.copy, other.hostCopy);
  const theirs = await other.open();
  for (let i = 0; i < 5; i++) await put(theirs, 'b', `${i}`);
  await isCopied(t, host, theirs);
  await put(store, 'a', '2');
  await until(() => signer.hostCopy.problem !== undefined, 'it is found out');
  t.regex(signer.hostCopy.problem ?? '', /version 6, this signer's state is at 2: another signer/);
  await t.throwsAsync(put(store, 'a', '3'), { message: /another signer/ });
  link.cut();
  await isCopied(t, host, theirs);
});

test('a state that was being begun anew when the machine stopped is not taken for the one given up', async (t) => {
  const host = new SlowDisk();
  {
    await using signer = signerWith({}, { newState: true });
    joined(host.copy, signer.hostCopy);
    const store = await signer.open();
    for (const key of ['a', 'b']) await put(store, key, '1');
    await isCopied(t, host, store);
  }
  const memory: Memory = {};
  let disk: Memory = {};
  await using stopped = signerWith({}, { newState: true });
  const link = joined(host.copy, stopped.hostCopy);
  await stopped.hostCopy.open(keys, async (whenMissing) => {
    const store = openMemoryStore(memory, whenMissing);
    disk = copyOf(memory); // as it is when the store is there: the machine may stop at any moment from now on
    return store;
  });
  link.cut();
  await using again = signerWith(disk);
  joined(host.copy, again.hostCopy);
  const store = await again.open();
  t.deepEqual([...store.entries.keys()], ['begun']);
  await put(store, 'node', 'new');
  await isCopied(t, host, store);
});
