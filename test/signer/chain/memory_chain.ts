/** A chain that a test makes, as a host's source of news: blocks with transactions, forks, and whatever lies it is told to tell. */

import { serializeTransaction, type Transaction, txid } from '../../../proto/bitcoin/tx.ts';
import { concat, equalBytes } from '../../../proto/bytes.ts';
import type { ChainSource, InclusionProof, Outpoint } from '../../../server/chain_source.ts';
import { merklePath } from '../../../server/merkle_path.ts';
import { type Block, startAtGenesis, successor } from '../../../signer/chain/chain.ts';
import { parseHeader } from '../../../signer/chain/header.ts';
import type { Network } from '../../../signer/chain/networks.ts';
import { sha256d } from '../../../signer/crypto/hash.ts';
import { mine } from './mining.ts';

interface Made {
  readonly block: Block;
  readonly transactions: readonly Transaction[];
}

/** A transaction that pays this script; `salt` makes it another one. */
export function paying(value: bigint, script: Uint8Array, salt = 0): Transaction {
  const input = { txid: new Uint8Array(32).fill(9), vout: salt, scriptSig: new Uint8Array(), sequence: 0, witness: [] };
  return { version: 2, inputs: [input], outputs: [{ amount: value, script }], locktime: 0 };
}

function rootOf(transactions: readonly Transaction[]): Uint8Array {
  const [first] = transactions;
  if (first === undefined) return new Uint8Array(32);
  let hash = txid(first);
  for (const sibling of merklePath(transactions.map(txid), 0)) hash = sha256d(concat(hash, sibling));
  return hash;
}

export class MemoryChain implements ChainSource {
  readonly genesis: Uint8Array;
  feeratePerkw: number | undefined;
  /** Changes what is told. */
  lie: {
    readonly headers?: (headers: readonly Uint8Array[]) => readonly Uint8Array[];
    readonly proof?: (proof: InclusionProof) => InclusionProof;
  } = {};
  /** How often headers were asked for. */
  asked = 0;
  readonly #network: Network;
  #best: readonly Made[];
  readonly #watchers = new Set<() => void>();

  constructor(network: Network) {
    this.#network = network;
    const { tip } = startAtGenesis(network);
    this.genesis = tip.header.hash;
    this.#best = [{ block: tip, transactions: [] }];
  }

  get tip(): Block {
    const last = this.#best.at(-1);
    if (last === undefined) throw new Error('no block');
    return last.block;
  }

  /** Mines blocks whose times end at `end` (seconds); the first of them has the transactions. */
  mine(count: number, end: number, transactions: readonly Transaction[] = [], version?: number): void {
    for (let i = 0; i < count; i++) {
      const time = Math.max(end - (count - 1 - i), this.tip.header.time + 1);
      const inside = i === 0 ? transactions : [];
      const header = mine(this.#network, this.tip, { time, merkleRoot: rootOf(inside), ...(version && { version }) });
      const block = successor(this.tip, parseHeader(header));
      this.#best = [...this.#best, { block, transactions: inside }];
    }
    this.changed();
  }

  /** Forgets the last blocks, as in a reorganisation; what is mined next replaces them. */
  unwind(count: number): void {
    this.#best = this.#best.slice(0, -count);
  }

  changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  headersAfter(locator: readonly Uint8Array[], most: number): Promise<readonly Uint8Array[]> {
    this.asked += 1;
    const at = locator
      .map((hash) => this.#best.findIndex(({ block }) => equalBytes(block.header.hash, hash)))
      .find((index) => index !== -1);
    const headers =
      at === undefined ? [] : this.#best.slice(at + 1, at + 1 + most).map(({ block }) => block.header.bytes);
    return Promise.resolve(this.lie.headers?.(headers) ?? headers);
  }

  proof(outpoint: Outpoint): Promise<InclusionProof | undefined> {
    for (const { block, transactions } of this.#best) {
      const index = transactions.findIndex((tx) => equalBytes(txid(tx), outpoint.txid));
      const found = transactions[index];
      if (found === undefined) continue;
      const transaction = serializeTransaction(found, { witness: false });
      const proof = { block: block.header.hash, transaction, index, path: merklePath(transactions.map(txid), index) };
      return Promise.resolve(this.lie.proof?.(proof) ?? proof);
    }
    return Promise.resolve(undefined);
  }

  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }
}
