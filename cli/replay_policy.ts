/**
 * Recordings under a policy: each node's sessions share one state, the owner says yes to everything, and the clock stands
 * where the recording was made, so that its invoices have not expired.
 */

import { systemClock } from '../proto/clock.ts';
import { WireError, wirestringText } from '../proto/hsmd/codec.ts';
import { callOf, decodeRequest } from '../proto/hsmd/message.ts';
import { silent } from '../proto/log.ts';
import type { Secp } from '../signer/crypto/secp.ts';
import { parseBolt11 } from '../signer/lightning/bolt11.ts';
import { InvoiceError } from '../signer/lightning/invoice_error.ts';
import { byNetwork } from '../signer/policy/by_network.ts';
import { noPolicy } from '../signer/policy/policy.ts';
import { type PolicyFile, settingsFor } from '../signer/policy/policy_file.ts';
import { approveAll } from '../signer/policy/purpose.ts';
import { validating } from '../signer/policy/validating.ts';
import { type Memory, openMemoryStore } from '../signer/store/memory.ts';
import type { Store } from '../signer/store/store.ts';
import type { RecordedSession } from './recordings.ts';
import type { SessionPolicy } from './replay_inprocess.ts';

/** The node a session is of: after a restart it goes on as `… (start 2)`. */
export function nodeOf({ name }: Pick<RecordedSession, 'name'>): string {
  return name.replace(/ \(start \d+\)$/, '');
}

/** Unix seconds of the first invoice that a session was asked to preapprove; undefined where there is none. */
function firstInvoice({ requests }: RecordedSession, secp: Secp): number | undefined {
  const times = requests.flatMap(({ bytes }) => {
    const call = callOf(bytes);
    if (call !== 'preapproveInvoice' && call !== 'preapproveInvoiceCheck') return [];
    try {
      const request = decodeRequest(bytes, secp);
      if (request.call !== 'preapproveInvoice' && request.call !== 'preapproveInvoiceCheck') return [];
      return [parseBolt11(wirestringText(request.fields.invstring)).createdAt];
    } catch (error: unknown) {
      if (error instanceof InvoiceError || error instanceof WireError) return [];
      throw error;
    }
  });
  return times.length === 0 ? undefined : Math.min(...times);
}

/** When each node's recording was made, one second after its first invoice; milliseconds. */
function recordedAt(sessions: readonly RecordedSession[], secp: Secp): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const session of sessions) {
    const first = firstInvoice(session, secp);
    if (first === undefined) continue;
    const node = nodeOf(session);
    times.set(node, Math.min(times.get(node) ?? Number.POSITIVE_INFINITY, (first + 1) * 1000));
  }
  return times;
}

/** The policy of each session. */
export function policies(
  file: PolicyFile,
  sessions: readonly RecordedSession[],
  secp: Secp,
): (session: RecordedSession) => SessionPolicy {
  const times = recordedAt(sessions, secp);
  const memories = new Map<string, Memory>();
  return (session) => {
    if (file.policy === 'none') return { policy: noPolicy, [Symbol.asyncDispose]: () => Promise.resolve() };
    const node = nodeOf(session);
    const memory = memories.get(node) ?? {};
    memories.set(node, memory);
    let store: Store | undefined;
    const at = times.get(node);
    const policy = byNetwork((network) =>
      validating({
        settings: settingsFor(file, network, secp),
        approver: approveAll,
        openStore() {
          store ??= openMemoryStore(memory, 'create');
          return Promise.resolve(store);
        },
        clock: at === undefined ? systemClock : { ...systemClock, now: () => at },
        log: silent,
        height: () => undefined,
      }),
    );
    return {
      policy,
      async [Symbol.asyncDispose]() {
        await store?.[Symbol.asyncDispose]();
      },
    };
  };
}
