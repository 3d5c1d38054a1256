/** The demo that needs nothing but this package: a recorded node's requests, through shim, host, mTLS and signer. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { calls } from '../proto/hsmd/calls.ts';
import { messageType } from '../proto/hsmd/message.ts';
import { type Bridge, openBridge, temporaryFolder } from './demo_bridge.ts';
import type { Exchange } from './demo_exchange.ts';
import { legend, type Screen } from './demo_screen.ts';
import { HsmdProcess } from './hsmd_process.ts';
import { type OnAnswer, play } from './play.ts';
import { bin } from './program.ts';
import { loadRecordings } from './recordings.ts';
import type { Target, TargetSession } from './replay_target.ts';

/** A day of a node with three channels' worth of everything: payments, offers, withdrawals, a restart, closes. */
const recording = fileURLToPath(new URL('../../test/vectors/hsmd/traces/everyday/l1.jsonl.gz', import.meta.url));

interface Stage {
  readonly directory: string;
  readonly bridge: Bridge;
  readonly screen: Screen;
  /** Aborts when nothing more is to be asked. */
  readonly signal: AbortSignal;
}

/** A stand-in for hsmd, started as lightningd starts it; host and signer stay when it ends. */
function seat({ directory, bridge, signal }: Stage): TargetSession {
  const env = bridge.environment(bridge.socket, 'a recording');
  const hsmd = new HsmdProcess({ program: bin('keyhold-hsmd'), args: ['--developer'], directory, env });
  const leave = () => void hsmd[Symbol.asyncDispose]();
  signal.addEventListener('abort', leave);
  return {
    async ask({ conn, bytes }) {
      if (messageType(bytes) === calls.devPreinit.request.number) {
        hsmd.tell(bytes);
        return 'silent';
      }
      return (await hsmd.ask(conn, bytes)) ?? 'refused';
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener('abort', leave);
      await hsmd[Symbol.asyncDispose]();
    },
  };
}

/** The node that is played. When its first run is over, and all is still connected, `keyhold status` is shown. */
function playedNode(stage: Stage): Target {
  const { bridge, screen, signal } = stage;
  let starts = 0;
  return {
    open() {
      const first = starts++ === 0;
      screen.heading(first ? 'the recorded node starts' : 'the recorded node starts again; the signer has stayed');
      const seated = seat(stage);
      const shown = async () => {
        screen.heading('keyhold status');
        screen.block(await bridge.status());
      };
      return Promise.resolve({
        ask: (request) => seated.ask(request),
        async [Symbol.asyncDispose]() {
          if (first && !signal.aborted) await shown();
          await seated[Symbol.asyncDispose]();
        },
      });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Runs it; resolves to everything that passed. */
export async function recordedDemo(screen: Screen, stop: AbortSignal): Promise<readonly Exchange[]> {
  const sessions = await loadRecordings([recording]);
  await using folder = await temporaryFolder();
  const directory = folder.path;
  const secret = join(directory, 'hsm_secret');
  await writeFile(secret, sessions[0]?.secretFile ?? '', { mode: 0o400 });
  screen.heading('keyhold host and keyhold signer start, two processes that know each other by certificates (mTLS)');
  await using bridge = await openBridge({ directory, secret }, stop);
  const total = sessions.reduce((sum, { requests }) => sum + requests.length, 0);
  screen.block(`${total} requests of a real lightningd are played, and its lightning_hsmd’s answers compared`);
  screen.block(legend);
  const signal = AbortSignal.any([stop, bridge.ended]);
  const passed: Exchange[] = [];
  const onAnswer: OnAnswer = ({ requests }, row, outcome, milliseconds) => {
    const request = requests[row];
    if (request === undefined || signal.aborted) return;
    passed.push({ ...request, outcome, milliseconds });
    screen.exchange({ ...request, outcome, milliseconds });
  };
  await play(sessions, playedNode({ directory, bridge, screen, signal }), onAnswer, signal);
  signal.throwIfAborted();
  return passed;
}
