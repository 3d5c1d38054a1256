import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Answer } from '../proto/answer.ts';
import type { HsmRequestSchema, HsmResponse } from '../proto/gen/greenlight/greenlight_pb.ts';
import { brief } from '../proto/link.ts';
import { Outbox } from '../proto/outbox.ts';
import { isLightningd } from './refusal.ts';
import type { OfferedRequest, SignerPort } from './signer_port.ts';

/** A request that asks for nothing but a sign of life: type 2008 without fields. */
const signOfLife = Uint8Array.of(0x07, 0xd8);

interface Asked {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * A signer that speaks Greenlight's protocol: requests on a stream, each response a call of its own. It says neither who
 * it is nor goodbye, so every stream is a new session.
 */
export class GreenlightPort implements SignerPort {
  readonly name: string;
  readonly software = 'greenlight';
  readonly session: string;
  readonly roundTripUs = 0;
  readonly outbox = new Outbox<MessageInitShape<typeof HsmRequestSchema>>();
  readonly #asked = new Map<number, Asked>();

  constructor(name: string, session: string) {
    this.name = name;
    this.session = session;
    this.outbox.push({ requestId: 0, raw: signOfLife });
  }

  welcome(): void {}

  promote(): void {}

  offer({ id, client, bytes }: OfferedRequest, signal: AbortSignal): Promise<Answer> {
    const requestId = Number(BigInt.asUintN(32, id));
    const context = isLightningd(client) ? {} : { context: client };
    return new Promise((resolve, reject) => {
      if (this.outbox.closed) {
        reject(new Error('the signer is gone'));
        return;
      }
      this.#asked.set(requestId, { resolve, reject });
      signal.addEventListener('abort', () => this.#asked.delete(requestId), { once: true });
      this.outbox.push({ requestId, raw: bytes, ...context });
    });
  }

  dismiss(): void {
    this.outbox.close();
  }

  /** Takes a response, if it is to something asked here. */
  receive({ requestId, raw, error }: HsmResponse): boolean {
    const asked = this.#asked.get(requestId);
    this.#asked.delete(requestId);
    asked?.resolve(
      error === ''
        ? { kind: 'reply', bytes: raw }
        : { kind: 'refused', tag: 'greenlight-signer', message: brief(error) },
    );
    return asked !== undefined;
  }

  /** The stream is over. */
  [Symbol.dispose](): void {
    this.outbox.close();
    for (const { reject } of this.#asked.values()) reject(new Error('the stream to the signer was lost'));
    this.#asked.clear();
  }
}
