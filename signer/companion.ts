/** What travels on the link beside requests and answers: the copy of the state, news of the chain, the report. */

import type { Promote, ToSigner, Welcome } from '../proto/gen/keyhold/v1/signer_link_pb.ts';
import type { SendToHost } from '../proto/link.ts';

export type LinkMessage = ToSigner['message'];

/** One of them. What it is told is a host's word, to be checked; whatever goes wrong, it must not throw. */
export interface Companion {
  /** A stream to the host begins: what its welcome says, and how to send on it. */
  attached(welcome: Welcome, send: SendToHost): void;
  /** This signer, which stood by, is active from now on. */
  promoted(promote: Promote): void;
  /** Any message of the host; most are not for this one. */
  receive(message: LinkMessage): void;
  /** The stream is over. */
  detached(): void;
}
