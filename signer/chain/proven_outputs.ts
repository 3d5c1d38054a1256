/** The outputs that proofs are wanted of, and the proofs that came: looked at again whenever the chain has moved. */

import { equalBytes, toHex } from '../../proto/bytes.ts';
import type { ChainState } from './chain.ts';
import { checkInclusion, type InclusionProof, ProofError } from './proof.ts';
import type { ExpectedOutput } from './view.ts';

/** Outputs asked about: channels' fundings, and HTLCs that come back. */
const mostWanted = 1000;

interface Wanted {
  readonly output: ExpectedOutput;
  readonly proof: InclusionProof | undefined;
}

export class ProvenOutputs {
  /** By outpoint, the one asked about longest ago first. */
  readonly #wanted = new Map<string, Wanted>();

  /** Begins to want a proof; false where just this was wanted already. */
  want(output: ExpectedOutput): boolean {
    const key = keyOf(output);
    const before = this.#wanted.get(key);
    this.#wanted.delete(key);
    this.#wanted.set(key, { output, proof: before && sameOutput(before.output, output) ? before.proof : undefined });
    const [oldest] = this.#wanted.keys();
    if (this.#wanted.size > mostWanted && oldest !== undefined) this.#wanted.delete(oldest);
    return before === undefined || !sameOutput(before.output, output);
  }

  /** Those without a proof that holds, the one asked about last first: of two that exclude each other one never has a proof. */
  lacking(chain: ChainState): readonly ExpectedOutput[] {
    const newestFirst = [...this.#wanted.values()].reverse();
    return newestFirst.flatMap(({ output }) => (this.depth(chain, output) > 0 ? [] : [output]));
  }

  /** Takes a proof for those outputs of its transaction that are as expected. Throws ProofError where not all are. */
  take(chain: ChainState, proof: InclusionProof): void {
    const { txid, outputs } = checkInclusion(chain, proof);
    const about = [...this.#wanted].filter(([, { output }]) => equalBytes(output.txid, txid));
    if (about.length === 0) throw new ProofError('a proof of a transaction that was not asked for');
    const others: number[] = [];
    for (const [key, { output }] of about) {
      const found = outputs[output.vout];
      if (found?.amount === output.value && equalBytes(found.script, output.script))
        this.#wanted.set(key, { output, proof });
      else others.push(output.vout);
    }
    if (others.length > 0)
      throw new ProofError(`output ${others.join(' and ')} of the transaction is not the one this signer signs for`);
  }

  /** Confirmations of an output on the chain as it is now; 0 where there is no proof, or it does not hold any more. */
  depth(chain: ChainState, output: ExpectedOutput): number {
    const wanted = this.#wanted.get(keyOf(output));
    if (wanted?.proof === undefined || !sameOutput(wanted.output, output)) return 0;
    try {
      return checkInclusion(chain, wanted.proof).depth;
    } catch (error: unknown) {
      if (!(error instanceof ProofError)) throw error;
      this.#wanted.set(keyOf(output), { output, proof: undefined });
      return 0;
    }
  }
}

function keyOf({ txid, vout }: ExpectedOutput): string {
  return `${toHex(txid)}:${vout}`;
}

function sameOutput(a: ExpectedOutput, b: ExpectedOutput): boolean {
  return a.value === b.value && equalBytes(a.script, b.script);
}
