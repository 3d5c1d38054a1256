/** Connecting again: how long the pauses are, and that a stop ends them. */

import { join } from 'node:path';
import test from 'ava';
import type { Answer } from '../../../proto/answer.ts';
import { systemClock } from '../../../proto/clock.ts';
import type { Entropy } from '../../../proto/entropy.ts';
import type { Log } from '../../../proto/log.ts';
import { nodeStatus } from '../../../server/host_status.ts';
import { keepAttached } from '../../../signer/node/link.ts';
import { Session } from '../../../signer/session.ts';
import { FakeShim } from '../../server/fake_shim.ts';
import { Authority, attachSigner, openHost, temporaryDirectory, until } from '../../server/host_under_test.ts';
import { init, initReply, otherNodeId } from '../../server/messages.ts';

/** A log that keeps the pauses. */
function pauses(): { readonly log: Log; readonly ms: number[] } {
  const ms: number[] = [];
  const log: Log = (_level, _message, fields) => {
    for (const [name, value] of Object.entries(fields ?? {})) if (name === 'pause_ms') ms.push(Number(value));
  };
  return { ms, log };
}

test('the pause doubles up to the longest, and chance takes up to half of it', async (t) => {
  const authority = await Authority.create();
  const identity = await authority.signer('alice');
  const attempts = async (entropy: Entropy) => {
    const { log, ms } = pauses();
    const stop = new AbortController();
    const { signal } = stop;
    const signer = { handle: () => Promise.reject(new Error('not in this test')) };
    const session = new Session({
      signer,
      id: new Uint8Array(16),
      name: 'x',
      software: 'x',
      clock: systemClock,
      log,
      signal,
    });
    const clock = { ...systemClock, after: (wait: number, run: () => void) => systemClock.after(wait / 100, run) };
    // Nobody listens at port 1.
    const parts = {
      session,
      address: '127.0.0.1:1',
      identity,
      clock,
      entropy,
      log,
      pauseMs: { first: 100, longest: 1000 },
    };
    const done = keepAttached(parts, signal);
    await until(() => ms.length >= 6, 'six attempts were made');
    stop.abort();
    await done;
    return ms.slice(0, 6);
  };
  t.deepEqual(await attempts((length) => new Uint8Array(length)), [50, 100, 200, 400, 500, 500]);
  t.deepEqual(await attempts((length) => new Uint8Array(length).fill(255)), [100, 200, 400, 800, 1000, 1000]);
});

test('a signer that serves no use here says so once, and waits as long as it may each time', async (t) => {
  const authority = await Authority.create();
  const identity = await authority.signer('alice');
  const socket = join(await temporaryDirectory(t), 's');
  await using host = await openHost(authority, socket);
  await using shim = await FakeShim.open(socket, 'alice');
  const initialise = (id?: Uint8Array) => (): Answer => ({ kind: 'reply', bytes: initReply(id) });
  {
    await using _right = attachSigner({ port: host.port, identity, handle: initialise() });
    await shim.ask(0, init);
  }
  const { log: keep, ms } = pauses();
  const errors: unknown[] = [];
  const log: Log = (level, message, fields) => {
    if (level === 'error' || level === 'warn') errors.push(fields?.['reason']);
    keep(level, message, fields);
  };
  const wrong = attachSigner({ port: host.port, identity, handle: initialise(otherNodeId), log });
  await until(() => ms.length >= 4, 'it was sent away four times');
  t.true(
    ms.every((each) => each >= 50),
    `pauses of ${ms.join(', ')} ms`,
  );
  t.is(errors.length, 1);
  t.regex(String(errors[0]), /it holds the keys of another node: expected [0-9a-f]{66}, got/);
  const { sentAway } = host.node('alice').relay.signers;
  t.like(sentAway, { signer: 'phone', reason: errors[0] });
  t.like(nodeStatus(host.node('alice'), systemClock, undefined).sentAway, { signer: 'phone', reason: errors[0] });
  await wrong[Symbol.asyncDispose]();
  await using _right = attachSigner({ port: host.port, identity, handle: initialise(), name: 'desk' });
  await until(() => host.node('alice').relay.signers.sentAway === undefined, 'the right one is there');
});
