/**
 * Where a policy must not answer what lightning_hsmd did: recorded requests that are not honest, and replies that cannot
 * be equal. Each is said in words; everything else that differs is a difference.
 */

import { equalBytes } from '../proto/bytes.ts';
import { callOf } from '../proto/hsmd/message.ts';
import type { Difference } from './play.ts';
import type { RecordedSession } from './recordings.ts';
import { nodeOf } from './replay_policy.ts';

interface Exception {
  readonly why: string;
  covers(difference: Difference, session: RecordedSession): boolean;
}

/** The recorded node publishes a revoked commitment on purpose: from this row on, and after its restart. */
const cheat = { node: 'penalty/l1', from: 112, mustRefuse: 120 } as const;

function isCheat({ name }: Pick<RecordedSession, 'name'>): boolean {
  const node = nodeOf({ name });
  return node === cheat.node || node.endsWith(`/${cheat.node}`);
}

const exceptions: readonly Exception[] = [
  {
    why: `${cheat.node} cheats from row ${cheat.from} on: it has an old commitment signed, and what follows from that`,
    covers: ({ row, session }) =>
      isCheat({ name: session }) && (session !== nodeOf({ name: session }) || row >= cheat.from),
  },
  {
    why: 'a splice is asked for before its new funding is safe: the answer is a signature that is worth nothing, the real one comes when it is asked for again',
    covers: ({ row, request, outcome }, { requests }) =>
      callOf(request.bytes) === 'signSpliceTx' &&
      outcome instanceof Uint8Array &&
      requests
        .slice(row + 1)
        .some(
          ({ client, bytes }) =>
            callOf(bytes) === 'signSpliceTx' &&
            client.dbid === request.client.dbid &&
            equalBytes(client.nodeId, request.client.nodeId),
        ),
  },
];

export interface Judged {
  /** What nothing excuses. */
  readonly different: readonly Difference[];
  /** A sentence for each exception that came up, with how often. */
  readonly excused: readonly { readonly why: string; readonly times: number }[];
  /** What had to be refused and was not. */
  readonly missed: readonly string[];
}

/** Sorts the differences of recordings that were played under a policy. */
export function judge(sessions: readonly RecordedSession[], different: readonly Difference[]): Judged {
  const byName = new Map(sessions.map((session) => [session.name, session]));
  const times = new Map<string, number>();
  const rest = different.filter((difference) => {
    const session = byName.get(difference.session);
    const exception = session && exceptions.find(({ covers }) => covers(difference, session));
    if (exception !== undefined) times.set(exception.why, (times.get(exception.why) ?? 0) + 1);
    return exception === undefined;
  });
  const cheating = sessions.filter((session) => isCheat(session) && session.name === nodeOf(session));
  const missed = cheating
    .filter(
      ({ name }) =>
        !different.some(
          ({ session, row, outcome }) =>
            session === name && row === cheat.mustRefuse && !(outcome instanceof Uint8Array),
        ),
    )
    .map(({ name }) => `${name} row ${cheat.mustRefuse}: the old commitment had to be refused, and was not`);
  return { different: rest, excused: [...times].map(([why, count]) => ({ why, times: count })), missed };
}
