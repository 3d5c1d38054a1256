/**
 * A world whose signer's state has a copy at the host, and a second signer that takes over from it: with what
 * `keyhold signer recover` makes of the copy, while the first one is gone. Nothing but the stream and the disks is left out.
 */

import { toHex } from '../../../proto/bytes.ts';
import { systemClock } from '../../../proto/clock.ts';
import { systemEntropy } from '../../../proto/entropy.ts';
import { StateCopy } from '../../../server/state_copy.ts';
import type { NodeKeys } from '../../../signer/keys/node_keys.ts';
import { type Memory, openMemoryStore } from '../../../signer/store/memory.ts';
import { Seal } from '../../../signer/store/seal.ts';
import { openSealed } from '../../../signer/store/sealed.ts';
import type { Snapshot, Store } from '../../../signer/store/store.ts';
import { joined, type SignerState, signerWith } from '../store/host_of_copies.ts';
import { World, type WorldOptions } from './world.ts';

/** A copy that is gone with the test. */
function copyInMemory(): StateCopy {
  const entries = new Map<string, Uint8Array>();
  const write = async (changes: ReadonlyMap<string, Uint8Array | undefined>) => {
    for (const [key, value] of changes)
      if (value === undefined) entries.delete(key);
      else entries.set(key, value);
  };
  return new StateCopy({ entries, write }, systemClock);
}

export class SignersInTurn {
  readonly #copy = copyInMemory();
  #memory: Memory = {};
  #signer: SignerState | undefined;

  /** Opens the state on the disk of the signer whose turn it is, as its start does. */
  readonly openStore = async (keys: NodeKeys): Promise<Store> => {
    const memory = this.#memory;
    this.#signer = signerWith(memory, { newState: memory.state === undefined });
    const { hostCopy } = this.#signer;
    joined(this.#copy, hostCopy);
    const store = await hostCopy.open(keys, async (whenMissing) => openMemoryStore(memory, whenMissing));
    hostCopy.serve();
    return store;
  };

  open(options: WorldOptions): Promise<World> {
    return World.open({ ...options, openStore: this.openStore });
  }

  /** What the owner recovers from the host's copy, as new as the signer's state. */
  async #recovered({ keys, store }: World): Promise<Snapshot> {
    const reached = store.head.version;
    while (this.#copy.version !== reached) await new Promise((resolve) => setImmediate(resolve));
    const { head } = this.#copy;
    if (head === undefined) throw new Error('the host has no copy');
    const entries = this.#copy
      .entries()
      .map(({ name, version, ciphertext }) => ({ key: toHex(name), version, ciphertext }));
    return openSealed(new Seal(keys.state, systemEntropy), entries, head, reached);
  }

  /** The signer stops, and another one goes on with what the host kept. Gives the disk of the one that stopped. */
  async handOver(world: World): Promise<Memory> {
    const recovered = await this.#recovered(world);
    const left = this.#memory;
    await this.#signer?.[Symbol.asyncDispose]();
    const memory: Memory = {};
    await openMemoryStore(memory, { recovered })[Symbol.asyncDispose]();
    this.#memory = memory;
    await world.restart();
    return left;
  }

  /** The signer with this disk comes back in place of the one whose turn it is. */
  async comeBack(world: World, memory: Memory): Promise<void> {
    const reached = world.store.head.version;
    while (this.#copy.version !== reached) await new Promise((resolve) => setImmediate(resolve));
    await this.#signer?.[Symbol.asyncDispose]();
    this.#memory = memory;
    await world.restart();
  }
}
