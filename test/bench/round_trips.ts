/**
 * `node dist/test/bench/round_trips.js [TRACES]`: how many requests of recorded lightningds wait for their signer, with
 * every request asked, with answers ahead, with acknowledgements too, and with penalties unsigned as well.
 */

import { fileURLToPath } from 'node:url';
import { loadRecordings, type RecordedSession } from '../../cli/recordings.ts';
import { nodeOf } from '../../cli/replay_policy.ts';
import type { ClientIdentity } from '../../proto/answer.ts';
import { hsmdName } from '../../proto/hsmd/calls.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import type { NodeJournal } from '../../server/journal.ts';
import type { Relay, RelayOptions } from '../../server/relay.ts';
import { join, makeRelay, makeSession, type Traffic } from '../server/joined.ts';
import { isAsRecorded, Replayed, signerOf } from '../server/replayed.ts';

interface Played {
  readonly relay: Relay;
  /** Round trips of each request, in order, by start of the node; 0 or 1. */
  readonly waits: readonly (readonly number[])[];
  readonly different: number;
  readonly traffic: Traffic;
}

/** Plays all starts of one node, the signer running on. Without foresight it is asked everything. */
async function play(sessions: readonly RecordedSession[], options: Partial<RelayOptions>): Promise<Played> {
  const relay = makeRelay(options);
  const traffic: Traffic = { toSigner: 0, toHost: 0, bytesToSigner: 0, bytesToHost: 0 };
  const [first] = sessions;
  if (first === undefined) throw new Error('expected a recorded session, got none');
  const signer = signerOf(first);
  const plain = { handle: (client: ClientIdentity, bytes: Uint8Array) => signer.handle(client, bytes) };
  await join(relay, makeSession(options.alwaysAsk === true ? plain : signer), { traffic });
  const waits: number[][] = [];
  let different = 0;
  for (const { requests } of sessions) {
    const node = new Replayed(relay);
    const own: number[] = [];
    for (const request of requests) {
      const before = relay.tally.total('asked');
      const answer = await node.ask(request);
      if (!isAsRecorded(answer, request)) different += 1;
      own.push(relay.tally.total('asked') - before);
    }
    waits.push(own);
  }
  relay[Symbol.dispose]();
  return { relay, waits, different, traffic };
}

/** Numbers of requests from one place in a session to another, by what stands there. */
function scenarios({
  requests,
}: RecordedSession): readonly { readonly name: string; readonly from: number; readonly to: number }[] {
  const names = requests.map(({ bytes }) => callOf(bytes));
  const isPayment = (call: (typeof names)[number]) =>
    call === 'preapproveInvoiceCheck' || call === 'preapproveKeysendCheck';
  const firstClient = names.indexOf('clientHsmfd');
  const found = [{ name: 'start (to the first subdaemon)', from: 0, to: firstClient }];
  const opening = names.indexOf('newChannel');
  const withdrawn = names.indexOf('signWithdrawal', opening);
  if (opening > 0 && withdrawn > 0)
    found.push({ name: 'open (to the funding transaction)', from: opening, to: withdrawn + 1 });
  const payments = names.flatMap((call, at) => (isPayment(call) ? [at] : []));
  for (const [i, from] of payments.entries()) {
    const to = payments[i + 1] ?? names.length;
    if (to - from === 13 || to - from === 14) {
      found.push({ name: 'payment', from, to });
      break;
    }
  }
  return found;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** A disk that takes no time, for a link that takes none: what a real one may acknowledge is acknowledged. */
const journal: NodeJournal = { left: [], append: () => Promise.resolve(0n), decided() {} };

async function report(sessions: readonly RecordedSession[]): Promise<void> {
  const ways = {
    asked: await play(sessions, { alwaysAsk: true }),
    ahead: await play(sessions, {}),
    acknowledged: await play(sessions, { journal }),
    unsigned: await play(sessions, { journal, unsignedPenalties: true }),
  };
  for (const [start, session] of sessions.entries()) {
    const line = (what: string, from: number, to: number) => {
      const counts = Object.values(ways).map(({ waits }) =>
        String(sum(waits[start]?.slice(from, to) ?? [])).padStart(8),
      );
      console.log(`${what.padEnd(44)}${counts.join('')}`);
    };
    line(`${session.name} (${session.requests.length} requests)`, 0, session.requests.length);
    for (const { name: scenario, from, to } of scenarios(session)) line(`  ${scenario}`, from, to);
  }
  const left = [...ways.acknowledged.relay.tally.byCall()].filter(([, { asked }]) => asked > 0);
  left.sort(([, a], [, b]) => b.asked - a.asked);
  console.log(`  still asked: ${left.map(([call, { asked }]) => `${hsmdName(call)} ${asked}`).join(', ')}`);
  const [before, after] = [ways.asked.traffic, ways.acknowledged.traffic];
  console.log(
    `  bytes to the signer ${before.bytesToSigner} → ${after.bytesToSigner}, back ${before.bytesToHost} → ${after.bytesToHost}`,
  );
  const { unsigned: _unsigned, ...same } = ways;
  const different = sum(Object.values(same).map((way) => way.different));
  if (different > 0) console.log(`  DIFFERENT ANSWERS: ${different}`);
}

const recorded = fileURLToPath(new URL('../../../test/vectors/hsmd/traces', import.meta.url));
const paths = process.argv.slice(2);
const columns = ['asked', 'ahead', 'acked', 'unsigned'].map((column) => column.padStart(8));
console.log(`${'requests that wait for the signer'.padEnd(44)}${columns.join('')}`);
const byNode = new Map<string, RecordedSession[]>();
for (const session of await loadRecordings(paths.length > 0 ? paths : [recorded])) {
  const name = nodeOf(session);
  byNode.set(name, [...(byNode.get(name) ?? []), session]);
}
for (const sessions of byNode.values()) await report(sessions);
process.exit(0);
