// A signer that takes its time over what the node has the answer of already, or cannot decide it now.

import type { RequestHandler } from '../../signer/session.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** `roll(n)` gives a number from 0 to below n. */
export function unsteady(signer: RequestHandler, roll: (n: number) => number): RequestHandler {
  return {
    approvesPayments: signer.approvesPayments === true,
    async handle(client, bytes, signal, acknowledged) {
      if (acknowledged) {
        if (roll(2) < 1) await pause(roll(12));
        if (roll(8) < 1) return { kind: 'unavailable', message: 'locked' };
      }
      return signer.handle(client, bytes, signal, acknowledged);
    },
    ahead: (client, bytes, reply) => signer.ahead?.(client, bytes, reply) ?? Promise.resolve([]),
    show: (request) => signer.show?.(request) ?? Promise.resolve(),
  };
}
