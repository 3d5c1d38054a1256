/**
 * All keys of one channel, derived once (common/derive_basepoints.c): the funding key, the four basepoints and the
 * shachain of per-commitment secrets.
 */

import { equalBytes } from '../../proto/bytes.ts';
import type { Basepoints } from '../../proto/hsmd/fields.ts';
import { Secret } from '../../proto/secret.ts';
import type { Secp } from '../crypto/secp.ts';
import { derive, unsalted } from './hkdf.ts';
import { commitmentNumbers, Shachain } from './shachain.ts';

/** A secret scalar and its point. */
export interface KeyPair {
  readonly secret: Secret;
  readonly point: Uint8Array;
}

/** Secrets that a test network's lightningd forces on every channel. */
export interface ForcedChannelSecrets {
  readonly secrets: { readonly [N in 'funding' | 'revocation' | 'payment' | 'delayed' | 'htlc']: Secret } | undefined;
  readonly shaseed: Uint8Array | undefined;
}

/** The points asked for most are those around the last number; a few channels' worth of history is enough. */
const rememberedPoints = 8;

export class ChannelKeys {
  readonly funding: KeyPair;
  readonly revocation: KeyPair;
  readonly htlc: KeyPair;
  readonly payment: KeyPair;
  readonly delayed: KeyPair;
  readonly basepoints: Basepoints;
  readonly #shachain: Shachain;
  readonly #points = new Map<bigint, Uint8Array>();
  readonly #secp: Secp;

  /** From the 32-byte channel seed: HKDF to 192 bytes, split as funding, revocation, htlc, payment, delayed, shaseed. */
  constructor(secp: Secp, channelSeed: Secret, forced: ForcedChannelSecrets | undefined) {
    this.#secp = secp;
    const all = channelSeed.use((seed) => derive(seed, unsalted, 'c-lightning', 192));
    const part = (index: number) => all.use((bytes) => Secret.copyOf(bytes.subarray(index * 32, index * 32 + 32)));
    const pair = (index: number, override: Secret | undefined): KeyPair => {
      const secret = override ?? part(index);
      return { secret, point: secp.publicKey(secret) };
    };
    this.funding = pair(0, forced?.secrets?.funding);
    this.revocation = pair(1, forced?.secrets?.revocation);
    this.htlc = pair(2, forced?.secrets?.htlc);
    this.payment = pair(3, forced?.secrets?.payment);
    this.delayed = pair(4, forced?.secrets?.delayed);
    this.#shachain = new Shachain(forced?.shaseed === undefined ? part(5) : Secret.copyOf(forced.shaseed));
    this.basepoints = {
      revocation: this.revocation.point,
      payment: this.payment.point,
      htlc: this.htlc.point,
      delayedPayment: this.delayed.point,
    };
    all[Symbol.dispose]();
  }

  /** The secret of our commitment `n`; undefined from 2^48 on. */
  perCommitmentSecret(n: bigint): Secret | undefined {
    return this.#shachain.secret(n);
  }

  /** The point of our commitment `n`; undefined from 2^48 on. */
  perCommitmentPoint(n: bigint): Uint8Array | undefined {
    if (n >= commitmentNumbers) return undefined;
    const known = this.#points.get(n);
    if (known !== undefined) return known;
    const secret = this.#shachain.secret(n);
    if (secret === undefined) return undefined;
    const point = this.#secp.publicKey(secret);
    secret[Symbol.dispose]();
    this.#points.set(n, point);
    const [oldest] = this.#points.keys();
    if (this.#points.size > rememberedPoints && oldest !== undefined) this.#points.delete(oldest);
    return point;
  }

  /** The secret of one of the points that were asked for last; undefined for every other point. */
  secretOfPoint(point: Uint8Array): Secret | undefined {
    for (const [n, known] of this.#points) if (equalBytes(known, point)) return this.#shachain.secret(n);
    return undefined;
  }

  [Symbol.dispose](): void {
    for (const key of [this.funding, this.revocation, this.htlc, this.payment, this.delayed])
      key.secret[Symbol.dispose]();
    this.#shachain[Symbol.dispose]();
  }
}
