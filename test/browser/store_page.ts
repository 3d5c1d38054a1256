/** What the browser runs: the suite of all stores against its own IndexedDB, and what only two tabs can do to one. */

import { utf8 } from '../../proto/bytes.ts';
import { type Locks, openIndexedDb } from '../../signer/store/indexeddb.ts';
import { type StoreCase, storeCases } from '../signer/store_suite.ts';

declare global {
  var runStoreCases: () => Promise<Readonly<Record<string, string>>>;
}

/** Lets everybody in, as if the lock had failed. */
const noLocks: Locks = { request: (_name, _options, held) => held({}) };

const twoTabs: StoreCase = {
  title: 'of two tabs that hold the same state only one goes on',
  async run() {
    const options = { name: 'two tabs', indexedDB, locks: noLocks } as const;
    const first = await openIndexedDb({ ...options, whenMissing: 'create' });
    const second = await openIndexedDb({ ...options, whenMissing: 'fail' });
    await first.commit([{ key: 'channel/02/1', value: utf8('revoked') }]);
    const refused = await second.commit([{ key: 'channel/02/1', value: utf8('closed') }]).then(() => '', String);
    if (!refused.includes('changed by another signer')) throw new Error(`expected a refusal, got ${refused}`);
    const again = await second.commit([{ key: 'a', value: utf8('1') }]).then(() => '', String);
    if (again === '') throw new Error('expected the second to stay closed');
    await first.commit([{ key: 'a', value: utf8('2') }]);
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    await using store = await openIndexedDb({ ...options, whenMissing: 'fail' });
    if (store.head.version !== 2n) throw new Error(`expected version 2, got ${store.head.version}`);
  },
};

/** Runs every case in a database of its own; gives the title of each with what was wrong, or an empty text. */
globalThis.runStoreCases = async () => {
  const outcomes: Record<string, string> = {};
  for (const [i, { title, run }] of [...storeCases, twoTabs].entries()) {
    const open = (whenMissing: Parameters<typeof openIndexedDb>[0]['whenMissing']) =>
      openIndexedDb({ name: `case ${i}`, whenMissing, indexedDB, locks: navigator.locks });
    outcomes[title] = await run({ open }).then(() => '', String);
  }
  return outcomes;
};
