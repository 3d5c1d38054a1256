import { hash } from 'node:crypto';
import { concat } from '../proto/bytes.ts';

const sha256d = (bytes: Uint8Array): Uint8Array => hash('sha256', hash('sha256', bytes, 'buffer'), 'buffer');

/**
 * The hashes beside the way from a block's transaction to its merkle root, lowest first; `txids` are those of the whole
 * block, 32 bytes each, internal order. An odd level repeats its last hash, as Bitcoin has it.
 */
export function merklePath(txids: readonly Uint8Array[], index: number): readonly Uint8Array[] {
  const path: Uint8Array[] = [];
  let level = txids;
  for (let at = index; level.length > 1; at >>= 1) {
    const sibling = level[at ^ 1] ?? level[at];
    if (sibling === undefined) throw new RangeError(`expected a position below ${txids.length}, got ${index}`);
    path.push(Uint8Array.from(sibling));
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] ?? new Uint8Array();
      next.push(sha256d(concat(left, level[i + 1] ?? left)));
    }
    level = next;
  }
  return path;
}
