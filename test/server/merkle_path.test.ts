import { createHash } from 'node:crypto';
import test from 'ava';
import { concat, toHex } from '../../proto/bytes.ts';
import { merklePath } from '../../server/merkle_path.ts';
import { regtest } from '../signer/chain/mining.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
const sha256d = (bytes: Uint8Array) => Uint8Array.from(sha256(sha256(bytes)));
const leaf = (n: number) => sha256d(Uint8Array.of(n));

/** A tree's root level by level, a last hash without a neighbour doubled. */
function root(leaves: readonly Uint8Array[]): Uint8Array {
  const [first = new Uint8Array()] = leaves;
  if (leaves.length === 1) return first;
  const pairs = Array.from({ length: Math.ceil(leaves.length / 2) }, (_, i) => [leaves[2 * i], leaves[2 * i + 1]]);
  return root(pairs.map(([left = new Uint8Array(), right = left]) => sha256d(concat(left, right))));
}

test('from every place of trees of every size the path leads to the root', (t) => {
  for (let size = 1; size <= 20; size++) {
    const leaves = Array.from({ length: size }, (_, i) => leaf(i));
    for (const [index, own] of leaves.entries()) {
      let [hash, at] = [own, index];
      for (const sibling of merklePath(leaves, index)) {
        hash = sha256d((at & 1) === 1 ? concat(sibling, hash) : concat(hash, sibling));
        at >>= 1;
      }
      t.is(toHex(hash), toHex(root(leaves)), `${index} of ${size}`);
    }
  }
  t.throws(() => merklePath([leaf(1), leaf(2)], 2), { instanceOf: RangeError });
});

test('paths of recorded blocks are as long as bitcoind’s', (t) => {
  for (const { transactions, path } of regtest.proofs) {
    const leaves = Array.from({ length: transactions }, (_, i) => leaf(i % 256));
    t.is(merklePath(leaves, 0).length, path.length);
  }
});
