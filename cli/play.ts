/** Plays recorded sessions to a target and compares what comes back, byte for byte. */

import { equalBytes } from '../proto/bytes.ts';
import { describe, differences, requestName } from '../proto/hsmd/describe.ts';
import { callOf } from '../proto/hsmd/message.ts';
import { clientName, type RecordedRequest, type RecordedSession } from './recordings.ts';
import type { Outcome, Target } from './replay_target.ts';

export interface Tally {
  readonly requests: number;
  readonly different: readonly Difference[];
}

export interface Difference {
  readonly session: string;
  /** Counted from 0 in the session. */
  readonly row: number;
  readonly request: RecordedRequest;
  readonly outcome: Outcome;
}

/** Told of every request as it is answered. */
export type OnAnswer = (session: RecordedSession, row: number, outcome: Outcome, milliseconds: number) => void;

/** Plays the sessions one after the other; stops between requests when `signal` aborts. */
export async function play(
  sessions: readonly RecordedSession[],
  target: Target,
  onAnswer: OnAnswer,
  signal: AbortSignal,
): Promise<Tally> {
  const different: Difference[] = [];
  let requests = 0;
  for (const recorded of sessions) {
    await using session = await target.open(recorded.secretFile);
    for (const [row, request] of recorded.requests.entries()) {
      signal.throwIfAborted();
      const began = performance.now();
      const outcome = await session.ask(request);
      requests++;
      onAnswer(recorded, row, outcome, performance.now() - began);
      if (!sameOutcome(outcome, request.expected)) different.push({ session: recorded.name, row, request, outcome });
    }
  }
  return { requests, different };
}

function sameOutcome(ours: Outcome, expected: Outcome): boolean {
  if (ours instanceof Uint8Array && expected instanceof Uint8Array) return equalBytes(ours, expected);
  return ours === expected;
}

/** One difference, field by field. */
export function explain({ session, row, request, outcome }: Difference): string {
  const call = callOf(request.bytes);
  const head = `${session} row ${row}: ${requestName(request.bytes)} from ${clientName(request.conn, request.client)}`;
  const { expected } = request;
  if (!(outcome instanceof Uint8Array) || !(expected instanceof Uint8Array)) {
    const words = (o: Outcome) => (o instanceof Uint8Array ? 'answers' : o === 'silent' ? 'has no reply' : 'refuses');
    return `${head}\n  the real hsmd ${words(expected)}, this one ${words(outcome)}`;
  }
  const fields = differences(describe(outcome, call, 'reply'), describe(expected, call, 'reply'));
  if (fields.length === 0) return `${head}\n  the bytes differ in a secret field or behind the last one`;
  return [head, ...fields.map((field) => `  ${field.path}\n    ours ${field.ours}\n    real ${field.theirs}`)].join(
    '\n',
  );
}
