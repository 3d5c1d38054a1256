/**
 * The signer's state and the copy that its host keeps, together: at each attach the two are compared, and nothing is
 * signed with a state that is not the newest the host can prove; commits go to the copy as they are made. A state is
 * begun from nothing only where the owner says so.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { utf8 } from '../../proto/bytes.ts';
import type { Clock } from '../../proto/clock.ts';
import type { HeldState, Promote, Welcome } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import type { SendToHost } from '../../proto/link.ts';
import type { Log } from '../../proto/log.ts';
import type { Companion, LinkMessage } from '../companion.ts';
import type { Entropy } from '../crypto/secp.ts';
import type { NodeKeys } from '../keys/node_keys.ts';
import { nextCommit } from './chain.ts';
import { CopyUpload } from './copy_upload.ts';
import { headFromWire } from './copy_wire.ts';
import { compareHeads } from './rollback.ts';
import { Seal, SealError } from './seal.ts';
import { type Head, recoveryCommand, type Snapshot, type Store, StoreError, type WhenMissing } from './store.ts';

export interface HostCopyOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  /** The owner's word that a state that is missing may be begun, whatever the host has. */
  readonly newState: boolean;
  /** Told when `notKept` may have changed, or `failure`. */
  readonly changed?: () => void;
}

const foreignCopy =
  'what the host has for a copy of the state is another node’s, or damaged: it is left alone, and no copy is kept. See that secret and certificate are of one node; else have the host’s operator move that copy away';

const noCopies = 'this host keeps no copy of the signer’s state';

interface Opened {
  readonly store: Store;
  readonly seal: Seal;
  readonly upload: CopyUpload;
}

interface Link {
  readonly send: SendToHost;
  /** What the host holds; undefined where it keeps no copies. */
  readonly held: HeldState | undefined;
  readonly active: boolean;
}

/** What an owner without a local state is told. */
function wayOut(held: HeldState | undefined): string {
  if (held?.head !== undefined) return `The host has a copy, as it says at version ${held.head.version}`;
  return 'The host has no copy: for a node that never had channels begin a state with --new-state';
}

/**
 * A state that begins after a copy that was given up: its version numbers go on from that one's, so that it is newer. It
 * is on the disk all at once: an empty state at the copy's own version would pass for the same as the copy.
 */
function begunAfter(copy: Head): Snapshot {
  const key = 'begun';
  const value = utf8(`anew after version ${copy.version}`);
  const { head } = nextCommit(copy, [{ key, value }], sha256);
  return { entries: new Map([[key, value]]), versions: new Map([[key, head.version]]), head };
}

export class HostCopy implements Companion, AsyncDisposable {
  readonly #options: HostCopyOptions;
  #link: Link | undefined;
  #opening: Promise<Store> | undefined;
  #opened: Opened | undefined;
  #followedStore: Store | undefined;
  #problem: string | undefined;
  #notKept: string | undefined;
  #failure: string | undefined;
  #isServed = false;

  constructor(options: HostCopyOptions) {
    this.#options = options;
  }

  /** The state as it was opened; undefined before. */
  get store(): Store | undefined {
    return this.#followedStore;
  }

  /** Why nothing may be signed with the local state; undefined where it may. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Why the state can no longer be written; undefined where it can. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Why the host has no copy that is kept up, as far as is known; undefined where it has. */
  get notKept(): string | undefined {
    return this.#notKept;
  }

