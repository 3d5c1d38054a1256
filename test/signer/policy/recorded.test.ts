import test from 'ava';
import { loadRecordings, type RecordedSession } from '../../../cli/recordings.ts';
import { equalBytes } from '../../../proto/bytes.ts';
import { systemClock } from '../../../proto/clock.ts';
import { systemEntropy } from '../../../proto/entropy.ts';
import { requestName } from '../../../proto/hsmd/describe.ts';
import { silent } from '../../../proto/log.ts';
import { Signer } from '../../../signer/dispatch.ts';
import { openHsmSecret } from '../../../signer/keys/hsm_secret.ts';
import { backend } from '../../../signer/node/backends.ts';
import { approveAll } from '../../../signer/policy/purpose.ts';
import { profiles } from '../../../signer/policy/settings.ts';
import { validating } from '../../../signer/policy/validating.ts';
import { type Memory, openMemoryStore } from '../../../signer/store/memory.ts';

const secp = backend(undefined, systemEntropy);
/** When the recordings were made, so that their invoices have not expired. */
const clock = { ...systemClock, now: () => Date.UTC(2026, 4, 30) };

interface Row {
  readonly session: string;
  readonly row: number;
  readonly name: string;
  readonly outcome: string;
}

/** Answers all sessions of a node over one state; returns the rows that are not equal to the real hsmd's. */
async function notEqual(sessions: readonly RecordedSession[]): Promise<readonly Row[]> {
  const memory: Memory = {};
  const rows: Row[] = [];
  for (const [n, { name: session, secretFile, requests }] of sessions.entries()) {
    await using store = openMemoryStore(memory, n === 0 ? 'create' : 'fail');
    const policy = validating({
      settings: profiles.test,
      approver: approveAll,
      openStore: () => Promise.resolve(store),
      clock,
      log: silent,
      height: () => undefined,
    });
    const signer = new Signer({
      secp,
      secret: { open: (passphrase) => openHsmSecret(secretFile, passphrase) },
      policy,
    });
    for (const [row, { client, bytes, expected }] of requests.entries()) {
      const answer = await signer.handle(client, bytes);
      const same =
        answer.kind === 'reply'
          ? expected instanceof Uint8Array && equalBytes(answer.bytes, expected)
          : answer.kind === expected;
      if (same) continue;
      const outcome = answer.kind === 'refused' ? `${answer.tag}: ${answer.message}` : answer.kind;
      rows.push({ session, row, name: requestName(bytes), outcome });
    }
  }
  return rows;
}

const sessions = await loadRecordings(['test/vectors/hsmd/traces']);
const nodes = new Map<string, RecordedSession[]>();
for (const session of sessions) {
  const node = session.name.split(' ')[0] ?? '';
  nodes.set(node, [...(nodes.get(node) ?? []), session]);
}

interface Exception {
  readonly node: string;
  readonly why: string;
  /** Whether a row may differ for this reason. */
  covers(row: Row): boolean;
  /** A row that must be among them. */
  readonly must?: (row: Row) => boolean;
}

/** What was recorded and is not to be signed, or not with the same bytes. */
const exceptions: readonly Exception[] = [
  {
    node: 'penalty/l1',
    why: 'it signs a commitment with dev-sign-last-tx and revokes it afterwards: that would cost everything',
    covers: ({ session, row }) => session !== 'penalty/l1' || row >= 112,
    must: ({ row }) => row === 120,
  },
  {
    node: 'splice_busy/l1',
    why: 'after a splice lightningd asks to sign commitment 8, which it revoked before; its peer took the penalty (l2 row 199)',
    covers: ({ name, row }) => name === 'sign_commitment_tx' && row === 203,
    must: ({ outcome }) => outcome.startsWith('policy-commitment-holder-not-revoked'),
  },
  ...['splice/l1', 'splice_busy/l1'].map((node) => ({
    node,
    why: 'the early signature of a splice’s initiator is one that is worth nothing; it asks again after validation',
    covers: ({ name, outcome }: Row) => name === 'sign_splice_tx' && outcome === 'reply',
  })),
];

for (const [node, ofNode] of nodes)
  test(`${node}: the policy accepts what an honest node was recorded to ask, and answers it with the same bytes`, async (t) => {
    const allowed = exceptions.filter((exception) => exception.node === node);
    const rows = await notEqual(ofNode);
    t.deepEqual(
      rows.filter((row) => !allowed.some(({ covers }) => covers(row))),
      [],
    );
    for (const { why, must } of allowed) if (must !== undefined) t.true(rows.some(must), why);
  });
