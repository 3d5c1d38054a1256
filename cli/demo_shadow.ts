/** A real lightning_hsmd with the same secret that is asked everything once more, to compare: it is deterministic. */

import { calls } from '../proto/hsmd/calls.ts';
import { messageType } from '../proto/hsmd/message.ts';
import type { Exchange } from './demo_exchange.ts';
import { HsmdProcess } from './hsmd_process.ts';
import type { Outcome } from './replay_target.ts';

export interface Shadow extends AsyncDisposable {
  /** What the real one does with the same request. Clients must come in the order in which they did. */
  expect(passed: Pick<Exchange, 'conn' | 'bytes'>): Promise<Outcome | undefined>;
}

/** Starts it in the folder where the hsm_secret is; without a program it expects nothing. */
export function openShadow(program: string | undefined, directory: string): Shadow {
  if (program === undefined) {
    return { expect: () => Promise.resolve(undefined), [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const hsmd = new HsmdProcess({ program, args: ['--developer'], directory });
  return {
    async expect({ conn, bytes }) {
      if (messageType(bytes) !== calls.devPreinit.request.number) return (await hsmd.ask(conn, bytes)) ?? 'refused';
      hsmd.tell(bytes);
      return 'silent';
    },
    [Symbol.asyncDispose]: () => hsmd[Symbol.asyncDispose](),
  };
}
