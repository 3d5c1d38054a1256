/** Connecting again: how long the pauses are, and that a stop ends them. */

import { join } from 'node:path';
import test from 'ava';
import type { Answer } from '../../../proto/answer.ts';
import { systemClock } from '../../../proto/clock.ts';
import type { Entropy } from '../../../proto/entropy.ts';
import type { Log } from '../../../proto/log.ts';
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

test('a signer that is sent away waits longer each time, one that is cut off comes back at once', async (t) => {
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
  const { log, ms } = pauses();
  await using _wrong = attachSigner({ port: host.port, identity, handle: initialise(otherNodeId), log });
  await until(() => ms.length >= 4, 'it was sent away four times');
  t.true((ms[3] ?? 0) > 50, `pauses of ${ms.join(', ')} ms`);
});
