import test from 'ava';
import { loadRecordings, type RecordedSession } from '../../../cli/recordings.ts';
import { equalBytes } from '../../../proto/bytes.ts';
import { systemClock } from '../../../proto/clock.ts';
import { systemEntropy } from '../../../proto/entropy.ts';
import { requestName } from '../../../proto/hsmd/describe.ts';
import { callOf } from '../../../proto/hsmd/message.ts';
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

/** It cheats from row 112 on with dev-sign-last-tx: what follows its signed commitment is refused. */
const cheat = 'penalty/l1';

for (const [node, ofNode] of nodes)
  test(`${node}: the default policy accepts what an honest node was recorded to ask, and answers it with the same bytes`, async (t) => {
    const rows = await notEqual(ofNode);
    const isSplice = ofNode.some(({ requests }) => requests.some(({ bytes }) => callOf(bytes) === 'signSpliceTx'));
    // The early signature of a splice's initiator is one worth nothing; the repeat, after validation, is the real one.
    const early = rows.filter(({ name }) => isSplice && name === 'sign_splice_tx');
    const cheating = rows.filter(({ session, row }) => node === cheat && (session !== cheat || row >= 112));
    t.deepEqual(
      rows.filter((row) => !early.includes(row) && !cheating.includes(row)),
      [],
    );
    if (node === cheat)
      t.true(
        cheating.some(({ row, outcome }) => row === 120 && outcome.startsWith('policy-revoke-not-closed')),
        JSON.stringify(cheating),
      );
  });
