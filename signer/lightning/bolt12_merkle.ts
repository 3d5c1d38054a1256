/** The merkle root under BOLT 12's signatures ("Signature Calculation"): over all records but those of signatures. */

import { concat } from '../../proto/bytes.ts';
import { taggedHash } from '../crypto/hash.ts';
import type { TlvRecord } from './tlv_records.ts';

/** 32 bytes; undefined where there is no record to hash. */
export function merkleRoot(records: readonly TlvRecord[]): Uint8Array | undefined {
  const hashed = records.filter(({ type }) => type < 240n || type > 1000n);
  const [first] = hashed;
  if (first === undefined) return undefined;
  let level = hashed.map(({ bytes, typeBytes }) =>
    branch(taggedHash(['LnLeaf'], bytes), taggedHash(['LnNonce', first.bytes], typeBytes)),
  );
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = [level[i], level[i + 1]];
      if (left !== undefined) above.push(right === undefined ? left : branch(left, right));
    }
    level = above;
  }
  return level[0];
}

/** The lesser hash goes first, so that a proof need not say which is left. */
function branch(a: Uint8Array, b: Uint8Array): Uint8Array {
  return taggedHash(['LnBranch'], isLess(a, b) ? concat(a, b) : concat(b, a));
}

function isLess(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return (a[i] ?? 0) < (b[i] ?? 0);
  return false;
}
