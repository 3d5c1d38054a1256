/** What is acknowledged is on the disk: read back after any crash, and only there until the signer has decided. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../proto/clock.ts';
import { silent } from '../../proto/log.ts';
import { Journal } from '../../server/journal.ts';
import { temporaryDirectory } from './host_under_test.ts';
import { ManualClock, settled } from './manual_clock.ts';
import { channeld } from './messages.ts';

const request = (n: number) => Uint8Array.of(0, 36, n);

function open(folder: string, clock = systemClock): Promise<Journal> {
  return Journal.open({ folder, clock, log: silent });
}

/** What a node's next start finds. */
async function leftIn(folder: string, node: string): Promise<readonly Uint8Array[]> {
  await using journal = await open(folder);
  return journal.of(node).left.map((entry) => entry.request);
}

async function written(
  t: ExecutionContext,
  count: number,
): Promise<{ folder: string; file: string; bytes: Uint8Array }> {
  const folder = await temporaryDirectory(t);
  await using journal = await open(folder);
  const node = journal.of('alice');
  for (let i = 0; i < count; i++) await node.append(channeld(BigInt(i)), request(i));
  const file = join(folder, 'acknowledged');
  return { folder, file, bytes: await readFile(file) };
}

test('what was appended is found again in order, with its client, and by its node alone', async (t) => {
  const folder = await temporaryDirectory(t);
  {
    await using journal = await open(folder);
    const [alice, bob] = [journal.of('alice'), journal.of('bob')];
    t.deepEqual(alice.left, []);
    for (let i = 0; i < 12; i++) await alice.append(channeld(BigInt(i)), request(i));
    await bob.append(channeld(1n), request(99));
  }
  await using journal = await open(folder);
  const { left } = journal.of('alice');
  t.deepEqual(
    left.map((entry) => entry.request[2]),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  );
  t.deepEqual(left[3]?.client, channeld(3n));
  t.deepEqual(
    journal.of('bob').left.map((entry) => entry.request),
    [request(99)],
  );
  t.deepEqual(journal.of('ali').left, []);
});

test('what the signer has decided is gone, at the latest when the journal is closed', async (t) => {
  const folder = await temporaryDirectory(t);
  {
    await using journal = await open(folder);
    const node = journal.of('alice');
    const numbers = [await node.append(channeld(1n), request(1)), await node.append(channeld(1n), request(2))];
    node.decided(numbers[0] ?? 0n);
    node.decided(77n);
  }
  t.deepEqual(await leftIn(folder, 'alice'), [request(2)]);
  {
    await using journal = await open(folder);
    const node = journal.of('alice');
    for (const { number } of node.left) node.decided(number);
  }
  t.deepEqual(await leftIn(folder, 'alice'), []);
});

test('a decision is written after a while without anything else, or along with what comes', async (t) => {
  const folder = await temporaryDirectory(t);
  const clock = new ManualClock();
  await using journal = await open(folder, clock);
  const node = journal.of('alice');
  const number = await node.append(channeld(1n), request(1));
  const file = join(folder, 'acknowledged');
  const length = async () => (await readFile(file)).length;
  const before = await length();
  node.decided(number);
  await settled();
  t.is(await length(), before);
  await clock.pass(1_000);
  for (let i = 0; i < 100 && (await length()) === before; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  t.true((await length()) > before);
});

test('many at once share a write, and each resolves only when it is on the disk', async (t) => {
  const folder = await temporaryDirectory(t);
  await using journal = await open(folder);
  const node = journal.of('alice');
  const file = join(folder, 'acknowledged');
  const appended = Array.from({ length: 200 }, (_, i) => node.append(channeld(BigInt(i)), request(i & 255)));
  await appended[0];
  const onDisk = await readFile(file);
  t.true(onDisk.includes(Buffer.from(request(0))));
  await Promise.all(appended);
  t.is((await leftInCopy(t, await readFile(file))).length, 200);
});

/** What a host would find if it started with this file. */
async function leftInCopy(t: ExecutionContext, bytes: Uint8Array): Promise<readonly Uint8Array[]> {
  const folder = await temporaryDirectory(t);
  await writeFile(join(folder, 'acknowledged'), bytes);
  return leftIn(folder, 'alice');
}

test('cut off anywhere, the file gives the first ones whole and never half of one', async (t) => {
  const { bytes } = await written(t, 4);
  const all = [0, 1, 2, 3].map(request);
  let last = -1;
  for (let end = bytes.length; end >= 60; end -= 7) {
    const left = await leftInCopy(t, bytes.subarray(0, end));
    t.deepEqual(left, all.slice(0, left.length));
    last = left.length;
  }
  t.is(last, 0);
});

test('a file damaged in the middle is not taken for an unfinished one', async (t) => {
  const { bytes } = await written(t, 4);
  const damaged = Uint8Array.from(bytes);
  damaged[60] = (damaged[60] ?? 0) ^ 1;
  await t.throwsAsync(leftInCopy(t, damaged), { message: /damaged at byte/ });
});

test('where the disk fails nothing is acknowledged any more', async (t) => {
  const folder = await temporaryDirectory(t);
  const journal = await open(folder);
  const node = journal.of('alice');
  await node.append(channeld(1n), request(1));
  await journal[Symbol.asyncDispose]();
  await t.throwsAsync(node.append(channeld(1n), request(2)), { message: /closed|cannot be written/ });
});
