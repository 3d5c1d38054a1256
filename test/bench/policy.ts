/**
 * What validation costs: CPU time a request over the `everyday` recordings with the policy and without, in turn, and the
 * same with a state of 1,000 other channels and 10,000 approvals; how long such a state takes to open, and its size.
 */

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRecordings, type RecordedSession } from '../../cli/recordings.ts';
import { toHex } from '../../proto/bytes.ts';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { messageType } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { Signer } from '../../signer/dispatch.ts';
import { openHsmSecret } from '../../signer/keys/hsm_secret.ts';
import { backend } from '../../signer/node/backends.ts';
import { nodeSha256, openFileStore } from '../../signer/node/file_store.ts';
import { noPolicy, type Policy } from '../../signer/policy/policy.ts';
import { approveAll } from '../../signer/policy/purpose.ts';
import { profiles } from '../../signer/policy/settings.ts';
import { validating } from '../../signer/policy/validating.ts';
import type { Approval } from '../../signer/state/approvals.ts';
import { encodeState } from '../../signer/state/encode.ts';
import { type Memory, openMemoryStore } from '../../signer/store/memory.ts';
import type { Change, Store } from '../../signer/store/store.ts';

const secp = backend(process.argv[2], systemEntropy);
const recordings = await loadRecordings(['test/vectors/hsmd/traces/everyday']);
/** While the recorded invoices had not expired. */
const clock = { ...systemClock, now: () => Date.UTC(2026, 4, 30) };

function policyOver(openStore: () => Promise<Store>): Policy {
  return validating({
    settings: { ...profiles.test, maxChannels: 2000 },
    approver: approveAll,
    openStore,
    clock,
    log: silent,
    height: () => undefined,
  });
}

interface Cost {
  readonly requests: number;
  readonly microseconds: number;
  readonly refused: number;
}

/** Everything behind `init`, so that deriving the node's keys does not count. */
async function cost({ secretFile, requests }: RecordedSession, policy: Policy): Promise<Cost> {
  const signer = new Signer({ secp, secret: { open: (passphrase) => openHsmSecret(secretFile, passphrase) }, policy });
  const started = requests.findIndex(({ bytes }) => messageType(bytes) === calls.init.request.number) + 1;
  for (const { client, bytes } of requests.slice(0, started)) await signer.handle(client, bytes);
  let refused = 0;
  const began = process.cpuUsage();
  for (const { client, bytes } of requests.slice(started))
    if ((await signer.handle(client, bytes)).kind === 'refused') refused++;
  const { user, system } = process.cpuUsage(began);
  return { requests: requests.length - started, microseconds: user + system, refused };
}

/** All sessions; a node that restarts finds its state again. `prepare` fills a fresh one. */
async function mix(kind: 'none' | 'policy', prepared: readonly Change[]): Promise<Cost> {
  const memories = new Map<string, Memory>();
  let sum: Cost = { requests: 0, microseconds: 0, refused: 0 };
  for (const session of recordings) {
    const node = session.name.split(' ')[0] ?? '';
    const memory = memories.get(node) ?? {};
    const fresh = !memories.has(node);
    memories.set(node, memory);
    let store: Store | undefined;
    const policy =
      kind === 'none'
        ? noPolicy
        : policyOver(async () => {
            store = openMemoryStore(memory, fresh ? 'create' : 'fail', nodeSha256);
            if (fresh) await store.commit(prepared);
            return store;
          });
    const one = await cost(session, policy);
    await store?.[Symbol.asyncDispose]();
    sum = {
      requests: sum.requests + one.requests,
      microseconds: sum.microseconds + one.microseconds,
      refused: sum.refused + one.refused,
    };
  }
  return sum;
}

