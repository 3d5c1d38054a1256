// What both ends of the link between host and signer share: the protocol's version and how an answer stands in its
// messages (keyhold.v1.SignerLink).

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Answer, AnswerAhead } from './answer.ts';
import type {
  AnswerAheadSchema,
  AnswerSchema,
  FromSignerSchema,
  ToSignerSchema,
  Answer as WireAnswer,
} from './gen/keyhold/v1/signer_link_pb.ts';

/** The version of the link's protocol that this program speaks. */
export const linkProtocol = 1;

/** A side that heard nothing for this many heartbeats takes the other for gone. */
export const heartbeatsMissed = 3;

/** Block headers that one message holds at most. */
export const headersAtOnce = 2016;

export type FromSignerInit = MessageInitShape<typeof FromSignerSchema>;
export type ToSignerInit = MessageInitShape<typeof ToSignerSchema>;
/** Sends one message on a link, behind those before it. */
export type SendToSigner = (message: NonNullable<ToSignerInit['message']>) => void;
export type SendToHost = (message: NonNullable<FromSignerInit['message']>) => void;

/** The longest text of the other side that is taken into a log, in characters. */
const longestText = 500;

/** A text of the other side, cut to what a log can bear. */
export function brief(text: string): string {
  return text.length <= longestText ? text : `${text.slice(0, longestText)}…`;
}

/** An answer as a message. */
export function answerToWire(id: bigint, answer: Answer): MessageInitShape<typeof AnswerSchema> {
  switch (answer.kind) {
    case 'reply':
      return { id, outcome: { case: 'reply', value: answer.bytes }, ahead: (answer.ahead ?? []).map(aheadToWire) };
    case 'silent':
      return { id, outcome: { case: 'silent', value: {} } };
    case 'malformed':
      return { id, outcome: { case: 'malformed', value: { problem: answer.message } } };
    case 'refused':
      return { id, outcome: { case: 'refused', value: { tag: answer.tag, reason: answer.message } } };
    case 'unavailable':
      return { id, outcome: { case: 'unavailable', value: { reason: answer.message } } };
  }
}

/** Only who asks: whether they may is for the host to say when they do. */
function aheadToWire({ client, ...answer }: AnswerAhead): MessageInitShape<typeof AnswerAheadSchema> {
  return { ...answer, ...(client && { client: { nodeId: client.nodeId, dbid: client.dbid } }) };
}

/** A message as an answer; one without an outcome, which a later version may send, is no answer to be had now. */
export function answerFromWire({ outcome, ahead }: WireAnswer): Answer {
  switch (outcome.case) {
    case 'reply':
      return { kind: 'reply', bytes: outcome.value, ...(ahead.length > 0 && { ahead }) };
    case 'silent':
      return { kind: 'silent' };
    case 'malformed':
      return { kind: 'malformed', message: brief(outcome.value.problem) };
    case 'refused':
      return { kind: 'refused', tag: brief(outcome.value.tag), message: brief(outcome.value.reason) };
    case 'unavailable':
      return { kind: 'unavailable', message: brief(outcome.value.reason) };
    case undefined:
      return { kind: 'unavailable', message: 'the signer gave an answer without an outcome' };
  }
}
