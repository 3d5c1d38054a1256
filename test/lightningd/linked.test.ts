/** Host and signer as processes with a slow link between them, and the real stand-in in front. */

import { join } from 'node:path';
import test from 'ava';
import { bin } from '../../cli/bridge_processes.ts';
import { HsmdProcess } from '../../cli/hsmd_process.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { messageType } from '../../proto/hsmd/message.ts';
import { temporaryDirectory } from '../server/host_under_test.ts';
import { init, signMessage } from '../server/messages.ts';
import { openLinked } from './linked.ts';

const rttMs = 60;

test('a request takes its round trip, and one that is asked while the link is cut is answered when it is mended', async (t) => {
  const root = await temporaryDirectory(t);
  const { signal } = new AbortController();
  const options = { root: join(root, 'k'), rttMs, answers: 'acknowledged', policy: 'none' } as const;
  await using linked = await openLinked(options, signal);
  await using shim = new HsmdProcess({ program: bin('keyhold-hsmd'), directory: root, clients: 1, env: linked.env });
  const ask = async (message: Uint8Array) => {
    const from = performance.now();
    const reply = await shim.ask(0, message);
    return { type: reply && messageType(reply), ms: performance.now() - from };
  };
  t.is((await ask(init)).type, calls.init.reply.number);
  const signed = await ask(signMessage('hello'));
  t.is(signed.type, calls.signMessage.reply.number);
  t.true(signed.ms >= rttMs, `it took ${signed.ms} ms`);

  linked.link.cut();
  const waiting = ask(signMessage('again'));
  await new Promise((resolve) => setTimeout(resolve, 300));
  linked.link.mend();
  t.is((await waiting).type, calls.signMessage.reply.number);
});