/** Other channels and approvals of a large node: the recorded channel's state under other names. */
async function crowd(): Promise<readonly Change[]> {
  const memory: Memory = {};
  const [session] = recordings;
  if (session === undefined) throw new Error('the recordings are empty');
  await cost(
    session,
    policyOver(() => Promise.resolve(openMemoryStore(memory, 'create'))),
  );
  const parts = ['channel', 'local', 'remote'].map((kind) => {
    const [, value] = [...(memory.state?.entries ?? [])].find(([key]) => key.startsWith(`${kind}/`)) ?? [];
    if (value === undefined) throw new Error('the recording left no channel');
    return { kind, value };
  });
  const peer = (n: number) => `02${n.toString(16).padStart(64, '0')}`;
  const channels = Array.from({ length: 1000 }, (_, n) =>
    parts.map(({ kind, value }) => ({ key: `${kind}/${peer(n)}/${1000 + n}`, value })),
  ).flat();
  const approvals = Array.from({ length: 10_000 }, (_, n) => {
    const hash = toHex(systemEntropy(32));
    const approval: Approval = {
      amountMsat: BigInt(n),
      feeBudgetMsat: 10n,
      expires: 2_000_000_000,
      until: 2_000_000_000,
      usesLeft: 1,
    };
    return { key: `approval/${hash}`, value: encodeState(approval) };
  });
  return [...channels, ...approvals];
}

function show(name: string, { requests, microseconds, refused }: Cost): number {
  const each = microseconds / requests;
  console.log(
    `${name.padEnd(44)} ${each.toFixed(0).padStart(6)} µs CPU a request${refused > 0 ? `, ${refused} refused` : ''}`,
  );
  return each;
}

const prepared = await crowd();
console.log(`secp256k1: ${secp.name}; everyday, ${recordings.length} sessions`);
// A signer runs for months: what it does often is compiled by then.
const [warmUp, rounds] = [8, 9];
const measured: (readonly [without: Cost, withPolicy: Cost])[] = [];
const crowded: Cost[] = [];
for (let round = 0; round < warmUp + rounds; round++) {
  const pair = [await mix('none', []), await mix('policy', [])] as const;
  const among = await mix('policy', prepared);
  if (round < warmUp) continue;
  measured.push(pair);
  crowded.push(among);
}
const ratioOf = ([without, withPolicy]: readonly [Cost, Cost]) => withPolicy.microseconds / without.microseconds;
measured.sort((a, b) => ratioOf(a) - ratioOf(b));
const [without, withPolicy] = measured[Math.floor(rounds / 2)] ?? [];
if (without !== undefined && withPolicy !== undefined) {
  show('without a policy', without);
  show('with the policy', withPolicy);
  console.log(`${`ratio, median of ${rounds}`.padEnd(44)} ${ratioOf([without, withPolicy]).toFixed(2).padStart(6)}`);
}
crowded.sort((a, b) => a.microseconds - b.microseconds);
const [among] = crowded.slice(Math.floor(rounds / 2));
if (among !== undefined) show('with the policy among 1,000 channels', among);

const folder = await mkdtemp(join(tmpdir(), 'keyhold-bench-'));
try {
  const open = (whenMissing: 'create' | 'fail') =>
    openFileStore({ folder: join(folder, 'state'), whenMissing, log: silent, entropy: systemEntropy });
  const filled = await open('create');
  await filled.commit(prepared);
  await filled[Symbol.asyncDispose]();
  const began = performance.now();
  const reopened = await open('fail');
  const [session] = recordings;
  if (session !== undefined)
    await cost(
      { ...session, requests: session.requests.slice(0, 3) },
      policyOver(() => Promise.resolve(reopened)),
    );
  console.log(
    `${'opening 1,000 channels and 10,000 approvals'.padEnd(44)} ${(performance.now() - began).toFixed(0).padStart(6)} ms, ${((await stat(join(folder, 'state', 'state.log'))).size / 1e6).toFixed(1)} MB on disk`,
  );
  await reopened[Symbol.asyncDispose]();
} finally {
  await rm(folder, { recursive: true, force: true });
}
