import type { Answer } from '../proto/answer.ts';
import { type Call, calls, initReplyFailure, type Message } from '../proto/hsmd/calls.ts';
import { WireError } from '../proto/hsmd/codec.ts';
import { decodeMessage, messageType } from '../proto/hsmd/message.ts';

function problemOf(message: Message, bytes: Uint8Array): string | undefined {
  try {
    decodeMessage(message, bytes);
    return undefined;
  } catch (error: unknown) {
    if (error instanceof WireError || error instanceof RangeError) return error.message;
    throw error;
  }
}

/**
 * What is wrong with an answer to this call, undefined if nothing is. A reply is decoded to its end: lightningd exits
 * over one that it cannot read, so a broken signer's is stopped here.
 */
export function misfit(call: Call, answer: Answer): string | undefined {
  const { reply } = calls[call];
  if (answer.kind === 'silent') return reply === undefined ? undefined : 'silence where a reply is due';
  if (answer.kind !== 'reply') return undefined;
  if (reply === undefined) return 'a reply where none is due';
  const failed = call === 'init' && messageType(answer.bytes) === initReplyFailure.number;
  return problemOf(failed ? initReplyFailure : reply, answer.bytes);
}
