/** A store that forgets with the process: for tests, and wherever nothing is at stake. */

import { sha256 } from '@noble/hashes/sha2.js';
import type { Sha256 } from './chain.ts';
import { GroupCommit } from './group_commit.ts';
import { State } from './state.ts';
import { beginning, mustBeMissing, type Store, StoreError, type WhenMissing } from './store.ts';

/** What stands in for the disk: give the same one to open the same store again. */
export interface Memory {
  state?: State;
  open?: boolean;
}

/** @throws StoreError where there is nothing yet, or it is open already */
export function openMemoryStore(memory: Memory, whenMissing: WhenMissing, hash: Sha256 = sha256): Store {
  if (memory.open === true) throw new StoreError('the memory is open already: one state serves one signer');
  if (memory.state !== undefined) mustBeMissing(whenMissing, 'memory');
  memory.state ??= new State(beginning(whenMissing, 'memory'));
  memory.open = true;
  const close = () => {
    memory.open = false;
    return Promise.resolve();
  };
  return new GroupCommit(memory.state, { persist: () => Promise.resolve(), close }, hash);
}
