/** What a host keeps for its nodes' signers, a file of each kind for a node, opened when first asked for. */

import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../proto/clock.ts';
import type { Log } from '../proto/log.ts';
import { DamagedFile, DurableMap } from './durable_map.ts';
import { GreenlightState } from './greenlight_state.ts';
import { StateCopy } from './state_copy.ts';

export interface NodeFilesOptions {
  /** Made if it is not there. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class NodeFiles implements AsyncDisposable {
  readonly #options: NodeFilesOptions;
  readonly #maps: Promise<DurableMap>[] = [];
  readonly #copies = new Map<string, Promise<StateCopy>>();
  readonly #greenlight = new Map<string, Promise<GreenlightState>>();
  readonly #opened = new Map<string, StateCopy>();

  constructor(options: NodeFilesOptions) {
    this.#options = options;
  }

  /** The copy of a node's state. A damaged one is put aside: the signer has it all, and sends it again. */
  copyOf(node: string): Promise<StateCopy> {
    return remembered(this.#copies, node, async () => {
      const map = await this.#open(`${node}.copy`, true);
      const copy = new StateCopy(map, this.#options.clock);
      this.#opened.set(node, copy);
      return copy;
    });
  }

  /** The same, where a signer has attached since this host started. */
  openCopyOf(node: string): StateCopy | undefined {
    return this.#opened.get(node);
  }

  /** What Greenlight's signers keep for a node. @throws DamagedFile */
  greenlightOf(node: string): Promise<GreenlightState> {
    return remembered(
      this.#greenlight,
      node,
      async () => new GreenlightState(await this.#open(`${node}.greenlight`, false)),
    );
  }

  async #open(name: string, putAside: boolean): Promise<DurableMap> {
    const { folder, log, clock } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, name);
    const opening = DurableMap.open(path, log).catch(async (error: unknown) => {
      if (!(error instanceof DamagedFile && putAside)) throw error;
      const aside = `${path}.damaged-${Math.trunc(clock.now())}`;
      await rename(path, aside);
      log('error', 'a damaged file was put aside', { file: aside, problem: error.message });
      return DurableMap.open(path, log);
    });
    this.#maps.push(opening);
    return opening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of await Promise.allSettled(this.#maps))
      if (opened.status === 'fulfilled') await opened.value[Symbol.asyncDispose]();
  }
}

/** What was made for a node before, or makes it; what failed is tried again the next time. */
function remembered<T>(made: Map<string, Promise<T>>, node: string, make: () => Promise<T>): Promise<T> {
  const known = made.get(node);
  if (known !== undefined) return known;
  const fresh = make();
  made.set(node, fresh);
  fresh.catch(() => made.delete(node));
  return fresh;
}
