// Recorded sessions put to a relay as a host does: what the host answers itself left out, a lane for every client.

import type { RecordedRequest, RecordedSession } from '../../cli/recordings.ts';
import type { Answer } from '../../proto/answer.ts';
import { equalBytes } from '../../proto/bytes.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { callOf } from '../../proto/hsmd/message.ts';
import type { Lane } from '../../server/lane.ts';
import type { Relay } from '../../server/relay.ts';
import type { Start } from '../../server/start.ts';
import { Signer } from '../../signer/dispatch.ts';
import { openHsmSecret } from '../../signer/keys/hsm_secret.ts';
import { backend } from '../../signer/node/backends.ts';
import { noPolicy, type Policy } from '../../signer/policy/policy.ts';

export function signerOf({ secretFile }: RecordedSession, policy: Policy = noPolicy): Signer {
  const secp = backend(undefined, systemEntropy);
  return new Signer({ secp, secret: { open: (passphrase) => openHsmSecret(secretFile, passphrase) }, policy });
}

const never = () => new AbortController().signal;

/** A recorded lightningd, as its host sees it. */
export class Replayed {
  readonly #relay: Relay;
  readonly #lanes = new Map<number, Lane>();

  /** One that starts now, or with `start` goes on after its host was restarted. */
  constructor(relay: Relay, start?: Start) {
    this.#relay = relay;
    relay.restart(start);
  }

  /** Asks one request; undefined for one that the host answers itself. */
  async ask({ conn, client, bytes }: RecordedRequest): Promise<Answer | undefined> {
    const call = callOf(bytes);
    if (call === 'clientHsmfd') return undefined;
    if (call === 'devPreinit') {
      this.#relay.preinit = bytes;
      return undefined;
    }
    const lane = this.#lanes.get(conn) ?? this.#relay.openLane(client);
    this.#lanes.set(conn, lane);
    return this.#relay.ask(lane, bytes, never());
  }
}

/** Whether an answer is what the real hsmd gave. */
export function isAsRecorded(answer: Answer | undefined, { expected }: RecordedRequest): boolean {
  if (answer === undefined) return true;
  if (expected === 'silent') return answer.kind === 'silent';
  if (expected === 'refused') return answer.kind === 'malformed';
  return answer.kind === 'reply' && equalBytes(answer.bytes, expected);
}
