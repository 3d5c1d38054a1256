/** A relay that acknowledges, with a journal and a signer that do what a test says and when. */

import type { ClientIdentity } from '../../proto/answer.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { encodeMessage, encodeReply } from '../../proto/hsmd/message.ts';
import { silent } from '../../proto/log.ts';
import { Secret } from '../../proto/secret.ts';
import type { NodeJournal, Undecided } from '../../server/journal.ts';
import { patienceFor } from '../../server/refusal.ts';
import { lightningd, Relay, relayDefaults } from '../../server/relay.ts';
import { ManualClock, settled } from './manual_clock.ts';
import { MemoryPort } from './memory_port.ts';
import { channeld, init, initReply } from './messages.ts';

const never = () => new AbortController().signal;

export const revocation = (n: number) =>
  encodeMessage(calls.validateRevocation.request, {
    revokeNum: BigInt(n),
    perCommitmentSecret: new Secret(new Uint8Array(32).fill(n)),
  });
export const validated = encodeReply('validateRevocation', {});
export const revoke = (n: number) => encodeMessage(calls.revokeCommitmentTx.request, { commitNum: BigInt(n) });

export const channel = channeld(1n);
export const other = channeld(2n);

/** A journal whose disk is in the test's hands. */
export class Paper implements NodeJournal {
  readonly left: readonly Undecided[];
  readonly appended: Uint8Array[] = [];
  readonly decisions: bigint[] = [];
  disk: 'fast' | 'broken' | Promise<void> = 'fast';

  constructor(left: readonly Undecided[] = []) {
    this.left = left;
  }

  async append(_client: ClientIdentity, request: Uint8Array): Promise<bigint> {
    if (this.disk === 'broken') throw new Error('no space left');
    if (this.disk !== 'fast') await this.disk;
    this.appended.push(request);
    return BigInt(this.appended.length);
  }

  decided(number: bigint): void {
    this.decisions.push(number);
  }

  /** What is appended from now on is on the disk when this is called. */
  slow(): () => void {
    let written = () => {};
    this.disk = new Promise((resolve) => {
      written = resolve;
    });
    return written;
  }
}

export function orderly(name?: string, session?: string): MemoryPort {
  const port = new MemoryPort(name, session);
  port.keepsOrder = true;
  return port;
}

interface Options {
  readonly journal?: Paper;
  readonly port?: MemoryPort;
  readonly unsignedPenalties?: boolean;
  readonly start?: boolean;
}

export async function setUp({ journal, port = orderly(), start = true, unsignedPenalties = false }: Options) {
  const clock = new ManualClock();
  const relay = new Relay({ clock, log: silent, patienceFor, ...relayDefaults, journal, unsignedPenalties });
  relay.signers.attach(port);
  await settled();
  const ask = (client: ClientIdentity, bytes: Uint8Array, signal = never()) =>
    relay.ask(relay.openLane(client), bytes, signal);
  if (start) {
    const started = ask(lightningd, init);
    await settled();
    port.reply(0, initReply());
    await started;
  }
  /** What the signer was offered, from the n-th on: call numbers, those acknowledged with a star. */
  const offered = (from = 1, to = port) =>
    to.said.slice(from).map(([bytes, acknowledged]) => `${bytes[1]}${acknowledged ? '*' : ''}`);
  return { clock, relay, port, ask, offered };
}
