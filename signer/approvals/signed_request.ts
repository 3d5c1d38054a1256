/**
 * What a client signs, and whether it did. Greenlight's clients sign the first frame of the body, its five bytes of gRPC
 * framing included, with the time behind it. They do not sign the URI. Keyhold's clients add a second signature by the same key which does:
 *
 *   "keyhold request 1" ‖ 00 ‖ u16 length of the URI ‖ URI ‖ node id (33) ‖ nonce (16) ‖ u64 time in ms ‖ frame
 *
 * big-endian, in the headers `khnonce` and `khsig` (base64 without padding) beside the others. The text in front begins
 * with no byte that a frame (00), a TLS handshake, a certificate request or a pairing can begin with, so nothing signed
 * with that key for another end is one of these. The nonce keeps two requests apart that are the same otherwise.
 *
 * Both are ECDSA over P-256 with SHA-256, r ‖ s, checked with WebCrypto, which Node and browsers have.
 */

import { concat, utf8 } from '../../proto/bytes.ts';
import type { SignedRequest } from '../../proto/signed_request.ts';
import { sha256Of } from '../crypto/hash.ts';

export interface VerifiedRequest {
  /** 32 bytes, the same however the request is presented again: not of the signature, which has a second form. */
  readonly id: Uint8Array;
  readonly uri: string;
  /** The URI's last part in lower case. */
  readonly method: string;
  /** The protobuf message. */
  readonly payload: Uint8Array;
  readonly pubkey: Uint8Array;
  /** Milliseconds since 1970. */
  readonly signedAt: number;
  /** Whether URI and node are signed too. */
  readonly bound: boolean;
}

/** For how long a signed request counts, in milliseconds. */
export interface Freshness {
  readonly maxAge: number;
  /** How far a client's clock may be ahead. */
  readonly maxAhead: number;
}

export const defaultFreshness: Freshness = { maxAge: 10 * 60_000, maxAhead: 2 * 60_000 };

/** A request that justifies nothing, and why. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
}

const frameHeader = 5;
const maxFrame = 4_000_000;
const uriForm = /^\/(?:cln|greenlight)\.Node\/([A-Za-z0-9]{1,64})$/;
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** Checks form, time and signature; `now` is in milliseconds since 1970. Throws RequestError. */
export async function verifyRequest(
  request: SignedRequest,
  nodeId: Uint8Array,
  now: number,
  freshness: Freshness,
): Promise<VerifiedRequest> {
  const { request: frame, uri, pubkey, timestamp, bound } = request;
  const [, method] = uriForm.exec(uri) ?? [];
  if (method === undefined) throw new RequestError('expected the URI of a method of cln.Node or greenlight.Node');
  const payload = payloadOf(frame);
  checkTime(timestamp, now, freshness);
  if (pubkey.length !== 65 || pubkey[0] !== 4)
    throw new RequestError(`expected an uncompressed key of 65 bytes, got ${pubkey.length} bytes`);
  if (bound !== undefined && bound.nonce.length !== 16)
    throw new RequestError(`expected a nonce of 16 bytes, got ${bound.nonce.length}`);
  const signed = stockSignedBytes(frame, timestamp);
  const isSigned =
    bound === undefined
      ? await isSignedBy(pubkey, request.signature, signed)
      : await isSignedBy(
          pubkey,
          bound.signature,
          boundSignedBytes({ frame, uri, nodeId, nonce: bound.nonce, timestamp }),
        );
  if (!isSigned) throw new RequestError(`the signature of ${uri} is not by the key it came with`);
  const id = sha256Of(pubkey, signed);
  return {
    id,
    uri,
    method: method.toLowerCase(),
    payload,
    pubkey,
    signedAt: Number(timestamp),
    bound: bound !== undefined,
  };
}

/** What Greenlight's clients sign. */
export function stockSignedBytes(frame: Uint8Array, timestamp: bigint): Uint8Array {
  return concat(frame, bigEndian(timestamp, 8));
}

/** What Keyhold's clients sign besides. */
export function boundSignedBytes(parts: {
  readonly frame: Uint8Array;
  readonly uri: string;
  readonly nodeId: Uint8Array;
  readonly nonce: Uint8Array;
  readonly timestamp: bigint;
}): Uint8Array {
  const { frame, nodeId, nonce, timestamp } = parts;
  const uri = utf8(parts.uri);
  const heading = concat(utf8('keyhold request 1'), Uint8Array.of(0), bigEndian(BigInt(uri.length), 2), uri);
  return concat(heading, nodeId, nonce, bigEndian(timestamp, 8), frame);
}

function bigEndian(value: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn));
}

/** The message in a frame: compression flag 0, its length, and nothing behind it. */
function payloadOf(frame: Uint8Array): Uint8Array {
  if (frame.length < frameHeader || frame.length > maxFrame)
    throw new RequestError(`expected a frame of ${frameHeader} to ${maxFrame} bytes, got ${frame.length}`);
  if (frame[0] !== 0) throw new RequestError('expected a frame without compression');
  const length = new DataView(frame.buffer, frame.byteOffset).getUint32(1);
  if (length !== frame.length - frameHeader)
    throw new RequestError(`expected a message of ${length} bytes, found ${frame.length - frameHeader}`);
  return frame.subarray(frameHeader);
}

function checkTime(timestamp: bigint, now: number, { maxAge, maxAhead }: Freshness): void {
  if (timestamp < 1n || timestamp > BigInt(Number.MAX_SAFE_INTEGER))
    throw new RequestError('expected the time of the signature in milliseconds');
  const age = now - Number(timestamp);
  if (age > maxAge) throw new RequestError(`signed ${age} ms ago: expected at most ${maxAge}`);
  if (age < -maxAhead) throw new RequestError(`signed ${-age} ms ahead of this clock: expected at most ${maxAhead}`);
}

async function isSignedBy(pubkey: Uint8Array, signature: Uint8Array, bytes: Uint8Array): Promise<boolean> {
  if (signature.length !== 64) throw new RequestError(`expected a signature of 64 bytes, got ${signature.length}`);
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey('raw', pubkey.slice(), ecdsa, false, ['verify']);
  } catch (error: unknown) {
    throw new RequestError('expected a point on P-256 as the key', { cause: error });
  }
  return crypto.subtle.verify(ecdsa, key, signature.slice(), bytes.slice());
}
