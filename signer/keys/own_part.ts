/**
 * Our part in the keys of a commitment, of either side's: the same points as `lightning/keys.ts` has from our basepoints,
 * but each by multiplying the generator with a secret, in constant time and still in half the time.
 */

import type { Secret } from '../../proto/secret.ts';
import { sha256Of } from '../crypto/hash.ts';
import type { Secp } from '../crypto/secp.ts';
import { type KeyPart, publicPart } from '../lightning/keys.ts';
import type { ChannelKeys, KeyPair } from './channel_keys.ts';
import { tweakedSecret } from './tweak.ts';

export function ownPart(secp: Secp, channel: ChannelKeys): KeyPart {
  const simpleKey = (basepoint: KeyPair, point: Uint8Array): Uint8Array => {
    using secret = tweakedSecret(secp, basepoint, point);
    return secp.publicKey(secret);
  };
  const multiple = (secret: Secret, factor: Uint8Array): Uint8Array => {
    using product = secp.multiplySecret(secret, factor);
    if (product === undefined) throw new RangeError('no key for this basepoint and point');
    return secp.publicKey(product);
  };
  const { delayed, htlc, revocation } = channel;
  return {
    delayed: (point) => simpleKey(delayed, point),
    htlc: (point) => simpleKey(htlc, point),
    basepointTerm: (point) => multiple(revocation.secret, sha256Of(revocation.point, point)),
    pointTerm(point, basepoint) {
      using secret = channel.secretOfPoint(point);
      if (secret === undefined) return publicPart(secp, channel.basepoints).pointTerm(point, basepoint);
      return multiple(secret, sha256Of(point, basepoint));
    },
  };
}
