/**
 * Keeps the host's copy up with the store. Nothing waits for it: commits are sealed and sent after the fact, in order,
 * one update at a time; what is committed while one is on its way goes together in the next. When a link begins with a
 * host that is behind, it is asked what it has and sent what it lacks, so an update that was lost needs no memory of it.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Clock } from '../../proto/clock.ts';
import type { StateListing, StateStored } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { brief, type SendToHost } from '../../proto/link.ts';
import { errorText } from '../../proto/log.ts';
import { updateToWire } from './copy_wire.ts';
import type { Seal, SealedEntry, SealedHead } from './seal.ts';
import { SealedCopy, type SealedUpdate } from './sealed.ts';
import type { Change, Head, Store } from './store.ts';

/** Entries of a listing that are taken in: more than any state has. */
const mostListed = 1 << 18;

type Listed = Pick<SealedEntry, 'key' | 'version'>;

type Phase =
  /** No link, or a host that keeps nothing; or it does not take what it is sent. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'listing'; readonly listed: Listed[]; readonly base?: bigint }
  /** The host's copy is at this version, and an update is on its way to it or not. */
  | { readonly kind: 'following'; readonly base: bigint; readonly sent: bigint | undefined };

export interface CopyUploadParts {
  readonly store: Store;
  readonly seal: Seal;
  readonly clock: Clock;
  /** Told why nothing more is sent on this link. */
  readonly givenUp: (problem: string) => void;
  /** Told where the copy was moved past the store meanwhile, and to which version. */
  readonly overtaken: (version: bigint) => void;
}

const idle: Phase = { kind: 'idle' };

export class CopyUpload {
  readonly #parts: CopyUploadParts;
  readonly #copy: SealedCopy;
  /** The version up to which commits are in `#copy`. */
  #version: bigint;
  #commits: { readonly changes: readonly Change[]; readonly head: Head }[] = [];
  #phase: Phase = idle;
  #send: SendToHost = () => {};
  /** Sealed and not sent. */
  #entries = new Map<string, SealedEntry>();
  #head: SealedHead | undefined;
  #scheduled = false;

  /** Begins with what the store holds; it must not be in the middle of a commit. */
  constructor(parts: CopyUploadParts) {
    this.#parts = parts;
    this.#copy = new SealedCopy(parts.seal, parts.store);
    this.#version = parts.store.head.version;
  }

  /** A link begins; the host's copy is as new as the store, or not. */
  begin(send: SendToHost, hostIs: 'same' | 'behind'): void {
    this.end();
    this.#send = send;
    if (hostIs === 'same') this.#phase = { kind: 'following', base: this.#parts.store.head.version, sent: undefined };
    else this.#list();
  }

  end(): void {
    this.#phase = idle;
    this.#send = () => {};
    this.#entries.clear();
    this.#head = undefined;
  }

  /** A commit is durable; they are told in their order. */
  committed(changes: readonly Change[], head: Head): void {
    this.#commits.push({ changes, head });
    this.#schedule();
  }

  /** What the host has, as it says. */
  listed({ version, entries, last }: StateListing): void {
    const phase = this.#phase;
    if (phase.kind !== 'listing') return;
    for (const entry of entries) phase.listed.push({ key: toHex(entry.name), version: entry.version });
    if (phase.listed.length > mostListed) this.#giveUp('it lists more entries than any state has');
    else if (last) {
      this.#phase = { ...phase, base: version };
      this.#schedule();
    }
  }

  /** The end of the update that was sent. */
  stored({ version, problem }: StateStored): void {
    const phase = this.#phase;
    if (phase.kind !== 'following' || phase.sent === undefined) return;
    if (version === phase.sent) {
      this.#phase = { kind: 'following', base: version, sent: undefined };
      this.#schedule();
    } else if (problem !== '' && version === phase.base) this.#giveUp(brief(problem));
    // An update of an earlier link was still on its way to the host's disk.
    else this.#list();
  }

  #giveUp(problem: string): void {
    this.end();
    this.#parts.givenUp(`the host does not keep the copy of the state: ${problem}`);
  }

  #list(): void {
    this.#phase = { kind: 'listing', listed: [] };
    this.#send({ case: 'listState', value: {} });
  }

  /** Later, when all that has been committed by then is known here, and whoever waits for a reply has it. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.clock.after(0, () => {
      this.#scheduled = false;
      try {
        this.#work();
      } catch (error: unknown) {
        this.#giveUp(errorText(error));
      }
    });
  }

  #work(): void {
    this.#seal();
    const phase = this.#phase;
    if (phase.kind === 'listing' && phase.base !== undefined) this.#catchUp(phase.base, phase.listed);
    else if (phase.kind === 'following' && phase.sent === undefined && this.#head !== undefined) {
      const update = { entries: [...this.#entries.values()], head: this.#head };
      this.#entries.clear();
      this.#head = undefined;
      this.#put(phase.base, update);
    }
  }

  /** Takes the commits into the copy, and what they changed to what is to be sent. */
  #seal(): void {
    const commits = this.#commits;
    this.#commits = [];
    for (const { changes, head } of commits) {
      const update = this.#copy.update(changes, head);
      this.#version = head.version;
      if (this.#phase.kind !== 'following') continue;
      for (const entry of update.entries) this.#entries.set(entry.key, entry);
      this.#head = update.head;
    }
  }

  #catchUp(base: bigint, listed: readonly Listed[]): void {
    const { store } = this.#parts;
    if (store.head.version !== this.#version) this.#schedule();
    else if (base === this.#version) this.#phase = { kind: 'following', base, sent: undefined };
    else if (base > this.#version) {
      this.end();
      this.#parts.overtaken(base);
    } else this.#put(base, this.#copy.missing(store, listed));
  }

  #put(base: bigint, update: SealedUpdate): void {
    this.#phase = { kind: 'following', base, sent: update.head.version };
    for (const value of updateToWire(base, update)) this.#send({ case: 'stateUpdate', value });
  }
}
