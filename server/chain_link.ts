/** News of the chain on one signer's link: what it wants to know, as far as the source has it, and again with each block. */

import { concat, equalBytes } from '../proto/bytes.ts';
import type { ChainWanted } from '../proto/gen/keyhold/v1/signer_link_pb.ts';
import { headersAtOnce, type SendToSigner } from '../proto/link.ts';
import { errorText, type Log } from '../proto/log.ts';
import type { ChainSource, InclusionProof } from './chain_source.ts';

/** Outputs looked for at a time: more come with the next block. */
const mostProofs = 64;

export class ChainLink implements Disposable {
  readonly #source: ChainSource;
  readonly #send: SendToSigner;
  readonly #log: Log;
  readonly #unwatch: () => void;
  #wanted: ChainWanted | undefined;
  #feerateSent = 0;
  /** Whether news is being gathered, and whether to look again after that. */
  #looking = false;
  #again = false;
  #complained = false;

  constructor(source: ChainSource, send: SendToSigner, log: Log) {
    this.#source = source;
    this.#send = send;
    this.#log = log;
    this.#unwatch = source.watch(() => this.#look());
  }

  /** What the signer wants from now on. */
  want(wanted: ChainWanted): void {
    this.#wanted = wanted;
    this.#look();
  }

  [Symbol.dispose](): void {
    this.#unwatch();
    this.#wanted = undefined;
  }

  #look(): void {
    this.#again = true;
    if (!this.#looking) void this.#lookOnce();
  }

  async #lookOnce(): Promise<void> {
    this.#looking = true;
    while (this.#again) {
      this.#again = false;
      try {
        await this.#tell();
      } catch (error: unknown) {
        this.#complain('news of the chain could not be had', errorText(error));
      }
    }
    this.#looking = false;
  }

  async #tell(): Promise<void> {
    const wanted = this.#wanted;
    const { genesis } = this.#source;
    if (wanted === undefined || genesis === undefined) return;
    if (!equalBytes(wanted.genesis, genesis)) {
      this.#complain('no news of the chain for this signer', 'its node is on another network than bitcoind');
      return;
    }
    // Proofs first: the headers that are read after them reach their blocks.
    const proofs: InclusionProof[] = [];
    for (const outpoint of wanted.outpoints.slice(0, mostProofs)) {
      const proof = await this.#source.proof(outpoint);
      if (proof !== undefined) proofs.push(proof);
    }
    const headers = await this.#source.headersAfter(wanted.locator, headersAtOnce);
    const ends = headers.length < headersAtOnce;
    const feeratePerkw = this.#source.feeratePerkw ?? 0;
    if (this.#wanted !== wanted) return; // what it wants now is looked for next
    if (headers.length === 0 && proofs.length === 0 && feeratePerkw === this.#feerateSent) return;
    this.#feerateSent = feeratePerkw;
    const value = { headers: concat(...headers), proofs: ends ? proofs.map(toWire) : [], feeratePerkw };
    this.#send({ case: 'chainNews', value });
  }

  #complain(message: string, error: string): void {
    if (!this.#complained) this.#log('warn', message, { error });
    this.#complained = true;
  }
}

function toWire({ block, transaction, index, path }: InclusionProof) {
  return { block, transaction, index, path: [...path] };
}
