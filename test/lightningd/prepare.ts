/**
 * `node prepare.js FOLDER RTT_MS…`: hosts and signers that run before lightningd does, a pair for each round trip time
 * named, for link-hsmd with KEYHOLD_PREPARED=FOLDER. Says `ready`, and runs until it is stopped. KEYHOLD_ANSWERS (asked,
 * ahead, acknowledged, unsigned) says how much the hosts answer early, KEYHOLD_POLICY is the signers' policy.
 */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopped } from '../../cli/logging.ts';
import { type Linked, openLinked, waysToAnswer } from './linked.ts';

const [folder, ...rtts] = process.argv.slice(2);
if (folder === undefined || rtts.length === 0) throw new Error('expected FOLDER RTT_MS…');
const { KEYHOLD_ANSWERS = 'acknowledged', KEYHOLD_POLICY: policy } = process.env;
const answers = waysToAnswer.find((way) => way === KEYHOLD_ANSWERS);
if (answers === undefined)
  throw new Error(`KEYHOLD_ANSWERS: expected one of ${waysToAnswer.join(', ')}, got ${KEYHOLD_ANSWERS}`);

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort());
const root = await mkdtemp(join(tmpdir(), 'kh-'));
const opened: Linked[] = [];
try {
  await mkdir(folder, { recursive: true });
  for (const [i, rtt] of rtts.entries()) {
    const linked = await openLinked({ root: join(root, String(i)), rttMs: Number(rtt), answers, policy }, stop.signal);
    opened.push(linked);
    const found = Object.entries(linked.env).map(([name, value]) => `${name}='${value}'\n`);
    const operator = `# keyhold trace --dir ${linked.directory} --host ${linked.address}\n`;
    await writeFile(join(folder, `${rtt}-${i}`), `${operator}${found.join('')}`);
  }
  console.log('ready');
  await stopped(stop.signal);
} finally {
  for (const linked of opened) await linked[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
}