  /**
   * Opens the state that belongs to these keys; the store returned also keeps the copy up, once `serve` is called. `open`
   * opens the place where it is kept. @throws StoreError, also where the state must not be used
   */
  async open(keys: Pick<NodeKeys, 'state'>, open: (whenMissing: WhenMissing) => Promise<Store>): Promise<Store> {
    this.#opening ??= this.#open(new Seal(keys.state, this.#options.entropy), open);
    try {
      const store = await this.#opening;
      if (this.#problem !== undefined) throw new StoreError(this.#problem);
      return store;
    } finally {
      if (this.#opened === undefined) this.#opening = undefined;
    }
  }

  /** Whoever opened the state finds that it is this node's: the copy follows it from now on. */
  serve(): void {
    if (this.#isServed) return;
    this.#isServed = true;
    this.#compare();
  }

  attached({ state, active }: Welcome, send: SendToHost): void {
    this.#link = { send, held: state, active };
    this.#keeps(state === undefined ? noCopies : undefined);
    this.#compare();
  }

  promoted({ state }: Promote): void {
    if (this.#link === undefined) return;
    this.#link = { ...this.#link, held: state, active: true };
    this.#keeps(state === undefined ? noCopies : undefined);
    this.#compare();
  }

  receive(message: LinkMessage): void {
    if (message.case === 'stateStored') this.#opened?.upload.stored(message.value);
    else if (message.case === 'stateListing') this.#opened?.upload.listed(message.value);
  }

  detached(): void {
    this.#link = undefined;
    this.#opened?.upload.end();
  }

  async #open(seal: Seal, open: (whenMissing: WhenMissing) => Promise<Store>): Promise<Store> {
    const inner = await this.#openInner(seal, open);
    const { clock } = this.#options;
    const upload = new CopyUpload({
      store: inner,
      seal,
      clock,
      givenUp: (problem) => this.#keeps(problem),
      overtaken: (version) => this.#overtaken(version, inner.head.version),
    });
    this.#opened = { store: inner, seal, upload };
    this.#followedStore = this.#followed(inner, upload);
    this.#compare();
    return this.#followedStore;
  }

  async #openInner(seal: Seal, open: (whenMissing: WhenMissing) => Promise<Store>): Promise<Store> {
    try {
      return await open('fail');
    } catch (error: unknown) {
      if (!(error instanceof StoreError)) throw error;
      const held = this.#link?.held;
      // That there is no copy is only the host's word: it never begins a state, as it could end with a loss of one.
      if (!this.#options.newState) throw new StoreError(`${error.message}. ${wayOut(held)}`, { cause: error });
      const head = this.#headOf(held, seal);
      if (head === undefined || head === 'foreign') return open('create');
      this.#options.log('warn', 'the state is begun anew, the host’s copy given up', { copy: head.version });
      return open({ recovered: begunAfter(head) });
    }
  }

  /** Found out in the middle of a link, by the host's word alone; with the next link it would be found out by the head. */
  #overtaken(copy: bigint, local: bigint): void {
    const problem = `the host's copy has moved to version ${copy}, this signer's state is at ${local}: another signer has served this node meanwhile. Nothing is signed. Stop the other one, or run \`${recoveryCommand}\` here`;
    this.#problem ??= problem;
    this.#options.log('error', problem);
    this.#options.changed?.();
  }

  /** The copy is kept up from now on, or is not, for this reason. */
  #keeps(problem: string | undefined): void {
    this.#notKept = problem;
    if (problem !== undefined) this.#options.log('error', problem);
    this.#options.changed?.();
  }

  /** The head of the host's copy; undefined where there is none. */
  #headOf(held: HeldState | undefined, seal: Seal): Head | 'foreign' | undefined {
    if (held?.head === undefined) return undefined;
    try {
      return seal.openHead(headFromWire(held.head)).head;
    } catch (error: unknown) {
      if (!(error instanceof SealError)) throw error;
      return 'foreign';
    }
  }

  /** Is the local state the newest there is? If so the host's copy is brought up, by the signer that is active. */
  #compare(): void {
    // Once found unfit a state stays so: only a recovery, with the signer stopped, mends it.
    if (this.#opened === undefined || this.#link === undefined || this.#problem !== undefined) return;
    const { store: local, seal, upload } = this.#opened;
    const { held, send, active } = this.#link;
    const { log } = this.#options;
    upload.end();
    const copy = this.#headOf(held, seal);
    // It says nothing of our state, and may be all that another node has of its own.
    if (copy === 'foreign') {
      this.#keeps(foreignCopy);
      return;
    }
    const verdict = compareHeads({ local, copy, seen: undefined });
    const { version } = local.head;
    if (verdict.kind === 'local behind' || verdict.kind === 'forked') {
      log('error', verdict.problem);
      this.#problem = verdict.problem;
      return;
    }
    if (!this.#isServed) return;
    if (verdict.kind === 'host behind' && !verdict.proven)
      log('warn', 'the host’s copy is so old that nobody can tell whether it was ever this state', { version });
    log('info', 'state and copy', { version, copy: copy?.version ?? 0n, verdict: verdict.kind });
    if (held !== undefined && active) upload.begin(send, verdict.kind === 'same' ? 'same' : 'behind');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening?.catch(() => undefined);
    this.#opened?.upload.end();
    await this.#opened?.store[Symbol.asyncDispose]();
  }

  /** The store as the policy gets it. */
  #followed(inner: Store, upload: CopyUpload): Store {
    const problem = () => this.#problem;
    const failed = (error: unknown) => {
      // Whoever committed is told too. What else a commit throws is about its changes.
      if (error instanceof StoreError) this.#failure = error.message;
      this.#options.changed?.();
    };
    return {
      get entries() {
        return inner.entries;
      },
      get versions() {
        return inner.versions;
      },
      get head() {
        return inner.head;
      },
      hashAt: (version) => inner.hashAt(version),
      commit(changes) {
        const unfit = problem();
        if (unfit !== undefined) return Promise.reject(new StoreError(unfit));
        const durable = inner.commit(changes);
        if (changes.length > 0) durable.then((head) => upload.committed(changes, head), failed);
        return durable;
      },
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  }
}
