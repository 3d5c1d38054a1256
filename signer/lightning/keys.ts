/**
 * BOLT 3 §Keys: the public keys that stand in one commitment's scripts, from the basepoints and the per-commitment
 * point, and the factor that obscures commitment numbers. All of it is public, so variable time is fine here.
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

/** What one side gives to the keys of a commitment, at its per-commitment point. */
export interface KeyPart {
  /** Its delayedpubkey, where it is the owner. */
  delayed(point: Uint8Array): Uint8Array;
  /** Its htlcpubkey. */
  htlc(point: Uint8Array): Uint8Array;
  /** The revocation key's first term, where it is the other side: basepoint·SHA256(basepoint ‖ point). */
  basepointTerm(point: Uint8Array): Uint8Array;
  /** The second, where it is the owner: point·SHA256(point ‖ basepoint), with the other side's basepoint. */
  pointTerm(point: Uint8Array, basepoint: Uint8Array): Uint8Array;
}

/** A side's part by public values alone, as the peer's always is; ours is faster by our secrets (`keys/own_part.ts`). */
export function publicPart(secp: Secp, { delayedPayment, htlc, revocation }: Basepoints): KeyPart {
  return {
    delayed: (point) => derivedPubkey(secp, delayedPayment, point),
    htlc: (point) => derivedPubkey(secp, htlc, point),
    basepointTerm: (point) => exists(secp.multiplyPoint(revocation, sha256Of(revocation, point))),
    pointTerm: (point, basepoint) => exists(secp.multiplyPoint(point, sha256Of(point, basepoint))),
  };
}

/** The keys of a commitment, computed afresh (derive_revocation_key, derive_simple_key); `basepoints` are the other side's. */
export function deriveCommitmentKeys(
  secp: Secp,
  parts: { readonly owner: KeyPart; readonly other: KeyPart },
  basepoints: Basepoints,
  point: Uint8Array,
): CommitmentKeys {
  const { owner, other } = parts;
  const terms = [other.basepointTerm(point), owner.pointTerm(point, basepoints.revocation)] as const;
  const revocation = exists(secp.addPoints(...terms));
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
    ownerDelayed: owner.delayed(point),
    get ownerHtlc() {
      ownerHtlc ??= owner.htlc(point);
      return ownerHtlc;
    },
    get otherHtlc() {
      otherHtlc ??= other.htlc(point);
      return otherHtlc;
    },
    otherPayment: basepoints.payment,
  };
}

/** A commitment is asked about a few times in a row, by several requests and for every funding; older ones rarely. */
const remembered = 8;
const known = once((_channel: Channel) => new Map<string, CommitmentKeys>());

/**
 * The keys of `owner`'s commitment with this per-commitment point; the last few of each channel are remembered. `ours` is
 * our part where our secrets are at hand: the result is the same.
 */
export function commitmentKeys(
  secp: Secp,
  channel: Channel,
  owner: Side,
  point: Uint8Array,
  ours: KeyPart = publicPart(secp, channel.local.basepoints),
): CommitmentKeys {
  const ofChannel = known(channel);
  const name = `${owner} ${toHex(point)}`;
  const found = ofChannel.get(name);
  if (found !== undefined) return found;
  const theirs = publicPart(secp, channel.remote.basepoints);
  const parts = owner === 'local' ? { owner: ours, other: theirs } : { owner: theirs, other: ours };
  const keys = deriveCommitmentKeys(secp, parts, channel[otherSide(owner)].basepoints, point);
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
