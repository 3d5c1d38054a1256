/**
 * The copy of the state that a host keeps: encrypted, and bound together so that the host can give back only all of it,
 * as it was at its newest version, or be found out.
 *
 * Each entry is sealed for its own name and version; what no entry can say is which of them are current. The head says
 * that: it holds the sum of a secret pseudorandom number for each current (key, version, value). A commit moves the sum by
 * what it changed, so keeping the copy costs no more than the commit; a host that sees neither numbers nor sums cannot
 * find another set of entries with the same one.
 */

import { type Seal, SealError, type SealedEntry, type SealedHead } from './seal.ts';
import { type Change, type Head, recoveryCommand, type Snapshot } from './store.ts';

/** What the host is to store in one step. */
export interface SealedUpdate {
  readonly entries: readonly SealedEntry[];
  readonly head: SealedHead;
}

const modulus = 1n << 256n;

/** Follows a store, commit by commit, and says what each of them changes in the copy. */
export class SealedCopy {
  readonly #seal: Seal;
  readonly #terms = new Map<string, bigint>();
  #sum = 0n;
  #version: bigint;

  /** Begins with what the store holds; takes some tens of microseconds for each entry. */
  constructor(seal: Seal, { entries, versions, head }: Snapshot) {
    this.#seal = seal;
    for (const [key, value] of entries) this.#set(key, seal.term(key, versions.get(key) ?? 0n, value));
    this.#version = head.version;
  }

  #set(key: string, term: bigint | undefined): void {
    const sum = this.#sum - (this.#terms.get(key) ?? 0n) + (term ?? 0n);
    this.#sum = BigInt.asUintN(256, sum);
    if (term === undefined) this.#terms.delete(key);
    else this.#terms.set(key, term);
  }

  /** Seals what a commit changed; commits come in their order, each once. @throws RangeError */
  update(changes: readonly Change[], head: Head): SealedUpdate {
    if (head.version !== this.#version + 1n)
      throw new RangeError(`expected the commit of version ${this.#version + 1n}, got that of ${head.version}`);
    this.#version = head.version;
    const last = new Map(changes.map(({ key, value }) => [key, value]));
    const entries: SealedEntry[] = [];
    for (const [key, value] of last) {
      this.#set(key, value && this.#seal.term(key, head.version, value));
      entries.push(
        value === undefined ? removal(this.#seal.name(key), head.version) : this.#seal.entry(key, head.version, value),
      );
    }
    return { entries, head: this.#sealHead(head) };
  }

  /** Seals what the host lacks of `snapshot`, the state now, given what it holds (name and version of each entry). */
  missing({ entries, versions, head }: Snapshot, held: Iterable<Pick<SealedEntry, 'key' | 'version'>>): SealedUpdate {
    if (head.version !== this.#version)
      throw new RangeError(`expected the state at ${this.#version}, got ${head.version}`);
    const theirs = new Map(Array.from(held, ({ key, version }) => [key, version]));
    const lacking: SealedEntry[] = [];
    for (const [key, value] of entries) {
      const name = this.#seal.name(key);
      const version = versions.get(key) ?? 0n;
      if (theirs.get(name) !== version) lacking.push(this.#seal.entry(key, version, value));
      theirs.delete(name);
    }
    const extra = Array.from(theirs.keys(), (name) => removal(name, head.version));
    return { entries: [...lacking, ...extra], head: this.#sealHead(head) };
  }

  #sealHead(head: Head): SealedHead {
    return this.#seal.head({ head, count: this.#terms.size, sum: this.#sum });
  }
}

function removal(key: string, version: bigint): SealedEntry {
  return { key, version, ciphertext: undefined };
}

/**
 * Opens a whole copy. `minimumVersion` is the newest version the owner knows of: a host can always give back a copy that
 * was current once, and only somebody's memory tells that it no longer is.
 *
 * @throws SealError which says whether it is old, altered, incomplete, or another node's
 */
export function openSealed(
  seal: Seal,
  entries: Iterable<SealedEntry>,
  sealedHead: SealedHead,
  minimumVersion: bigint,
): Snapshot {
  const { head, count, sum } = seal.openHead(sealedHead);
  if (head.version < minimumVersion)
    throw new SealError(
      'rolled back',
      `the host's copy is at version ${head.version}, but version ${minimumVersion} was reached: ask the host for its newest copy`,
    );
  const values = new Map<string, Uint8Array>();
  const versions = new Map<string, bigint>();
  let found = 0n;
  for (const entry of entries) {
    const { key, value } = seal.openEntry(entry);
    values.set(key, value);
    versions.set(key, entry.version);
    found += seal.term(key, entry.version, value);
  }
  if (values.size !== count)
    throw new SealError(
      'wrong count',
      `expected ${count} entries at version ${head.version}, found ${values.size}: some were dropped or added`,
    );
  if (found % modulus !== sum)
    throw new SealError(
      'wrong entries',
      `the entries are this node's own, but not those of version ${head.version}: at least one is older or newer. Do not use this copy; \`${recoveryCommand}\` takes one from elsewhere`,
    );
  return { entries: values, versions, head };
}
