/** The stand-in that starts its signer itself: what the two do to each other and to lightningd. */

import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  bytes,
  inlineShim,
  type Lightningd,
  type Options,
  startLightningd,
  temporaryDirectory,
  text,
} from './lightningd.ts';

const connection = new URL('../../server/shim/connection.js', import.meta.url).href;

/** A signer that answers every request with what it was asked and how it was started, unless it is to do something else. */
const signer = `
const { Socket } = require('node:net');
const { readFileSync } = require('node:fs');
(async () => {
  const { ShimConnection } = await import(${JSON.stringify(connection)});
  const socket = new Socket({ fd: 3 });
  const shim = await ShimConnection.open(socket, new AbortController().signal);
  for await (const event of shim.events()) {
    const asked = Buffer.from(event.message).toString();
    if (asked === 'die') throw new Error('the signer has a bug');
    if (asked === 'noise') {
      new Socket().destroy();
      console.error('to stderr');
      console.log('to stdout');
    }
    const { developer, node, clients } = shim.hello;
    const stdin = readFileSync(0).length;
    shim.reply(event.conn, Buffer.from(JSON.stringify({ asked, args: process.argv.slice(2), developer, node, stdin })));
  }
  console.error('the signer ends by itself');
})();
`;

/** An installation with this script as its signer. */
function install(t: ExecutionContext, script: string, options: Options = {}): Lightningd {
  const directory = temporaryDirectory();
  for (const folder of ['bin', 'dist/cli']) mkdirSync(join(directory, folder), { recursive: true });
  const program = join(directory, 'bin/keyhold-hsmd-inline');
  copyFileSync(inlineShim, program);
  chmodSync(program, 0o755);
  writeFileSync(join(directory, 'dist/cli/inline.js'), script);
  return startLightningd(t, { ...options, directory, command: [program] });
}

test('starts its signer with its own arguments, and carries requests to it', async (t) => {
  const { request } = install(t, signer, { args: ['--developer', '--log-io'], env: { KEYHOLD_NODE: 'alice' } });
  const answer: unknown = JSON.parse(text(await request.ask(bytes('question'))));
  const args = ['--developer', '--log-io'];
  t.deepEqual(answer, { asked: 'question', args, developer: true, node: 'alice', stdin: 0 });
});

test('passes on what the signer prints, and leaves stderr blocking', async (t) => {
  const { request, stderr, child } = install(t, signer);
  await request.ask(bytes('noise'));
  while (!stderr().includes('to stdout')) await new Promise((resolve) => setTimeout(resolve, 10));
  t.regex(stderr(), /to stderr\n/);
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/${child.pid}/fdinfo/2`, 'utf8'))?.[1];
  t.is(Number.parseInt(flags ?? '', 8) & 0o4000, 0); // O_NONBLOCK, on the description that both share
});

test('ends with status 1 when its signer dies, after the signer’s own words', async (t) => {
  const { request, exit, stderr } = install(t, signer);
  request.send(bytes('die'));
  t.is(await exit, 1);
  t.regex(stderr(), /the signer has a bug/);
  t.regex(stderr(), /keyhold-hsmd: the signer ended/);
});

test('lets its signer end by itself when lightningd is gone, and ends with status 2', async (t) => {
  const { request, exit, stderr } = install(t, signer);
  await request.ask(bytes('question'));
  request.close();
  t.is(await exit, 2);
  t.regex(stderr(), /the signer ends by itself/);
});

test('kills a signer that does not end when lightningd is gone', async (t) => {
  const { request, exit, stderr } = install(t, 'console.error(process.pid); setTimeout(() => {}, 60_000)');
  while (!stderr().includes('\n')) await new Promise((resolve) => setTimeout(resolve, 10));
  request.close();
  t.is(await exit, 2);
  t.throws(() => process.kill(Number(stderr()), 0), { code: 'ESRCH' });
});

test('says what to set where Node cannot be started', async (t) => {
  const { exit, stderr } = install(t, signer, { env: { KEYHOLD_NODE_BINARY: '/nowhere/node' } });
  t.is(await exit, 1);
  t.regex(stderr(), /cannot start \/nowhere\/node: No such file or directory; set KEYHOLD_NODE_BINARY/);
});
