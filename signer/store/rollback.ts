/**
 * At attach: is the local state the newest there is? It is compared with the sealed heads that the host shows; as only
 * this node's signers can make one, a newer head proves that the local state was put back or lost, whatever the host
 * wants. (A host can hide a newer head. That takes this machine's disk and the host together.)
 */

import { equalBytes } from '../../proto/bytes.ts';
import { type Head, recoveryCommand, type Store } from './store.ts';

export type Verdict =
  /** Local state and copy are equal. */
  | { readonly kind: 'same' }
  /**
   * The copy is older, or there is none: send what is missing. `proven` tells whether the copy's head is known to be one
   * of ours; where it is older than the store remembers, nobody can tell, and the owner should be asked.
   */
  | { readonly kind: 'host behind'; readonly copy: Head | undefined; readonly proven: boolean }
  /** Refuse to serve: signing on could use a state twice. `problem` says so to the owner, with the way out. */
  | { readonly kind: 'local behind' | 'forked'; readonly problem: string };

export interface Heads {
  readonly local: Pick<Store, 'head' | 'hashAt'>;
  /** The opened head of the host's copy; undefined where it has none. */
  readonly copy: Head | undefined;
  /** The opened newest head that the host says it ever saw. */
  readonly seen: Head | undefined;
}

/** Compares the local state with what the host shows. Heads must come out of `Seal.openHead`, never from the host as they are. */
export function compareHeads({ local, copy, seen }: Heads): Verdict {
  const shown = [copy, seen].filter((head) => head !== undefined);
  const newer = shown.find(({ version }) => version > local.head.version);
  if (newer !== undefined) return { kind: 'local behind', problem: localBehind(local.head, newer) };
  const forks = shown.find(({ version, hash }) => {
    const ours = local.hashAt(version);
    return ours !== undefined && !equalBytes(ours, hash);
  });
  if (forks !== undefined) return { kind: 'forked', problem: forked(local.head, forks) };
  if (copy?.version === local.head.version) return { kind: 'same' };
  return { kind: 'host behind', copy, proven: copy === undefined || local.hashAt(copy.version) !== undefined };
}

function localBehind(local: Head, newer: Head): string {
  return `the signer's state is at version ${local.version}, but this node has signed at version ${newer.version}: the state on this machine was lost or put back to an earlier one. Nothing is signed with it. Run \`${recoveryCommand}\` to take over the host's newer copy`;
}

function forked(local: Head, other: Head): string {
  return `the signer's state (version ${local.version}) and the one the host knows went apart at or before version ${other.version}: two signers have served this node. Nothing is signed. Stop the other signer, decide which of the two states is the true one, then run \`${recoveryCommand}\``;
}
