/**
 * What the host can answer by itself from what the signer has said: whether lightningd derived the right wallet keys, by
 * BIP 32 from the extended public keys in the reply to init. Everything here is public.
 */

import { createHmac } from 'node:crypto';
import { isPointCompressed, pointAddScalar } from 'tiny-secp256k1';
import type { Answer } from '../proto/answer.ts';
import { equalBytes } from '../proto/bytes.ts';
import { type Call, calls } from '../proto/hsmd/calls.ts';
import { WireError } from '../proto/hsmd/codec.ts';
import { decodeMessage, encodeReply, messageType } from '../proto/hsmd/message.ts';

/** BIP 32 numbers from here on are hardened: nobody derives them from a public key, and lightningd asks for none. */
const hardened = 0x80000000;
/** lightningd looks fifty keys ahead of the last one used, and asks for the same ones at every start. */
const mostKept = 4096;

/** An extended public key: chain code (32 bytes) and compressed point. */
interface PublicKey {
  readonly chainCode: Uint8Array;
  readonly point: Uint8Array;
}

/** BIP 32's public derivation, by the same library as the signer's: a start asks for some sixty of them. */
function childOf({ chainCode, point }: PublicKey, index: number): PublicKey {
  const data = Buffer.alloc(37);
  data.set(point);
  data.writeUInt32BE(index, 33);
  const digest = createHmac('sha512', chainCode).update(data).digest();
  const child = pointAddScalar(point, digest.subarray(0, 32), true);
  if (child === null) throw new RangeError(`BIP 32 has no key at index ${index}`);
  return { chainCode: digest.subarray(32), point: child };
}

/** The public keys below one extended public key (BIP 32's 78 bytes). */
class PublicKeys {
  readonly #parent: PublicKey;
  readonly #known = new Map<number, Uint8Array>();

  private constructor(parent: PublicKey) {
    this.#parent = parent;
  }

  /** Undefined where the bytes are no key. */
  static below(extended: Uint8Array, path: readonly number[]): PublicKeys | undefined {
    try {
      const parent = { chainCode: extended.slice(13, 45), point: extended.slice(45) };
      if (!isPointCompressed(parent.point)) return undefined;
      return new PublicKeys(path.reduce(childOf, parent));
    } catch {
      return undefined;
    }
  }

  at(index: number): Uint8Array {
    const known = this.#known.get(index) ?? childOf(this.#parent, index).point;
    if (this.#known.size >= mostKept) this.#known.clear();
    this.#known.set(index, known);
    return known;
  }
}

type WalletKeys = { readonly [C in 'checkPubkey' | 'checkBip86Pubkey']: PublicKeys | undefined };

export class PublicAnswers {
  readonly #keys: WalletKeys;
  /** hsmd's protocol version, 4 to 6. */
  readonly version: number;

  private constructor(version: number, keys: WalletKeys) {
    this.version = version;
    this.#keys = keys;
  }

  /** From a reply to init; undefined where that says that init failed. Throws `WireError` for what is no such reply. */
  static from(initReply: Uint8Array): PublicAnswers | undefined {
    if (messageType(initReply) !== calls.init.reply.number) return undefined;
    const { version, bip32, tlvs } = decodeMessage(calls.init.reply, initReply);
    return new PublicAnswers(version, {
      checkPubkey: PublicKeys.below(bip32, []),
      checkBip86Pubkey: tlvs.bip86Base && PublicKeys.below(tlvs.bip86Base, [0]),
    });
  }

  /** The answer that hsmd would give; undefined where the signer is to be asked. */
  answer(call: Call, request: Uint8Array): Answer | undefined {
    if (call !== 'checkPubkey' && call !== 'checkBip86Pubkey') return undefined;
    try {
      const { index, pubkey } = decodeMessage(calls[call].request, request);
      const ours = index < hardened ? this.#keys[call]?.at(index) : undefined;
      if (ours === undefined) return undefined;
      if (equalBytes(ours, pubkey)) return { kind: 'reply', bytes: encodeReply(call, { ok: true }) };
      return { kind: 'malformed', message: `lightningd derived another key for index ${index}` };
    } catch (error: unknown) {
      if (error instanceof WireError) return undefined;
      throw error;
    }
  }
}
