/** `keyhold replay` as a user runs it: over recordings of the real hsmd, by each secp256k1, and through the executables. */

import { existsSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { calls } from '../../proto/hsmd/calls.ts';
import { type Finished, keyhold, temporaryDirectory } from './keyhold_process.ts';

const checkout = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const vectors = checkout('test/vectors/hsmd');
const everyday = join(vectors, 'traces/everyday/l1.jsonl.gz');
const zeroConf = join(vectors, 'traces/zero_conf');
const built = ['keyhold-hsmd', 'keyhold-hsmd-inline', 'keyhold-pass-fds'].every((name) =>
  existsSync(checkout(`bin/${name}`)),
);

const linesOf = ({ stdout }: Finished) => stdout.trimEnd().split('\n');

async function allEqual(t: ExecutionContext, requests: number, ...args: readonly string[]): Promise<void> {
  const finished = await keyhold(t, ['replay', ...args]);
  t.is(
    linesOf(finished).at(-1),
    `${requests} requests, ${requests} equal, 0 different`,
    finished.stdout + finished.stderr,
  );
  t.is(finished.code, 0);
}

async function gunzipped(path: string): Promise<string> {
  return gunzipSync(await readFile(path)).toString('utf8');
}

/** Writes every `nth` case of a file of recordings into a folder. */
async function slice(directory: string, name: string, nth: number): Promise<void> {
  const rows: unknown = JSON.parse(await gunzipped(join(vectors, `${name}.gz`)));
  if (!Array.isArray(rows)) throw new TypeError(`expected a list in ${name}`);
  await writeFile(join(directory, name), JSON.stringify(rows.filter((_, i) => i % nth === 0)));
}

test.serial('every recorded request gets the real reply, byte for byte', async (t) => {
  await allEqual(t, 11066, vectors);
});

for (const secp of ['tiny', 'noble'])
  test.serial(`the replies are the same with secp256k1 by ${secp}`, async (t) => {
    const directory = await temporaryDirectory(t);
    await slice(directory, 'requests.json', 20);
    await slice(directory, 'secrets.json', 8);
    await allEqual(t, 349, '--secp', secp, zeroConf, directory);
  });

test.serial('a reply that is another is shown field by field, and the exit code is 1', async (t) => {
  const directory = await temporaryDirectory(t);
  await cp(join(zeroConf, 'manifest.json'), join(directory, 'manifest.json'));
  const rows = (await gunzipped(join(zeroConf, 'l1.jsonl.gz'))).trimEnd().split('\n');
  const { number } = calls.getPerCommitmentPoint.reply;
  const reply = new RegExp(`"rep": "${number.toString(16).padStart(4, '0')}0[23]`);
  const damaged = rows.findIndex((row) => reply.test(row));
  rows[damaged] =
    rows[damaged]?.replace(reply, (found) => found.replace(/.$/, (digit) => (digit === '2' ? '3' : '2'))) ?? '';
  await writeFile(join(directory, 'l1.jsonl'), rows.join('\n'));
  const finished = await keyhold(t, ['replay', directory]);
  t.is(finished.code, 1);
  const lines = linesOf(finished);
  t.is(lines.at(-1), `${rows.length} requests, ${rows.length - 1} equal, 1 different`);
  const shown = lines.slice(0, -1).join('\n');
  t.regex(shown, /row \d+: get_per_commitment_point from /);
  t.regex(shown, /perCommitmentPoint\n {4}ours 0[23]\w+\n {4}real 0[23]\w+/);
});

test.serial('recordings that are not there are no success', async (t) => {
  t.not((await keyhold(t, ['replay', join(zeroConf, 'absent')])).code, 0);
});

for (const way of ['inline', 'bridge'])
  (built ? test.serial : test.serial.skip)(`the replies are the same through the executables: ${way}`, async (t) => {
    const directory = await temporaryDirectory(t);
    await slice(directory, 'requests.json', 50);
    await slice(directory, 'secrets.json', 15);
    await allEqual(t, 738, '--through', way, everyday, zeroConf, directory);
  });
