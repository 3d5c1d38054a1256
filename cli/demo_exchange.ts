/** One request on its way to the keys and back, as a demo shows, counts and compares it. */

import type { ClientIdentity } from '../proto/answer.ts';
import { equalBytes } from '../proto/bytes.ts';
import { capabilities } from '../proto/hsmd/calls.ts';
import type { Outcome } from './replay_target.ts';

export interface Exchange {
  /** 0 is lightningd's own socket. */
  readonly conn: number;
  readonly client: ClientIdentity;
  readonly bytes: Uint8Array;
  readonly outcome: Outcome;
  /** What the real lightning_hsmd did with the same request; undefined where there is none to ask. */
  readonly expected: Outcome | undefined;
  readonly milliseconds: number;
}

/** Whether the answer is the real hsmd's, byte for byte; undefined where that is not known. */
export function isEqual({ outcome, expected }: Exchange): boolean | undefined {
  if (expected === undefined) return undefined;
  if (outcome instanceof Uint8Array && expected instanceof Uint8Array) return equalBytes(outcome, expected);
  return outcome === expected;
}

const { ecdh, signGossip, signOnchainTx, commitmentPoint, signRemoteTx, signClosingTx } = capabilities;
const { signWillFundOffer, signSpliceTx, lockOutpoint } = capabilities;
const opening = commitmentPoint | signRemoteTx;

/** lightningd's daemons by what they may ask for (hsm_get_client_fd's and hsm_get_global_fd's callers). */
const daemons: ReadonlyMap<bigint, string> = new Map([
  [ecdh, 'connectd'],
  [opening, 'openingd'],
  [opening | signWillFundOffer | lockOutpoint, 'dualopend'],
  [opening | ecdh | signGossip | signOnchainTx | signClosingTx | signSpliceTx | lockOutpoint, 'channeld'],
  [commitmentPoint | signClosingTx, 'closingd'],
  [commitmentPoint | signOnchainTx, 'onchaind'],
]);

/** Which of lightningd's processes asks, with the number of its channel in lightningd's database: `channeld 1`. */
export function clientLabel({ conn, client }: Pick<Exchange, 'conn' | 'client'>): string {
  if (conn === 0) return 'lightningd';
  const daemon = daemons.get(client.capabilities) ?? `client ${conn}`;
  return client.dbid === 0n ? daemon : `${daemon} ${client.dbid}`;
}
