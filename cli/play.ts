/** Plays recorded sessions to a target and compares what comes back, byte for byte. */

import { equalBytes } from '../proto/bytes.ts';
import { describe, differences, requestName } from '../proto/hsmd/describe.ts';
import { callOf } from '../proto/hsmd/message.ts';
import { clientName, type RecordedRequest, type RecordedSession } from './recordings.ts';
import type { Broken, Outcome, Target } from './replay_target.ts';

export interface Tally {
  readonly requests: number;
  readonly different: readonly Difference[];
}

export interface Difference {
  readonly session: string;
  /** Counted from 0 in the session. */
  readonly row: number;
  readonly request: RecordedRequest;
  readonly outcome: Outcome | Broken;
}

/** Told of every request as it is answered. */
export type OnAnswer<O = Outcome> = (session: RecordedSession, row: number, outcome: O, milliseconds: number) => void;

/** Plays the sessions one after the other; stops between requests when `signal` aborts. */
export async function play<O extends Outcome | Broken>(
  sessions: readonly RecordedSession[],
  target: Target<O>,
  onAnswer: OnAnswer<O>,
  signal: AbortSignal,
): Promise<Tally> {
  const different: Difference[] = [];
  let requests = 0;
  for (const recorded of sessions) {
    await using session = await target.open(recorded);
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

function sameOutcome(ours: Outcome | Broken, expected: Outcome): boolean {
  if (ours instanceof Uint8Array && expected instanceof Uint8Array) return equalBytes(ours, expected);
  return ours === expected || (typeof ours === 'object' && 'rule' in ours && expected === 'refused');
}

function refusal(outcome: 'refused' | Broken): string {
  return outcome === 'refused' ? 'refuses' : `refuses by ${outcome.rule}: ${outcome.message}`;
}

/** One difference, field by field. */
export function explain({ session, row, request, outcome }: Difference): string {
  const call = callOf(request.bytes);
  const head = `${session} row ${row}: ${requestName(request.bytes)} from ${clientName(request.conn, request.client)}`;
  const { expected } = request;
  if (!(outcome instanceof Uint8Array) || !(expected instanceof Uint8Array)) {
    const words = (o: Outcome | Broken) =>
      o instanceof Uint8Array ? 'answers' : o === 'silent' ? 'has no reply' : refusal(o);
    return `${head}\n  the real hsmd ${words(expected)}, this one ${words(outcome)}`;
  }
  const fields = differences(describe(outcome, call, 'reply'), describe(expected, call, 'reply'));
  if (fields.length === 0) return `${head}\n  the bytes differ in a secret field or behind the last one`;
  return [head, ...fields.map((field) => `  ${field.path}\n    ours ${field.ours}\n    real ${field.theirs}`)].join(
    '\n',
  );
}
