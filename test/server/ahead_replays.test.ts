/**
 * Recorded nodes over a link that takes its time and breaks, with everything on that saves round trips: every reply must
 * be the real hsmd's, whatever stops in between, and the validating policy must find every request in its place.
 */

import test from 'ava';
import { loadRecordings, type RecordedRequest, type RecordedSession } from '../../cli/recordings.ts';
import { systemClock } from '../../proto/clock.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { Journal } from '../../server/journal.ts';
import { noPolicy } from '../../signer/policy/policy.ts';
import type { RequestHandler } from '../../signer/session.ts';
import type { Memory } from '../../signer/store/memory.ts';
import { temporaryDirectory } from './host_under_test.ts';
import { dice } from './interleaved.ts';
import { join, makeRelay, makeSession } from './joined.ts';
import { World } from './killed.ts';
import { isAsRecorded, Replayed, signerOf } from './replayed.ts';
import { unsteady } from './unsteady.ts';

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const recorded = (name: string) => loadRecordings([`test/vectors/hsmd/traces/${name}.jsonl.gz`]);

function sayWhat({ name }: RecordedSession, row: number, { bytes }: RecordedRequest, answer: unknown): string {
  return `seed ${seed}: ${name} row ${row}: ${callOf(bytes)} got ${JSON.stringify(answer, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)).slice(0, 200)}`;
}

/** The rows of each connection, in order. */
function byConn({ requests }: RecordedSession): readonly (readonly (readonly [number, RecordedRequest])[])[] {
  const conns = new Map<number, [number, RecordedRequest][]>();
  for (const [row, request] of requests.entries()) {
    const rows = conns.get(request.conn) ?? [];
    rows.push([row, request]);
    conns.set(request.conn, rows);
  }
  return [...conns.values()];
}

for (const name of ['everyday_legacy/l2', 'many_htlcs/l1', 'splice/l1'])
  test(`${name}: every reply is hsmd's with lanes interleaved at random and a link that breaks`, async (t) => {
    const roll = dice(seed);
    for (const session of await recorded(name)) {
      const folder = await temporaryDirectory(t);
      await using journal = await Journal.open({ folder, clock: systemClock, log: silent });
      const relay = makeRelay({ journal: journal.of('alice') });
      const signing = makeSession(signerOf(session));
      let stream = await join(relay, signing, { delayMs: roll(3) });
      const node = new Replayed(relay);
      const start = session.requests.findIndex(({ bytes }) => callOf(bytes) === 'init') + 1;
      for (const request of session.requests.slice(0, start)) t.true(isAsRecorded(await node.ask(request), request));
      let over = false;
      const playing = Promise.all(
        byConn(session).map(async (rows) => {
          for (const [row, request] of rows) {
            if (row < start) continue;
            if (roll(8) < 1) await pause(roll(4));
            const answer = await node.ask(request);
            if (!isAsRecorded(answer, request)) t.fail(sayWhat(session, row, request, answer));
          }
        }),
      ).finally(() => {
        over = true;
      });
      while (!over) {
        await pause(roll(60));
        if (relay.signers.current === undefined) continue;
        await stream.cut();
        stream = await join(relay, signing, { delayMs: roll(3) });
      }
      await playing;
      relay[Symbol.dispose]();
    }
    t.pass();
  });

/** Another signer takes over at once: what is replayed here are the losses, not the waiting for one to come back. */
const relay = { takeoverMs: 20 };

for (const name of ['everyday/l2', 'everyday_legacy/l2', 'many_htlcs/l2'])
  for (const kind of ['a signer', 'a slow signer that is locked now and then'] as const)
    test(`${name}, ${kind}: whatever is killed behind an acknowledgement, the policy finds every request in its place`, async (t) => {
      t.timeout(120_000, `seed ${seed}`);
      const roll = dice(seed);
      const around = kind === 'a signer' ? undefined : (signer: RequestHandler) => unsteady(signer, roll);
      const memory: Memory = {};
      let acknowledged = 0;
      let killed = 0;
      for (const session of await recorded(name)) {
        // Far enough for the disk to be done before the verdict comes, mostly.
        const world = new World(t, session, memory, () => 8 + roll(4), { relay, ...(around && { around }) });
        await world.startSigner();
        await world.startHost();
        await world.connect();
        for (const [row, request] of session.requests.entries()) {
          const before = world.relay.tally.total('acknowledged');
          const answer = await world.node.ask(request);
          if (!isAsRecorded(answer, request)) t.fail(sayWhat(session, row, request, answer));
          const early = world.relay.tally.total('acknowledged') - before;
          acknowledged += early;
          if (roll(early > 0 ? 4 : 40) > 1 || world.relay.start === undefined) continue;
          await world.kill((['link', 'signer', 'host'] as const)[Math.floor(roll(3))] ?? 'link');
          killed += 1;
        }
        await world.end();
        t.deepEqual(world.refusals, [], `seed ${seed}`);
      }
      t.true(acknowledged > 8, `${acknowledged} acknowledged`);
      t.true(killed > 3, `${killed} killed`);
    });

for (const name of ['everyday/l1', 'many_htlcs/l1', 'splice/l2', 'dual_funding/l2', 'close_by_opener/l2', 'penalty/l2'])
  for (const policy of [noPolicy, undefined])
    test(`${name}: a signer with ${policy?.name ?? 'the default'} policy restarts in the middle of everything`, async (t) => {
      t.timeout(120_000, `seed ${seed}`);
      const roll = dice(seed);
      const memory: Memory = {};
      let restarts = 0;
      for (const session of await recorded(name)) {
        const world = new World(t, session, memory, () => 0, { relay, ...(policy && { policy }) });
        await world.startSigner();
        await world.startHost();
        await world.connect();
        for (const [row, request] of session.requests.entries()) {
          const answer = await world.node.ask(request);
          if (!isAsRecorded(answer, request)) t.fail(sayWhat(session, row, request, answer));
          if (roll(6) > 1 || world.relay.start === undefined) continue;
          await world.kill('signer');
          restarts += 1;
        }
        await world.end();
        t.deepEqual(world.refusals, [], `seed ${seed}`);
      }
      t.true(restarts > 9, `${restarts} restarts`);
    });
