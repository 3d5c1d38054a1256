/**
 * A client's request as it was signed on the owner's device: what justifies that value leaves. A host only carries it;
 * what it must look like, and what is signed, stands in signer/approvals/signed_request.ts.
 */

/** As Greenlight's PendingRequest has it, and what Keyhold's clients add. */
export interface SignedRequest {
  /** The first frame of the body, gRPC's five bytes included. */
  readonly request: Uint8Array;
  readonly uri: string;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** 65 bytes, uncompressed. */
  readonly pubkey: Uint8Array;
  /** Milliseconds since 1970. */
  readonly timestamp: bigint;
  readonly rune: Uint8Array;
  /** Keyhold's signature (64 bytes) and nonce (16). */
  readonly bound?: { readonly signature: Uint8Array; readonly nonce: Uint8Array } | undefined;
}
