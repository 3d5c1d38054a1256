/**
 * Proof that a transaction is in the chain: its place in a block's merkle tree, checked up to the root in a header that
 * is buried under work. The whole transaction is asked for, not its id alone, so that an outpoint's script and value
 * come from the chain and not from the host's word.
 */

import { parseTransaction, serializeTransaction, type TxOutput, txid } from '../../proto/bitcoin/tx.ts';
import { concat, equalBytes } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import { sha256d } from '../crypto/hash.ts';
import { blockOnChain, type ChainState } from './chain.ts';
import { display } from './header.ts';

export interface InclusionProof {
  /** The block's hash, 32 bytes, internal order. */
  readonly block: Uint8Array;
  /** The transaction without its witness. */
  readonly transaction: Uint8Array;
  /** Its position in the block, the coinbase being 0. */
  readonly index: number;
  /** The hashes beside the way from it to the root, lowest first, 32 bytes each, internal order. */
  readonly path: readonly Uint8Array[];
}

export interface Inclusion {
  /** 32 bytes, internal order. */
  readonly txid: Uint8Array;
  readonly outputs: readonly TxOutput[];
  readonly height: number;
  /** Confirmations: 1 in the last block of the best chain. */
  readonly depth: number;
}

/** A proof that does not hold, or not any more. */
export class ProofError extends Error {
  override readonly name = 'ProofError';
}

/** A block has at most 1,000,000 bytes without witnesses and no transaction fewer than 60: fifteen levels hold them all. */
const maxLevels = 15;
/** Two hashes, and the one length at which an inner node of the tree can be passed off as a transaction. */
const nodeLength = 64;

/** What the proof shows, on the chain as it is now. Throws ProofError. */
export function checkInclusion(state: ChainState, proof: InclusionProof): Inclusion {
  const { transaction, index, path } = proof;
  const found = blockOnChain(state, proof.block);
  if (found === undefined)
    throw new ProofError(
      `block ${display(proof.block)} is not among the last ${state.tip.height - state.base.height + 1} of the best chain`,
    );
  if (path.length > maxLevels || !path.every((hash) => hash.length === 32))
    throw new ProofError(`expected at most ${maxLevels} hashes of 32 bytes as the path, got ${path.length} hashes`);
  if (!Number.isInteger(index) || index < 0 || index >= 2 ** path.length)
    throw new ProofError(`expected a position below ${2 ** path.length} with ${path.length} hashes, got ${index}`);
  const tx = parseLeaf(transaction);
  const id = txid(tx);
  if (!equalBytes(merkleRoot(id, index, path), found.block.header.merkleRoot))
    throw new ProofError(`transaction ${display(id)} at position ${index} does not lead to the block's merkle root`);
  return { txid: id, outputs: tx.outputs, height: found.block.height, depth: found.depth };
}

function parseLeaf(bytes: Uint8Array) {
  if (bytes.length === nodeLength)
    throw new ProofError('a transaction of 64 bytes proves nothing: it may be an inner node of the tree');
  try {
    const tx = parseTransaction(bytes);
    if (equalBytes(serializeTransaction(tx, { witness: false }), bytes)) return tx;
  } catch (error: unknown) {
    if (!(error instanceof WireError)) throw error;
    throw new ProofError(`the transaction does not parse: ${error.message}`, { cause: error });
  }
  throw new ProofError('expected the transaction without its witness');
}

/** The root that a leaf leads to. Throws ProofError where the path has one of the two known ambiguities. */
function merkleRoot(leaf: Uint8Array, index: number, path: readonly Uint8Array[]): Uint8Array {
  let hash = leaf;
  let position = index;
  for (const sibling of path) {
    const right = (position & 1) === 1;
    // An odd level repeats its last hash. To the left of itself a hash can only stand in a tree with repeated
    // transactions (CVE-2012-2459), or as a second position for the same one.
    if (right && equalBytes(hash, sibling))
      throw new ProofError('a hash repeated to its own left: expected none there');
    const node = right ? concat(sibling, hash) : concat(hash, sibling);
    // A transaction made to look like two hashes would let its second half stand for a transaction that is in no block.
    if (isTransaction(node)) throw new ProofError('an inner node of the tree is a transaction: the path is too long');
    hash = sha256d(node);
    position >>= 1;
  }
  return hash;
}

function isTransaction(bytes: Uint8Array): boolean {
  try {
    parseTransaction(bytes);
    return true;
  } catch (error: unknown) {
    if (error instanceof WireError) return false;
    throw error;
  }
}
