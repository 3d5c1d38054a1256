/**
 * A splice that the host sends to the network itself. lightningd's initiator keeps the first signature that it got for a
 * splice, which is worth nothing (docs/policy.md, policy-splice-new-funding-validated), and broadcasts with it; its peer
 * gets the right one. With its last request lightningd shows the transaction as its peers signed it, so that the host, which
 * passes our signatures on, has all of it: once a node has a transaction, lightningd's own attempt counts as done.
 */

import { derSignature } from '../proto/bitcoin/der.ts';
import { serializeTransaction, type TxInput, txid } from '../proto/bitcoin/tx.ts';
import { concat, equalBytes, toHex } from '../proto/bytes.ts';
import { calls, type ReplyOf, type RequestOf } from '../proto/hsmd/calls.ts';
import { decodeMessage } from '../proto/hsmd/message.ts';
import { errorText, type Log } from '../proto/log.ts';

/** Gives a signed transaction to a node of the network; rejects where that does not take it. */
export type Broadcast = (transaction: Uint8Array) => Promise<unknown>;

/** Bytes of the 2-of-2's script (BOLT 3 §Funding Transaction Output) before its first key. */
const firstKeyAt = 2;
const keyLength = 33;

/** Our signature for one input, and whose key the other one is of. */
interface OurSignature {
  readonly sig: ReplyOf<'signSpliceTx'>['sig'];
  readonly remoteFundingKey: Uint8Array;
}

/** Transactions that are remembered, the newest. */
const mostSplices = 16;

/** The 2-of-2's witness with our signature in its place; undefined where the peer has not signed. */
function withOurs(witness: readonly Uint8Array[], { sig, remoteFundingKey }: OurSignature) {
  const [none, first, second, script, ...more] = witness;
  if (none === undefined || first === undefined || second === undefined || script === undefined) return undefined;
  const ours = concat(derSignature(sig.signature), Uint8Array.of(sig.sighash));
  const peerIsFirst = equalBytes(script.subarray(firstKeyAt, firstKeyAt + keyLength), remoteFundingKey);
  return peerIsFirst ? [none, first, ours, script, ...more] : [none, ours, second, script, ...more];
}

export class Splices {
  /** By transaction (txid in hex) and input. */
  readonly #signatures = new Map<string, Map<number, OurSignature>>();

  /**
   * The transaction of a request with all signatures, ours those that it got last: one may splice several channels, and
   * lightningd has a worthless one for each. Undefined while a peer has not signed.
   */
  completed(request: RequestOf<'signSpliceTx'>, { sig }: ReplyOf<'signSpliceTx'>): Uint8Array | undefined {
    const { tx } = request.tx;
    const ours = this.#remembered(toHex(txid(tx)));
    ours.set(request.inputIndex, { sig, remoteFundingKey: request.remoteFundingKey });
    const inputs: TxInput[] = [];
    for (const [index, input] of tx.inputs.entries()) {
      const known = ours.get(index);
      const witness = known === undefined ? input.witness : withOurs(input.witness, known);
      if (witness === undefined || witness.length === 0) return undefined;
      inputs.push({ ...input, witness });
    }
    return serializeTransaction({ ...tx, inputs });
  }

  #remembered(id: string): Map<number, OurSignature> {
    const known = this.#signatures.get(id) ?? new Map<number, OurSignature>();
    this.#signatures.delete(id);
    this.#signatures.set(id, known);
    const [oldest] = this.#signatures.keys();
    if (this.#signatures.size > mostSplices && oldest !== undefined) this.#signatures.delete(oldest);
    return known;
  }

  /** Sends a splice that this reply completes, and waits until a node has it. What goes wrong is logged, and no more. */
  async broadcast(
    request: Uint8Array,
    reply: Uint8Array,
    { broadcast, log }: { readonly broadcast: Broadcast; readonly log: Log },
  ): Promise<void> {
    try {
      const { request: asked, reply: answered } = calls.signSpliceTx;
      const transaction = this.completed(decodeMessage(asked, request), decodeMessage(answered, reply));
      if (transaction !== undefined) await broadcast(transaction);
    } catch (error: unknown) {
      log('warn', 'a splice was not broadcast by this host; the peer can', { problem: errorText(error) });
    }
  }
}
