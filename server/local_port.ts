import type { Answer, ClientIdentity } from '../proto/answer.ts';
import type { OfferedRequest, SignerPort } from './signer_port.ts';

export interface LocalPortOptions {
  readonly name: string;
  readonly software: string;
  readonly session: string;
  /** Answers one request; lanes side by side. */
  readonly handle: (client: ClientIdentity, bytes: Uint8Array) => Promise<Answer>;
}

/** A signer in this very process: no link in between, no round trip to measure. */
export function localPort({ name, software, session, handle }: LocalPortOptions): SignerPort {
  return {
    name,
    software,
    session,
    roundTripUs: 0,
    welcome() {},
    promote() {},
    dismiss() {},
    /** No clients of another place reach a node that is run like this. */
    show() {},
    offer: ({ client, bytes }: OfferedRequest) => handle(client, bytes),
    withdraw() {},
  };
}
