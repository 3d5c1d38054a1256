/**
 * ECDSA as Core Lightning signs transactions and gossip: RFC 6979 with 32 bytes of extra entropy that count up until R
 * is below 2^255, which keeps the DER form short. (Wallet inputs of a PSBT are signed otherwise, see psbt_sign.ts.)
 */

import type { Secret } from '../../proto/secret.ts';
import type { Secp } from './secp.ts';

/**
 * 64 bytes r ‖ s with low R and low S, after two tries on average (bitcoin/signature.c, sign_hash). The first try has
 * 32 zero bytes of extra entropy, which is not the same as none; the counter is little-endian in the first four.
 */
export function signLowR(secp: Pick<Secp, 'sign'>, digest: Uint8Array, secret: Secret): Uint8Array {
  const extraEntropy = new Uint8Array(32);
  const counter = new DataView(extraEntropy.buffer);
  for (;;) {
    const signature = secp.sign(digest, secret, extraEntropy);
    if ((signature[0] ?? 0) < 0x80) return signature;
    counter.setUint32(0, counter.getUint32(0, true) + 1, true);
  }
}
