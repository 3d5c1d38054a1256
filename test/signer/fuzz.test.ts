/**
 * The assembled signer takes any bytes, from any client, in whatever state it is: its answer is a reply, a refusal or that
 * they are malformed, after a short while, and then it goes on, and starts again from its store. Time and seed are those of
 * fuzz_budget.ts.
 */

import test from 'ava';
import { lightningd, loadRecordings, type RecordedRequest, type RecordedSession } from '../../cli/recordings.ts';
import type { ClientIdentity } from '../../proto/answer.ts';
import { toHex } from '../../proto/bytes.ts';
import { systemClock } from '../../proto/clock.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { callOf, decodeMessage } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import type { Signer } from '../../signer/dispatch.ts';
import { approveAll } from '../../signer/policy/purpose.ts';
import { profiles } from '../../signer/policy/settings.ts';
import { validating } from '../../signer/policy/validating.ts';
import { type Memory, openMemoryStore } from '../../signer/store/memory.ts';
import type { Store } from '../../signer/store/store.ts';
import { playAll, seed } from '../fuzz_budget.ts';
import { signerOf } from '../server/replayed.ts';
import { mutated } from './mutated.ts';

/** When the recordings were made. */
const clock = { ...systemClock, now: () => Date.UTC(2026, 4, 30) };
/** Of one recording, so that each history is short. */
const mostRequests = 150;
/** Far more than the dearest request takes on a busy machine. */
const longest = 20_000;

const sessions = await loadRecordings(['test/vectors/hsmd/traces']);

function signerOver(session: RecordedSession, store: Store): Signer {
  const openStore = () => Promise.resolve(store);
  const settings = profiles.test;
  const height = () => undefined;
  return signerOf(session, validating({ settings, approver: approveAll, openStore, clock, log: silent, height }));
}

interface Asked {
  readonly client: ClientIdentity;
  readonly bytes: Uint8Array;
  readonly acknowledged: boolean;
}

const never = () => new AbortController().signal;

/** Counts by kind of answer, and the longest time one took, in milliseconds. */
class Tally {
  readonly kinds = new Map<string, number>();
  slowest = 0;

  add(kind: string, took: number): void {
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    this.slowest = Math.max(this.slowest, took);
  }
}

async function ask(signer: Signer, { client, bytes, acknowledged }: Asked, tally: Tally): Promise<void> {
  const began = performance.now();
  const answer = await signer.handle(client, bytes.slice(), never(), acknowledged);
  const took = performance.now() - began;
  const bad = (what: string) =>
    new Error(`${what}: ${acknowledged ? 'acknowledged ' : ''}${client.capabilities} ${toHex(bytes)}`);
  if (answer.kind === 'unavailable') throw bad(answer.message);
  if (took > longest) throw bad(`${took} ms`);
  const call = callOf(bytes);
  if (answer.kind === 'reply' && call !== undefined && call !== 'init') {
    const { reply } = calls[call];
    if (reply === undefined) throw bad('a reply where none is due');
    decodeMessage(reply, answer.bytes);
    await signer.ahead(client, bytes, answer.bytes);
  }
  tally.add(answer.kind, took);
}

/** One recording played with mutants before each of its requests, and twice over again after a restart. */
async function play(
  session: RecordedSession | undefined,
  random: (limit: number) => number,
  tally: Tally,
): Promise<number> {
  if (session === undefined) throw new Error('expected recordings in test/vectors/hsmd/traces, found none');
  const memory: Memory = {};
  const requests = session.requests.slice(0, mostRequests);
  const all = requests.map(({ bytes }) => bytes);
  const clients = [lightningd, ...requests.map(({ client }) => client)];
  const mutant = (near: RecordedRequest): Asked => {
    // One whose turn it is gets furthest.
    const client = random(4) === 0 ? (clients[random(clients.length)] ?? lightningd) : near.client;
    const bytes = mutated(random(2) === 0 ? [near.bytes] : all, random);
    return { client, bytes, acknowledged: random(8) === 0 && callOf(bytes) === 'validateCommitmentTx' };
  };
  for (let starts = 0; starts < 2; starts++) {
    await using store = openMemoryStore(memory, starts === 0 ? 'create' : 'fail');
    const signer = signerOver(session, store);
    for (const request of requests) {
      for (let mutants = random(4); mutants > 0; mutants--) await ask(signer, mutant(request), tally);
      await ask(signer, { ...request, acknowledged: false }, tally);
    }
  }
  return requests.length;
}

test('whatever bytes come, the signer replies, refuses or calls them malformed', async (t) => {
  const tally = new Tally();
  const { histories } = await playAll((random) => play(sessions[random(sessions.length)], random, tally));
  const kinds = [...tally.kinds].map(([kind, count]) => `${count} × ${kind}`);
  t.log(`seed ${seed}: ${histories} recordings, ${kinds.join(', ')}; at most ${Math.round(tally.slowest)} ms`);
  for (const kind of ['reply', 'refused', 'malformed']) t.true((tally.kinds.get(kind) ?? 0) > 0, kind);
});
