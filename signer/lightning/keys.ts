/**
 * BOLT 3 §Keys: the public keys that stand in one commitment's scripts, from the basepoints and the per-commitment
 * point, and the factor that obscures commitment numbers. All of it is public, so variable time is fine.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Basepoints } from '../../proto/hsmd/fields.ts';
import { hash160, sha256Of } from '../crypto/hash.ts';
import type { Secp } from '../crypto/secp.ts';
import { once } from '../once.ts';
import { type Channel, otherSide, type Side } from './channel.ts';

/** The keys of one commitment, named from its owner's side. All 33 bytes compressed. */
export interface CommitmentKeys {
  /** The other side's, once it knows the owner's per-commitment secret. */
  readonly revocation: Uint8Array;
  /** HASH160 of `revocation`, as every HTLC script has it. */
  readonly revocationHash: Uint8Array;
  readonly ownerDelayed: Uint8Array;
  readonly ownerHtlc: Uint8Array;
  readonly otherHtlc: Uint8Array;
  /** The other side's payment basepoint itself (static_remotekey). */
  readonly otherPayment: Uint8Array;
}

/** No input that anybody could find leads here: the sum would have to be the point at infinity. */
function exists(point: Uint8Array | undefined): Uint8Array {
  if (point === undefined) throw new RangeError('expected a point, derived the point at infinity');
  return point;
}

/** basepoint + SHA256(point ‖ basepoint)·G: localpubkey, htlcpubkey and delayedpubkey (derive_simple_key). */
export function derivedPubkey(secp: Secp, basepoint: Uint8Array, point: Uint8Array): Uint8Array {
  return exists(secp.addToPoint(basepoint, sha256Of(point, basepoint)));
}

/** basepoint·SHA256(basepoint ‖ point) + point·SHA256(point ‖ basepoint) (derive_revocation_key). */
export function revocationPubkey(secp: Secp, basepoint: Uint8Array, point: Uint8Array): Uint8Array {
  const theirs = exists(secp.multiplyPoint(basepoint, sha256Of(basepoint, point)));
  const owners = exists(secp.multiplyPoint(point, sha256Of(point, basepoint)));
  return exists(secp.addPoints(theirs, owners));
}

/** The keys of `owner`'s commitment with this per-commitment point, computed afresh. */
export function deriveCommitmentKeys(
  secp: Secp,
  owner: Basepoints,
  other: Basepoints,
  point: Uint8Array,
): CommitmentKeys {
  const revocation = revocationPubkey(secp, other.revocation, point);
  // Most commitments have no HTLC, and each key costs a point multiplication.
  let revocationHash: Uint8Array | undefined;
  let ownerHtlc: Uint8Array | undefined;
  let otherHtlc: Uint8Array | undefined;
  return {
    revocation,
    get revocationHash() {
      revocationHash ??= hash160(revocation);
      return revocationHash;
    },
    ownerDelayed: derivedPubkey(secp, owner.delayedPayment, point),
    get ownerHtlc() {
      ownerHtlc ??= derivedPubkey(secp, owner.htlc, point);
      return ownerHtlc;
    },
    get otherHtlc() {
      otherHtlc ??= derivedPubkey(secp, other.htlc, point);
      return otherHtlc;
    },
    otherPayment: other.payment,
  };
}

/** A commitment is asked about a few times in a row, by several requests and for every funding; older ones rarely. */
const remembered = 8;
const known = new WeakMap<Channel, Map<string, CommitmentKeys>>();

/** The keys of `owner`'s commitment with this per-commitment point; the last few of each channel are remembered. */
export function commitmentKeys(secp: Secp, channel: Channel, owner: Side, point: Uint8Array): CommitmentKeys {
  const ofChannel = known.get(channel) ?? new Map<string, CommitmentKeys>();
  known.set(channel, ofChannel);
  const name = `${owner} ${toHex(point)}`;
  const found = ofChannel.get(name);
  if (found !== undefined) return found;
  const keys = deriveCommitmentKeys(secp, channel[owner].basepoints, channel[otherSide(owner)].basepoints, point);
  ofChannel.set(name, keys);
  const [oldest] = ofChannel.keys();
  if (ofChannel.size > remembered && oldest !== undefined) ofChannel.delete(oldest);
  return keys;
}

/** The 48 bits that commitment numbers are XORed with: the end of SHA256(opener's payment basepoint ‖ accepter's). */
export function obscuringFactor(channel: Channel): bigint {
  return factorOf(channel).factor;
}

const factorOf = once((channel: Channel) => {
  const opener = channel[channel.opener].basepoints.payment;
  const accepter = channel[otherSide(channel.opener)].basepoints.payment;
  return { factor: BigInt(`0x${toHex(sha256Of(opener, accepter).subarray(26))}`) };
});
