/** A host that keeps copies, joined with signers in memory: everything of the link but the stream. */

import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { systemClock } from '../../../proto/clock.ts';
import { systemEntropy } from '../../../proto/entropy.ts';
import {
  FromSignerSchema,
  PromoteSchema,
  ToSignerSchema,
  WelcomeSchema,
} from '../../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { type Log, silent } from '../../../proto/log.ts';
import { Secret } from '../../../proto/secret.ts';
import { CopyLink, heldState } from '../../../server/copy_link.ts';
import { NodeFiles } from '../../../server/node_files.ts';
import type { StateCopy } from '../../../server/state_copy.ts';
import type { Companion } from '../../../signer/companion.ts';
import { HostCopy } from '../../../signer/store/host_copy.ts';
import { type Memory, openMemoryStore } from '../../../signer/store/memory.ts';
import { State } from '../../../signer/store/state.ts';
import type { Snapshot, Store, WhenMissing } from '../../../signer/store/store.ts';

/** The node whose secret is made of this byte. */
const keysOf = (secret: number) => ({ state: new Secret(new Uint8Array(32).fill(secret)) });
const node = 7;

export const keys = keysOf(node);

export interface Joined {
  /** Messages of the signer, by name. */
  readonly said: readonly string[];
  promote(): void;
  /** The link breaks: nothing passes any more, whatever is on its way. */
  cut(): void;
}

/** Attaches a signer's companion to a copy, as a link would. */
export function joined(copy: StateCopy, companion: Companion, { active = true, keeps = true } = {}): Joined {
  let open = true;
  const said: string[] = [];
  const link = new CopyLink(
    copy,
    (message) => {
      if (open) companion.receive(create(ToSignerSchema, { message }).message);
    },
    silent,
  );
  const state = () => (keeps ? { state: heldState(copy) } : {});
  companion.attached(create(WelcomeSchema, { active, ...state() }), (given) => {
    if (!open) return;
    const { message } = create(FromSignerSchema, { message: given });
    said.push(message.case ?? 'nothing');
    setImmediate(() => {
      if (!open) return;
      if (message.case === 'stateUpdate') link.receive(message.value);
      else if (message.case === 'listState') link.list();
    });
  });
  return {
    said,
    promote: () => companion.promoted(create(PromoteSchema, { lease: 2n, ...state() })),
    cut() {
      open = false;
      companion.detached();
    },
  };
}

export class HostOfCopies {
  readonly #folder: string;
  #files: NodeFiles;

  constructor(folder: string) {
    this.#folder = folder;
    this.#files = new NodeFiles({ folder: join(folder, 'now'), clock: systemClock, log: silent });
  }

  get copy(): Promise<StateCopy> {
    return this.#files.copyOf('alice');
  }

  /** Attaches a signer's companion as a link would. */
  async attach(companion: Companion, how: { active?: boolean; keeps?: boolean } = {}): Promise<Joined> {
    return joined(await this.copy, companion, how);
  }

  /** Remembers what the disk has now. */
  async remember(name: string): Promise<void> {
    await this.#restart(() => cp(join(this.#folder, 'now'), join(this.#folder, name), { recursive: true }));
  }

  /** Puts it back. */
  async putBack(name: string): Promise<void> {
    await this.#restart(async () => {
      await rm(join(this.#folder, 'now'), { recursive: true });
      await cp(join(this.#folder, name), join(this.#folder, 'now'), { recursive: true });
    });
  }

  async #restart(meanwhile: () => Promise<void>): Promise<void> {
    await this.copy;
    await this.#files[Symbol.asyncDispose]();
    await meanwhile();
    this.#files = new NodeFiles({ folder: join(this.#folder, 'now'), clock: systemClock, log: silent });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }
}

export interface SignerState extends AsyncDisposable {
  readonly hostCopy: HostCopy;
  /** Opens the state, as the first `init` does. */
  open(): Promise<Store>;
}

/** A signer whose disk is `memory`; of another node with another `secret`. */
export function signerWith(memory: Memory, { newState = false, log = silent as Log, secret = node } = {}): SignerState {
  const hostCopy = new HostCopy({ clock: systemClock, entropy: systemEntropy, log, newState });
  return {
    hostCopy,
    async open() {
      const place = (whenMissing: WhenMissing) => Promise.resolve().then(() => openMemoryStore(memory, whenMissing));
      const store = await hostCopy.open(keysOf(secret), place);
      hostCopy.serve();
      return store;
    },
    [Symbol.asyncDispose]: () => hostCopy[Symbol.asyncDispose](),
  };
}

/** A disk with the same content, as it is now. */
export function copyOf({ state }: Memory): Memory {
  if (state === undefined) return {};
  return { state: new State(state, [...state.hashes]) };
}

export function snapshotOf({ entries, versions, head }: Snapshot): Snapshot {
  return { entries: new Map(entries), versions: new Map(versions), head };
}
