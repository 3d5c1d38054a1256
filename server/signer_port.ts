// Where the relay hands requests to a signer, whatever is behind: a link over gRPC, a Greenlight signer, or one in this
// very process.

import type { Answer, ClientIdentity } from '../proto/answer.ts';
import type { SignedRequest } from '../proto/signed_request.ts';

/** A request as a signer gets it. */
export interface OfferedRequest {
  /** Unique and growing as long as this host runs; the same request offered again has the same id. */
  readonly id: bigint;
  /** Requests of one lane are to be carried out in order; of each lane at most one is offered at a time. */
  readonly lane: bigint;
  readonly client: ClientIdentity;
  /** The hsmd message, type included. */
  readonly bytes: Uint8Array;
  /** Every id below is settled for good. */
  readonly settledBelow: bigint;
  /** The node has its answer already, or may have it any moment. */
  readonly acknowledged: boolean;
}

/** What a signer says of itself, for whoever looks at the host; see keyhold.v1.Report. */
export interface SignerReport {
  readonly policy: string;
  readonly inactive: readonly string[];
  readonly weakened: readonly string[];
  readonly problem: string;
}

/** An attached signer. */
export interface SignerPort {
  /** What it calls itself. */
  readonly name: string;
  /** Its software and version. */
  readonly software: string;
  /** Identifies the signer's process: a port attached with the session of another one replaces that one. */
  readonly session: string;
  /** The round trip measured last, in microseconds; 0 where none is known. */
  readonly roundTripUs: number;
  /** Whether it says yes to every preapproval, and need not be waited for. */
  readonly approvesPayments?: boolean;
  /** Whether it decides what was acknowledged before anything offered later that rests on it (proto/hsmd/depends.ts). */
  readonly keepsOrder?: boolean;
  /** What it said of itself last; not every kind of signer does. */
  readonly report?: SignerReport | undefined;
  /** Called once, before anything else: whether this signer is the active one, and the fencing number. */
  welcome(active: boolean, lease: bigint): void;
  /** A signer that stood by is active from now on, under this fencing number. */
  promote(lease: bigint): void;
  /** Shows a client's request, which may be the reason for what is asked next. The same may come again. */
  show(request: SignedRequest): void;
  /** Asks. Rejects where the connection is lost; the request then goes to the next signer attached. */
  offer(request: OfferedRequest): Promise<Answer>;
  /** Nobody waits for the answer to this request any more. */
  withdraw(id: bigint): void;
  /** Sends the signer away; the reason is for its owner. One that is unfit would be sent away again. */
  dismiss(reason: string, unfit?: boolean): void;
}
