/** What the signer's state costs: commits a second, alone and in company, opening, rewriting, and the host's sealed copy. */

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '../../proto/bytes.ts';
import { silent } from '../../proto/log.ts';
import { Secret } from '../../proto/secret.ts';
import { openFileStore } from '../../signer/node/file_store.ts';
import { Seal } from '../../signer/store/seal.ts';
import { openSealed, SealedCopy } from '../../signer/store/sealed.ts';
import type { Change, Store, WhenMissing } from '../../signer/store/store.ts';

const entropy = (length: number) => Uint8Array.from(randomBytes(length));
/** A thousand channels and ten thousand approvals, 300 to 2,000 bytes each. */
const live: readonly Change[] = Array.from({ length: 11_000 }, (_, i) => ({
  key: i < 1000 ? `channel/${'02'.padEnd(66, 'a')}/${i}` : `payment/${i.toString(16).padStart(64, '0')}`,
  value: entropy(300 + ((i * 7919) % 1701)),
}));

async function timed<T>(what: string, run: () => Promise<T> | T, count?: number): Promise<T> {
  const start = performance.now();
  const result = await run();
  const ms = performance.now() - start;
  console.log(
    `${what}: ${ms.toFixed(0)} ms${count === undefined ? '' : `, ${((1000 * count) / ms).toFixed(0)} a second`}`,
  );
  return result;
}

const change = (i: number): readonly Change[] => [live[i % 1000] ?? { key: 'node', value: utf8('x') }];

/** `total` commits, `width` of them at any time; prints how long the slowest took. */
async function commits(store: Store, width: number, total: number): Promise<void> {
  let next = 0;
  let slowest = 0;
  const lane = async () => {
    while (next < total) {
      const start = performance.now();
      await store.commit(change(next++));
      slowest = Math.max(slowest, performance.now() - start);
    }
  };
  await timed(`${total} commits, ${width} at a time`, () => Promise.all(Array.from({ length: width }, lane)), total);
  console.log(`  the slowest took ${slowest.toFixed(1)} ms`);
}

const root = await mkdtemp(join(tmpdir(), 'keyhold-bench-'));
const folder = join(root, 'node');
const open = (whenMissing: WhenMissing) => openFileStore({ folder, whenMissing, log: silent, entropy });
try {
  {
    await using store = await open('create');
    await commits(store, 1, 500);
    await commits(store, 64, 10_000);
    await timed('11,000 entries in batches of 100', async () => {
      for (let i = 0; i < live.length; i += 100) await store.commit(live.slice(i, i + 100));
    });
  }
  {
    await using store = await timed('opening 11,000 entries', () => open('fail'));
    console.log(`  ${((await stat(join(folder, 'state.log'))).size / 1e6).toFixed(1)} MB`);
    await commits(store, 1, 500);
    await commits(store, 64, 20_000);
    console.log(`  ${((await stat(join(folder, 'state.log'))).size / 1e6).toFixed(1)} MB`);
  }
  await using store = await timed('opening them again', () => open('fail'));
  const seal = new Seal(new Secret(entropy(32)), entropy);
  const copy = await timed('beginning the sealed copy', () => new SealedCopy(seal, store));
  const whole = await timed('sealing all of it', () => copy.missing(store, []));
  await timed('opening the copy', () => openSealed(seal, whole.entries, whole.head, store.head.version));
  const updates = Array.from({ length: 2000 }, (_, i) => change(i));
  const heads = await Promise.all(updates.map((changes) => store.commit(changes)));
  await timed(
    'sealing 2,000 commits',
    () => updates.map((changes, i) => copy.update(changes, heads[i] ?? store.head)),
    2000,
  );
} finally {
  await rm(root, { recursive: true });
}
