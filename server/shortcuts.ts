/**
 * Answers that need no round trip: those that the signer gave ahead, those it gave before and gives again, and those
 * that follow from its public keys. docs/latency.md says of each why it is safe.
 */

import type { Answer, AnswerAhead, ClientIdentity } from '../proto/answer.ts';
import { equalBytes } from '../proto/bytes.ts';
import { type Call, calls } from '../proto/hsmd/calls.ts';
import { WireError } from '../proto/hsmd/codec.ts';
import { decodeMessage, encodeMessage, encodeReply } from '../proto/hsmd/message.ts';
import { KnownReplies, requestSha256 } from './ahead.ts';
import { misfit } from './fitting.ts';
import { PublicAnswers } from './public_answers.ts';

/** Calls whose reply to the same bytes is always the same and moves nothing that the first did not: lightningd repeats them, some every block. */
const sameAgain: ReadonlySet<Call> = new Set<Call>([
  'getChannelBasepoints',
  'getOutputScriptpubkey',
  'signAnyCannouncement',
  'cupdateSig',
  'signAnyDelayedPaymentToUs',
  'signAnyRemoteHtlcToUs',
  'signAnyPenaltyToUs',
  'signAnyLocalHtlcTx',
  'signHtlcTxMingle',
]);

/** Whether an answer to it may have been kept. */
function isRepeated(call: Call): boolean {
  return sameAgain.has(call) || call === 'getPerCommitmentPoint';
}

/** Since then a point comes without a secret, and given again it says nothing new. */
const pointsAlone = 6;

function pointRequest(n: bigint): Uint8Array {
  return encodeMessage(calls.getPerCommitmentPoint.request, { n });
}

/** The point that a reply announces, and its number. Throws `WireError` for a request that no signer should answer. */
function pointIn(call: Call, request: Uint8Array, reply: Uint8Array): readonly [bigint, Uint8Array] | undefined {
  switch (call) {
    case 'getPerCommitmentPoint':
      return [
        decodeMessage(calls[call].request, request).n,
        decodeMessage(calls[call].reply, reply).perCommitmentPoint,
      ];
    case 'validateCommitmentTx':
      return [
        decodeMessage(calls[call].request, request).commitNum + 1n,
        decodeMessage(calls[call].reply, reply).nextPerCommitmentPoint,
      ];
    case 'revokeCommitmentTx':
      return [
        decodeMessage(calls[call].request, request).commitNum + 2n,
        decodeMessage(calls[call].reply, reply).nextPerCommitmentPoint,
      ];
    default:
      return undefined;
  }
}

/** Where a channel_announcement's four signatures stand: behind its type (BOLT 7). */
const announcedSignatures = { from: 2, to: 258 } as const;

/**
 * A request without what its answer does not depend on: of a channel_announcement what follows the signatures is signed.
 * lightningd has it signed once without any, and again with the peer's in it.
 */
function asSigned(call: Call, request: Uint8Array): Uint8Array {
  if (call !== 'signAnyCannouncement') return request;
  try {
    const fields = decodeMessage(calls[call].request, request);
    const ca = fields.ca.slice();
    if (ca.length < announcedSignatures.to) return request;
    ca.fill(0, announcedSignatures.from, announcedSignatures.to);
    return encodeMessage(calls[call].request, { ...fields, ca });
  } catch (error: unknown) {
    if (error instanceof WireError) return request;
    throw error;
  }
}

function givenBefore(request: Uint8Array, reply: Uint8Array): AnswerAhead {
  return { requestSha256: requestSha256(request), reply, stays: true };
}

export class Shortcuts {
  readonly #ahead = new KnownReplies();
  readonly #before = new KnownReplies();
  #init: { readonly reply: Uint8Array; readonly answers: PublicAnswers } | undefined;

  /** The answer to a request, if it is known; one that was to be given once is used up. */
  answer(
    client: ClientIdentity,
    call: Call,
    request: Uint8Array,
  ): { readonly answer: Answer; readonly by: 'ahead' | 'known' } | undefined {
    if (this.#init === undefined || call === 'init') return undefined;
    const ahead = this.#ahead.take(client, request);
    if (ahead !== undefined && misfit(call, { kind: 'reply', bytes: ahead }) === undefined)
      return { answer: { kind: 'reply', bytes: ahead }, by: 'ahead' };
    const before = isRepeated(call) ? this.#before.take(client, asSigned(call, request)) : undefined;
    if (before !== undefined) return { answer: { kind: 'reply', bytes: before }, by: 'known' };
    const own = this.#init.answers.answer(call, request);
    return own && { answer: own, by: 'known' };
  }

  /** The point of our commitment `n` with this client's peer, where it was given already or ahead. */
  point(client: ClientIdentity, n: bigint): Uint8Array | undefined {
    if (this.#init === undefined || this.#init.answers.version < pointsAlone) return undefined;
    const known = this.answer(client, 'getPerCommitmentPoint', pointRequest(n))?.answer;
    if (known?.kind !== 'reply') return undefined;
    return decodeMessage(calls.getPerCommitmentPoint.reply, known.bytes).perCommitmentPoint;
  }

  /** The client asks the signer: what was given ahead for its next request will not be asked for. */
  moveOn(client: ClientIdentity): void {
    this.#ahead.moveOn(client);
  }

  /** Takes from a signer's answer what it says beyond this one request. */
  learn(client: ClientIdentity, call: Call, request: Uint8Array, answer: Answer): void {
    if (answer.kind !== 'reply') return;
    if (call === 'init') this.#started(answer.bytes);
    if (this.#init === undefined) return;
    this.#ahead.keep(client, answer.ahead ?? []);
    if (sameAgain.has(call)) this.#before.keep(client, [givenBefore(asSigned(call, request), answer.bytes)]);
    if (this.#init.answers.version >= pointsAlone) this.#learnPoint(client, call, request, answer.bytes);
  }

  /** Another signer serves the node from now on: what this one gave ahead and nobody asked for is void. */
  otherSigner(): void {
    this.#ahead.clear();
  }

  #learnPoint(client: ClientIdentity, call: Call, request: Uint8Array, reply: Uint8Array): void {
    try {
      const [n, perCommitmentPoint] = pointIn(call, request, reply) ?? [];
      if (n === undefined || perCommitmentPoint === undefined) return;
      const same = encodeReply('getPerCommitmentPoint', { perCommitmentPoint, oldCommitmentSecret: undefined });
      this.#before.keep(client, [givenBefore(pointRequest(n), same)]);
    } catch (error: unknown) {
      if (!(error instanceof WireError)) throw error;
    }
  }

  #started(reply: Uint8Array): void {
    if (this.#init !== undefined && equalBytes(reply, this.#init.reply)) return;
    const answers = PublicAnswers.from(reply);
    this.#ahead.clear();
    this.#before.clear();
    this.#init = answers && { reply: Uint8Array.from(reply), answers };
  }
}
