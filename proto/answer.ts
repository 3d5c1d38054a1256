// What passes between the host's relay and a signer's dispatch, whichever way it travels: who asks, and the one answer
// every request gets. The gRPC messages of keyhold.v1 carry exactly these.

/** Who sent a request, as lightningd said when it asked for that client's socket (`hsmd_client_hsmfd`). */
export interface ClientIdentity {
  /** The peer's node id, 33 bytes; our own node's for a client without a peer, zeros for lightningd itself. */
  readonly nodeId: Uint8Array;
  /** The channel's number in lightningd's database, 0 where the client serves no single channel. */
  readonly dbid: bigint;
  /** What this client may ask for: bits, see `capability` in hsmd/calls.ts. */
  readonly capabilities: bigint;
}

/** The one answer to a request. */
export type Answer =
  /** The hsmd reply message, type included, without a length prefix; and answers to what may come next. */
  | { readonly kind: 'reply'; readonly bytes: Uint8Array; readonly ahead?: readonly AnswerAhead[] }
  /** The request has no reply (`hsmd_dev_preinit`). */
  | { readonly kind: 'silent' }
  /**
   * The bytes are wrong, the client lacks the capability, or the real hsmd would die of this request: fatal on
   * lightningd's own socket, the end of the connection on a client's.
   */
  | { readonly kind: 'malformed'; readonly message: string }
  /** The policy says no; asking again will not help. `tag` names the rule. */
  | { readonly kind: 'refused'; readonly tag: string; readonly message: string }
  /** No answer can be had now: a device is absent or locked, the signer broke, nobody answered in time. */
  | { readonly kind: 'unavailable'; readonly message: string };

/** The answer to a request that was not asked yet; decided as if it had been, and given only to these very bytes. */
export interface AnswerAhead {
  /** SHA-256 of the hsmd message, type included, that this answers. */
  readonly requestSha256: Uint8Array;
  /** The hsmd reply, type included. */
  readonly reply: Uint8Array;
  /** Whose request it answers; absent: of the client that asked. Capabilities are checked when it is asked. */
  readonly client?: Pick<ClientIdentity, 'nodeId' | 'dbid'> | undefined;
  /** Given again and again; otherwise once, and only until the client asks for something not known ahead. */
  readonly stays: boolean;
}
