import test from 'ava';
import fc from 'fast-check';
import { concat, fromHex } from '../../../proto/bytes.ts';
import { startAt, startAtGenesis } from '../../../signer/chain/chain.ts';
import { display, parseHeader } from '../../../signer/chain/header.ts';
import { applyHeaders } from '../../../signer/chain/headers.ts';
import { checkInclusion, type InclusionProof, ProofError } from '../../../signer/chain/proof.ts';
import { sha256d } from '../../../signer/crypto/hash.ts';
import { clockAt, mainnet, mine, network, regtest } from './mining.ts';

const late = clockAt(2_000_000_000);
const chain = applyHeaders(startAtGenesis(network('regtest')), regtest.headers.map(fromHex), late);
const reversed = (hex: string) => fromHex(hex).reverse();

const proofs = regtest.proofs.map((vector) => {
  const { block, tx, index, path } = vector;
  return { vector, proof: { block: reversed(block), transaction: fromHex(tx), index, path: path.map(fromHex) } };
});

for (const { vector, proof } of proofs) {
  test(`regtest: transaction ${vector.index} of ${vector.transactions} at height ${vector.height} is found`, (t) => {
    const { txid, height, depth, outputs } = checkInclusion(chain, proof);
    t.is(display(txid), vector.txid);
    t.is(height, vector.height);
    t.is(depth, regtest.headers.length - vector.height + 1);
    t.deepEqual(
      outputs.map(({ amount, script }) => ({ sat: Number(amount), script: Buffer.from(script).toString('hex') })),
      vector.outputs.map(({ sat, script }) => ({ sat, script })),
    );
  });

  test(`regtest: transaction ${vector.index} of ${vector.transactions}: any change to its proof is noticed`, (t) => {
    const refused = (change: Partial<InclusionProof>) =>
      t.throws(() => checkInclusion(chain, { ...proof, ...change }), { instanceOf: ProofError });
    refused({ index: proof.index + 1 });
    refused({ index: -1 });
    refused({ index: 2 ** proof.path.length });
    refused({ path: [...proof.path, new Uint8Array(32)] });
    refused({ path: Array<Uint8Array>(16).fill(new Uint8Array(32)) });
    refused({ path: [new Uint8Array(31)] });
    refused({ block: new Uint8Array(32) });
    refused({ block: parseHeader(network('regtest').genesis).hash });
    refused({ transaction: proof.transaction.with(-1, 1) });
    refused({ transaction: proof.transaction.subarray(0, -1) });
    for (const [i, hash] of proof.path.entries())
      refused({ path: proof.path.with(i, hash.with(0, (hash[0] ?? 0) ^ 1)) });
    if (proof.path.length > 0) refused({ path: proof.path.slice(1) });
  });
}

test('mainnet: transactions of block 830000 are found, the last of 1851 too', (t) => {
  const { anchor, proofs: vectors } = mainnet.block;
  const state = startAt(network('bitcoin'), { ...anchor, header: fromHex(anchor.header) });
  for (const { index, txid, tx, path } of vectors) {
    const proof = { block: state.tip.header.hash, transaction: fromHex(tx), index, path: path.map(fromHex) };
    const found = checkInclusion(state, proof);
    t.is(display(found.txid), txid);
    t.is(found.depth, 1);
  }
});

/** A chain whose last block has this merkle root. */
function endingWith(merkleRoot: Uint8Array) {
  return applyHeaders(chain, [mine(chain.network, chain.tip, { merkleRoot })], late);
}

const some = proofs[1]?.proof.transaction ?? new Uint8Array();

test('a transaction in an odd last place has one position, not two', (t) => {
  const left = concat(sha256d(some), sha256d(some));
  const state = endingWith(sha256d(left));
  const at = (index: number) => () =>
    checkInclusion(state, { block: state.tip.header.hash, transaction: some, index, path: [sha256d(some)] });
  t.notThrows(at(0));
  t.throws(at(1), { instanceOf: ProofError, message: /own left/ });
});

/** A transaction of 64 bytes: one input, one output, four bytes of scripts. */
function shortTransaction(amount: number): Uint8Array {
  const tx = new Uint8Array(64);
  tx[0] = 1;
  tx[4] = 1;
  tx.fill(0x11, 5, 41);
  tx[46] = 1;
  tx[47] = amount;
  tx[55] = 4;
  return tx;
}

test('a 64-byte transaction cannot stand for an inner node, nor an inner node for a transaction', (t) => {
  const short = shortTransaction(9);
  const alone = endingWith(sha256d(short));
  const asLeaf = { block: alone.tip.header.hash, transaction: short, index: 0, path: [] };
  t.throws(() => checkInclusion(alone, asLeaf), { instanceOf: ProofError, message: /64 bytes/ });
  // A transaction that is in no block, tried until its id can be the first half of one of 64 bytes that is.
  let invented = some;
  for (let locktime = 0; sha256d(invented)[4] !== 1; locktime++) {
    invented = some.slice();
    new DataView(invented.buffer).setUint32(invented.length - 4, locktime, true);
  }
  const sibling = short.subarray(32);
  const carrier = concat(sha256d(invented), sibling);
  const state = endingWith(sha256d(carrier));
  const forged = { block: state.tip.header.hash, transaction: invented, index: 0, path: [sibling] };
  t.throws(() => checkInclusion(state, forged), { instanceOf: ProofError, message: /inner node/ });
});

test('a transaction with its witness, or none at all, is refused', (t) => {
  const state = endingWith(sha256d(some));
  const refused = (transaction: Uint8Array) =>
    t.throws(() => checkInclusion(state, { block: state.tip.header.hash, transaction, index: 0, path: [] }), {
      instanceOf: ProofError,
    });
  t.notThrows(() => checkInclusion(state, { block: state.tip.header.hash, transaction: some, index: 0, path: [] }));
  refused(new Uint8Array());
  refused(concat(some.subarray(0, 4), Uint8Array.of(0, 1), some.subarray(4, -4), Uint8Array.of(0), some.subarray(-4)));
});

test('random proofs throw ProofError, nothing else', (t) => {
  const bytes = fc.uint8Array({ maxLength: 120 });
  fc.assert(
    fc.property(
      bytes,
      fc.integer(),
      fc.array(fc.uint8Array({ minLength: 31, maxLength: 33 })),
      (transaction, index, path) => {
        try {
          checkInclusion(chain, { block: chain.tip.header.hash, transaction, index, path });
        } catch (error: unknown) {
          if (!(error instanceof ProofError)) throw error;
        }
      },
    ),
  );
  t.pass();
});
