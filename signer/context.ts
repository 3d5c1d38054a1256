/** What a handler has at hand, and the type of the table of handlers. */

import type { ClientIdentity } from '../proto/answer.ts';
import type { Call, ReplyOf, RequestOf } from '../proto/hsmd/calls.ts';
import type { Secp } from './crypto/secp.ts';
import type { NodeKeys } from './keys/node_keys.ts';

export interface Context {
  readonly secp: Secp;
  readonly keys: NodeKeys;
  readonly client: ClientIdentity;
  /** The hsmd protocol version agreed in `init`, 4 to 6. */
  readonly version: number;
  /** What dev_preinit asked for: every preapproval is answered no. */
  readonly failPreapprove: boolean;
  /** The node has the reply already, or may have it any moment; false if absent. */
  readonly acknowledged?: boolean;
}

/** Computes the reply to one call. What it throws is converted to an answer in dispatch.ts. */
export type Handler<C extends Call> = (context: Context, request: RequestOf<C>) => ReplyOf<C>;

/** One handler for each of `C`: a call left out does not compile. */
export type Handlers<C extends Call> = { readonly [N in C]: Handler<N> };

/** The request is well-formed, but lightning_hsmd refuses it or dies of it: no honest lightningd sends it. */
export class BadRequest extends Error {
  override readonly name = 'BadRequest';
}
