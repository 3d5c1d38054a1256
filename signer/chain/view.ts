/** What the policy may ask about the chain. */

import type { FeeEstimate } from './feerate.ts';

/** An output that a channel is about, as the signer knows it without the chain. */
export interface ExpectedOutput {
  /** 32 bytes, internal order. */
  readonly txid: Uint8Array;
  readonly vout: number;
  /** Satoshi. */
  readonly value: bigint;
  /** The scriptPubKey. */
  readonly script: Uint8Array;
}

export interface ChainView {
  /** Whether the rules that need the chain are in force: there was a feed that told all of it. */
  readonly inForce: boolean;
  /** The height of the chain's last block; undefined where none is proven, or the news is old. */
  height(): number | undefined;
  /** What the host says a transaction pays to be confirmed soon; only to be used within bounds of one's own. */
  readonly estimate: FeeEstimate | undefined;
  /** Confirmations of an output that are proven, 0 where none are; waits a moment for the proof to come. */
  confirmations(output: ExpectedOutput): Promise<number>;
}
