import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { silent } from '../../proto/log.ts';
import { openFileStore } from '../../signer/node/file_store.ts';
import { type Memory, openMemoryStore } from '../../signer/store/memory.ts';
import { FaultyDisk, noLock } from './faulty_disk.ts';
import { type Place, storeCases } from './store_suite.ts';

const entropy = (length: number) => Uint8Array.from(randomBytes(length));

const places: Readonly<Record<string, (t: ExecutionContext) => Promise<Place>>> = {
  memory() {
    const memory: Memory = {};
    return Promise.resolve({ open: async (whenMissing) => openMemoryStore(memory, whenMissing) });
  },
  async 'a folder'(t) {
    const root = await mkdtemp(join(tmpdir(), 'keyhold-'));
    t.teardown(() => rm(root, { recursive: true }));
    return { open: (whenMissing) => openFileStore({ folder: join(root, 'node'), whenMissing, log: silent, entropy }) };
  },
  async 'a folder that is often written anew'(t) {
    const root = await mkdtemp(join(tmpdir(), 'keyhold-'));
    t.teardown(() => rm(root, { recursive: true }));
    return {
      open: (whenMissing) =>
        openFileStore({ folder: join(root, 'node'), whenMissing, log: silent, entropy, leastGrowth: 0 }),
    };
  },
  'a simulated disk'() {
    const fs = new FaultyDisk();
    const lock = noLock();
    return Promise.resolve({
      open: (whenMissing) => openFileStore({ folder: '/s', whenMissing, log: silent, entropy, fs, lock }),
    });
  },
};

for (const [name, place] of Object.entries(places))
  for (const { title, run } of storeCases)
    test(`in ${name}: ${title}`, async (t) => {
      await run(await place(t));
      t.pass();
    });
