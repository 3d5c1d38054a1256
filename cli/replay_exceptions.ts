/**
 * Where a policy must not answer what lightning_hsmd did: recorded requests that are not honest, and replies that cannot
 * be equal. Each is said in words; everything else that differs is a difference.
 */

import type { ClientIdentity } from '../proto/answer.ts';
import { equalBytes } from '../proto/bytes.ts';
import { callOf } from '../proto/hsmd/message.ts';
import type { Difference } from './play.ts';
import type { RecordedSession } from './recordings.ts';
import { nodeOf } from './replay_policy.ts';

interface Exception {
  readonly why: string;
  covers(difference: Difference, session: RecordedSession): boolean;
}

interface Dishonest {
  readonly node: string;
  /** Rows that need not be answered; all of them after a restart. */
  readonly from: number;
  readonly to: number;
  readonly mustRefuse: number;
  readonly why: string;
}

/** What was recorded and would cost everything, were it signed. */
const dishonest: readonly Dishonest[] = [
  {
    node: 'penalty/l1',
    from: 112,
    to: Number.POSITIVE_INFINITY,
    mustRefuse: 120,
    why: 'penalty/l1 cheats from row 112 on: it has an old commitment signed, and what follows from that',
  },
  {
    node: 'splice_busy/l1',
    from: 203,
    to: 203,
    mustRefuse: 203,
    why: 'splice_busy/l1 asks in row 203 for a commitment that it revoked before: its peer signs the penalty for it',
  },
];

function isOf({ node }: Dishonest, { name }: Pick<RecordedSession, 'name'>): boolean {
  return nodeOf({ name }) === node || nodeOf({ name }).endsWith(`/${node}`);
}

const exceptions: readonly Exception[] = [
  ...dishonest.map((each) => ({
    why: each.why,
    covers: ({ row, session }: Difference) =>
      isOf(each, { name: session }) && (session !== nodeOf({ name: session }) || (row >= each.from && row <= each.to)),
  })),
  {
    why: 'a splice is asked for before its new funding is safe: the answer is a signature that is worth nothing, the real one comes when it is asked for again',
    covers: ({ row, request, outcome }, { requests }) =>
      callOf(request.bytes) === 'signSpliceTx' &&
      outcome instanceof Uint8Array &&
      requests
        .slice(row + 1)
        .some(({ client, bytes }) => callOf(bytes) === 'signSpliceTx' && isSame(client, request.client)),
  },
];

function isSame(a: ClientIdentity, b: ClientIdentity): boolean {
  return a.dbid === b.dbid && equalBytes(a.nodeId, b.nodeId);
}

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
  const missed = dishonest.flatMap((each) => {
    const { mustRefuse } = each;
    return sessions
      .filter((session) => isOf(each, session) && session.name === nodeOf(session))
      .filter(({ name }) => !different.some((one) => one.session === name && one.row === mustRefuse && isRefusal(one)))
      .map(({ name }) => `${name} row ${mustRefuse}: this had to be refused, and was not`);
  });
  return { different: rest, excused: [...times].map(([why, count]) => ({ why, times: count })), missed };
}

function isRefusal({ outcome }: Difference): boolean {
  return !(outcome instanceof Uint8Array) && outcome !== 'silent';
}
