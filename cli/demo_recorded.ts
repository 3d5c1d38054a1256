/** The demo that needs nothing but this package: a recorded node's requests, through shim, host, mTLS and signer. */

import { fileURLToPath } from 'node:url';
import { calls } from '../proto/hsmd/calls.ts';
import { messageType } from '../proto/hsmd/message.ts';
import { bin } from './bridge_processes.ts';
import { openDemoBridge, temporaryFolder } from './demo_bridge.ts';
import type { Exchange } from './demo_exchange.ts';
import { legend, type Screen } from './demo_screen.ts';
import { HsmdProcess } from './hsmd_process.ts';
import { loadRecordings, type RecordedRequest } from './recordings.ts';
import type { Outcome } from './replay_target.ts';

/** An everyday node: a channel, payments both ways, offers, withdrawals of every kind, a restart, a close. */
const recording = fileURLToPath(new URL('../../test/vectors/hsmd/traces/everyday/l1.jsonl.gz', import.meta.url));

async function ask(hsmd: HsmdProcess, { conn, bytes }: RecordedRequest): Promise<Outcome> {
  if (messageType(bytes) !== calls.devPreinit.request.number) return (await hsmd.ask(conn, bytes)) ?? 'refused';
  hsmd.tell(bytes);
  return 'silent';
}

/** Asks one request after the other and hands out what passed, until `signal` aborts, whose reason it throws. */
async function* played(hsmd: HsmdProcess, requests: readonly RecordedRequest[], signal: AbortSignal) {
  const leave = () => void hsmd[Symbol.asyncDispose](); // ends what is being asked
  signal.addEventListener('abort', leave);
  try {
    for (const request of requests) {
      const since = performance.now();
      const outcome = await ask(hsmd, request);
      signal.throwIfAborted();
      yield { ...request, outcome, milliseconds: performance.now() - since };
    }
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

/** Runs it; resolves to everything that passed. */
export async function recordedDemo(screen: Screen, stop: AbortSignal): Promise<readonly Exchange[]> {
  const starts = await loadRecordings([recording]);
  await using folder = await temporaryFolder();
  const directory = folder.path;
  screen.heading('keyhold host and keyhold signer start, two processes that know each other by certificates (mTLS)');
  await using bridge = await openDemoBridge(directory, starts[0]?.secretFile ?? new Uint8Array(), stop);
  const total = starts.reduce((sum, { requests }) => sum + requests.length, 0);
  screen.block(`${total} requests of a real lightningd are played, and its lightning_hsmd’s answers compared`);
  screen.block(legend);
  const signal = AbortSignal.any([stop, bridge.ended]);
  const env = bridge.environment(bridge.socket, 'a recording');
  const passed: Exchange[] = [];
  for (const [start, { requests }] of starts.entries()) {
    screen.heading(start === 0 ? 'the recorded node starts' : 'the recorded node starts again; the signer has stayed');
    await using hsmd = new HsmdProcess({ program: bin('keyhold-hsmd'), args: ['--developer'], directory, env });
    for await (const exchange of played(hsmd, requests, signal)) {
      passed.push(exchange);
      screen.exchange(exchange);
    }
    if (start > 0) continue;
    screen.heading('keyhold status');
    screen.block(await bridge.status());
  }
  return passed;
}
