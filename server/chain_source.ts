/** Where a host gets its news of the chain from, to pass on to the signers of its nodes. */

/** See keyhold.v1.Outpoint. */
export interface Outpoint {
  /** 32 bytes, internal order. */
  readonly txid: Uint8Array;
  readonly vout: number;
}

/** See keyhold.v1.InclusionProof. */
export interface InclusionProof {
  readonly block: Uint8Array;
  readonly transaction: Uint8Array;
  readonly index: number;
  readonly path: readonly Uint8Array[];
}

export interface ChainSource {
  /** The hash of block 0, 32 bytes, internal order; undefined until the source was reached. */
  readonly genesis: Uint8Array | undefined;
  /** What a transaction pays to be confirmed soon, in satoshi per 1000 weight; undefined where that is not known. */
  readonly feeratePerkw: number | undefined;
  /** The first `most` headers, 80 bytes each, behind the first block of `locator` that is on the best chain. */
  headersAfter(locator: readonly Uint8Array[], most: number): Promise<readonly Uint8Array[]>;
  /** Proof that an unspent output is in a block of the best chain; undefined where it is not, or not yet. */
  proof(outpoint: Outpoint): Promise<InclusionProof | undefined>;
  /** Calls back when the best chain or the feerate changed, until the function returned is called. */
  watch(changed: () => void): () => void;
}
