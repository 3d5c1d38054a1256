/**
 * A splice that the host sends to the network itself. lightningd's initiator keeps the first signature that it got for a
 * splice, which is worth nothing (docs/policy.md, policy-splice-new-funding-validated), and broadcasts with it; its peer
 * gets the right one. With its last request lightningd shows the transaction as the peer signed it, so that the host, which
 * passes our signature on, has all of it: once a node has a transaction, lightningd's own attempt counts as done.
 */

import { derSignature } from '../proto/bitcoin/der.ts';
import { serializeTransaction } from '../proto/bitcoin/tx.ts';
import { concat, equalBytes } from '../proto/bytes.ts';
import { calls, type ReplyOf, type RequestOf } from '../proto/hsmd/calls.ts';
import { decodeMessage } from '../proto/hsmd/message.ts';
import { errorText, type Log } from '../proto/log.ts';

/** Gives a signed transaction to a node of the network; rejects where that does not take it. */
export type Broadcast = (transaction: Uint8Array) => Promise<unknown>;

/** Bytes of the 2-of-2's script (BOLT 3 §Funding Transaction Output) before its first key. */
const firstKeyAt = 2;
const keyLength = 33;

/** The transaction with all signatures, ours the one of the reply; undefined while the peer has not signed. */
export function completedSplice(
  { tx: { tx }, remoteFundingKey, inputIndex }: RequestOf<'signSpliceTx'>,
  { sig }: ReplyOf<'signSpliceTx'>,
): Uint8Array | undefined {
  const [none, first, second, script, ...more] = tx.inputs[inputIndex]?.witness ?? [];
  const isWhole = tx.inputs.every(({ witness }) => witness.length > 0);
  if (!isWhole || none === undefined || first === undefined || second === undefined || script === undefined)
    return undefined;
  const ours = concat(derSignature(sig.signature), Uint8Array.of(sig.sighash));
  const peerIsFirst = equalBytes(script.subarray(firstKeyAt, firstKeyAt + keyLength), remoteFundingKey);
  const witness = peerIsFirst ? [none, first, ours, script, ...more] : [none, ours, second, script, ...more];
  const inputs = tx.inputs.map((input, index) => (index === inputIndex ? { ...input, witness } : input));
  return serializeTransaction({ ...tx, inputs });
}

/** Sends a splice that this reply completes, and waits until a node has it. What goes wrong is logged, and no more. */
export async function broadcastSplice(
  request: Uint8Array,
  reply: Uint8Array,
  { broadcast, log }: { readonly broadcast: Broadcast; readonly log: Log },
): Promise<void> {
  try {
    const { request: asked, reply: answered } = calls.signSpliceTx;
    const transaction = completedSplice(decodeMessage(asked, request), decodeMessage(answered, reply));
    if (transaction !== undefined) await broadcast(transaction);
  } catch (error: unknown) {
    log('warn', 'a splice was not broadcast by this host; the peer can', { problem: errorText(error) });
  }
}
