/** `keyhold trace` as it is used: over a pipe, ended by Ctrl-C, by its reader or by the host. */

import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { identityOf } from '../../cli/directory.ts';
import { createCertificates } from '../../cli/init.ts';
import type { Answer, ClientIdentity } from '../../proto/answer.ts';
import { systemClock } from '../../proto/clock.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { Host } from '../../server/host.ts';
import { FakeShim } from '../server/fake_shim.ts';
import { attachSigner, until } from '../server/host_under_test.ts';
import { init, initReply, signedMessage, signMessage } from '../server/messages.ts';
import { keyholdScript, start, temporaryDirectory } from './keyhold_process.ts';

function honest(_client: ClientIdentity, bytes: Uint8Array): Answer {
  return { kind: 'reply', bytes: callOf(bytes) === 'init' ? initReply() : signedMessage };
}

const parts = { clock: systemClock, entropy: systemEntropy, log: silent };

/** A host with a signer and a started node, and `keyhold trace` begun; `ask` signs another message. */
async function begun(t: ExecutionContext, ...args: readonly string[]) {
  const root = await temporaryDirectory(t);
  const dir = join(root, 'keys');
  await createCertificates(dir, 'home', [], 1);
  const socket = join(root, 's');
  const host = await Host.open({
    ...parts,
    sockets: [socket],
    listen: '127.0.0.1:0',
    identity: await identityOf(dir, 'host'),
  });
  const signer = attachSigner({ port: host.port, identity: await identityOf(dir, 'signer'), handle: honest });
  const shim = await FakeShim.open(socket, 'home');
  t.teardown(async () => {
    await shim[Symbol.asyncDispose]();
    await signer[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
  });
  await shim.ask(0, init);
  const running = start(t, keyholdScript, ['trace', '--dir', dir, '--host', `127.0.0.1:${host.port}`, ...args]);
  return { host, ...running, ask: () => shim.ask(0, signMessage('the secret of the night')) };
}

/** The same, once it looks on. */
async function looking(t: ExecutionContext, ...args: readonly string[]) {
  const running = await begun(t, ...args);
  const { relay } = running.host.node('home');
  await until(
    () =>
      relay.trace?.(relay.openLane({ ...parts, nodeId: new Uint8Array(33), dbid: 0n, capabilities: 0n }), init) !==
      undefined,
    'it looks on',
  );
  return running;
}

test.serial('each request is a line as it is answered, and Ctrl-C ends with the table', async (t) => {
  const { child, stdout, finished, ask } = await looking(t);
  await ask();
  await until(() => stdout().includes('sign_message'), 'the first line');
  t.regex(
    stdout(),
    /^\d\d:\d\d:\d\d\.\d{3} +\d+\.\d\d ms {2}asked +home +lightningd #\d+ +sign_message( +\(held .*\))?\n$/,
  );
  await ask();
  await until(() => stdout().split('\n').length === 3, 'the second line');
  child.kill('SIGINT');
  const { code, stderr } = await finished;
  t.is(code, 0, stderr);
  t.regex(stdout(), /\n +asked +ahead +known +acknowledged +host +no +ms in all +longest +held\n/);
  t.regex(stdout(), /\nsign_message +2 +\d+\.\d +\d+\.\d +\d+\.\d\nall +2 /);
  t.false(stdout().includes('night'));
});

test.serial('as JSON the same, a line each, the table last', async (t) => {
  const { child, stdout, finished, ask } = await looking(t, '--json');
  await ask();
  await until(() => stdout().includes('\n'), 'the first line');
  child.kill('SIGINT');
  t.is((await finished).code, 0);
  const [first, last] = stdout()
    .trimEnd()
    .split('\n')
    .map((text): unknown => JSON.parse(text));
  t.like(first, { node: 'home', client: 'lightningd', call: 'sign_message', answered: 'asked', dbid: 0 });
  t.like(last, { summary: { 0: { call: 'sign_message', asked: 1 } }, missed: 0 });
});

test.serial('it ends by itself after the time given', async (t) => {
  // Its time may be over before it looks on, where the machine is busy.
  const { stdout, finished } = await begun(t, '--seconds', '0.5', '--table');
  t.is((await finished).code, 0);
  t.is(stdout(), 'nothing was asked\n');
});

test.serial('it ends when nobody reads what it prints', async (t) => {
  const { child, finished, ask } = await looking(t);
  child.stdout?.destroy();
  for (let i = 0; i < 3 && child.exitCode === null; i++) await ask();
  const { code, stderr } = await finished;
  t.is(code, 0);
  t.is(stderr, '');
});

test.serial('it says so where the host ends', async (t) => {
  const { host, finished, stdout, ask } = await looking(t);
  await ask();
  await until(() => stdout().includes('\n'), 'the first line');
  await host[Symbol.asyncDispose]();
  const { code, stderr } = await finished;
  t.is(code, 1);
  t.regex(stderr, /^keyhold: the host (is gone|has ended)/);
  t.regex(stdout(), /\nall +1 /);
});

test.serial('it says so where no host answers', async (t) => {
  const dir = join(await temporaryDirectory(t), 'keys');
  await createCertificates(dir, 'node', [], 1);
  const { code, stdout, stderr } = await start(t, keyholdScript, ['trace', '--dir', dir, '--host', '127.0.0.1:1'])
    .finished;
  t.is(code, 1);
  t.is(stdout, '');
  t.regex(stderr, /^keyhold: the host is gone: nothing answers at 127\.0\.0\.1:1 \(connect ECONNREFUSED/);
});
