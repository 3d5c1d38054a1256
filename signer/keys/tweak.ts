/** BOLT 3's private key derivation: basepoint secrets into the keys of one commitment. */

import { Secret } from '../../proto/secret.ts';
import { sha256Of } from '../crypto/hash.ts';
import type { Secp } from '../crypto/secp.ts';
import type { KeyPair } from './channel_keys.ts';

/** basepoint_secret + SHA256(per_commitment_point || basepoint) (derive_simple_privkey). */
export function tweakedSecret(secp: Secp, basepoint: KeyPair, perCommitmentPoint: Uint8Array): Secret {
  const secret = secp.addToSecret(basepoint.secret, new Secret(sha256Of(perCommitmentPoint, basepoint.point)));
  if (secret === undefined) throw new RangeError('no key for this basepoint and point');
  return secret;
}

const points = new WeakMap<Secret, Uint8Array>();

/** The point of a scalar that a request carries: its check and its answer both ask for it, and it is computed once. */
export function pointOfSecret(secp: Secp, secret: Secret): Uint8Array {
  const point = points.get(secret) ?? secp.publicKey(secret);
  points.set(secret, point);
  return point;
}

/**
 * revocation_basepoint_secret × SHA256(revocation_basepoint || per_commitment_point) + per_commitment_secret ×
 * SHA256(per_commitment_point || revocation_basepoint) (derive_revocation_privkey); undefined where the peer's secret
 * makes none.
 */
export function revocationSecret(secp: Secp, basepoint: KeyPair, perCommitmentSecret: Secret): Secret | undefined {
  const point = pointOfSecret(secp, perCommitmentSecret);
  const ours = secp.multiplySecret(basepoint.secret, sha256Of(basepoint.point, point));
  const theirs = secp.multiplySecret(perCommitmentSecret, sha256Of(point, basepoint.point));
  return ours && theirs && secp.addToSecret(ours, theirs);
}
