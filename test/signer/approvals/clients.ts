/** A client as its owner's device is: keys on P-256, protobuf, runes, and requests signed as Greenlight's and Keyhold's clients do. */

import { webcrypto } from 'node:crypto';
import { toHex, utf8 } from '../../../proto/bytes.ts';
import { Secret } from '../../../proto/secret.ts';
import type { SignedRequest } from '../../../proto/signed_request.ts';
import { makeRune, type Restriction, runeBytes } from '../../../signer/approvals/rune.ts';
import { boundSignedBytes, stockSignedBytes } from '../../../signer/approvals/signed_request.ts';

/** A protobuf field's value: numbers are varints, `{ double }` and `{ float }` what they say, arrays nested messages. */
export type Value =
  | bigint
  | number
  | string
  | Uint8Array
  | { readonly double: number }
  | { readonly float: number }
  | Fields;
export type Fields = readonly (readonly [field: number, value: Value])[];

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let left = value;
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
    left >>= 7n;
  } while (left > 0n);
  return bytes;
}

/** A message with these fields, in this order. */
export function protobuf(fields: Fields): Uint8Array {
  return Uint8Array.from(
    fields.flatMap(([number, value]) => {
      const tag = (wire: number) => varint(BigInt(number * 8 + wire));
      if (typeof value === 'bigint' || typeof value === 'number') return [...tag(0), ...varint(BigInt(value))];
      if (typeof value === 'object' && 'double' in value) {
        return [...tag(1), ...new Uint8Array(Float64Array.of(value.double).buffer)];
      }
      if (typeof value === 'object' && 'float' in value) {
        return [...tag(5), ...new Uint8Array(Float32Array.of(value.float).buffer)];
      }
      const bytes = typeof value === 'string' ? utf8(value) : value instanceof Uint8Array ? value : protobuf(value);
      return [...tag(2), ...varint(BigInt(bytes.length)), ...bytes];
    }),
  );
}

/** cln.Amount */
export function msat(amount: number): Fields {
  return amount === 0 ? [] : [[1, amount]];
}

/** The message as the first frame of a gRPC body. */
export function frame(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(5 + payload.length);
  new DataView(bytes.buffer).setUint32(1, payload.length);
  bytes.set(payload, 5);
  return bytes;
}

export const nodeId: Uint8Array = Uint8Array.of(2, ...new Uint8Array(32).fill(0xc1));
/** What the node's runes are made with. */
export const secret = new Secret(new Uint8Array(32).fill(7));
export const now = 1_700_000_000_000;

const p256 = { name: 'ECDSA', namedCurve: 'P-256' };

export interface Device {
  readonly pubkey: Uint8Array;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  /** A rune of the node for this device, with more restrictions. */
  rune(...more: readonly Restriction[]): Uint8Array;
}

/** A device whose runes are of the node with this secret. */
export async function newDevice(runes = secret): Promise<Device> {
  const { publicKey, privateKey } = await webcrypto.subtle.generateKey(p256, true, ['sign']);
  const pubkey = new Uint8Array(await webcrypto.subtle.exportKey('raw', publicKey));
  return {
    pubkey,
    async sign(bytes) {
      return new Uint8Array(await webcrypto.subtle.sign({ ...p256, hash: 'SHA-256' }, privateKey, bytes));
    },
    rune: (...more) =>
      runeBytes(makeRune(runes, '0', 'gl0', [[{ field: 'pubkey', condition: '=', value: toHex(pubkey) }], ...more])),
  };
}

export interface Asked {
  readonly device: Device;
  readonly uri: string;
  readonly fields: Fields;
  readonly at?: number;
  readonly rune?: Uint8Array;
}

/** As Greenlight's clients sign. */
export async function stockRequest({ device, uri, fields, at = now, rune }: Asked): Promise<SignedRequest> {
  const request = frame(protobuf(fields));
  const timestamp = BigInt(at);
  const signature = await device.sign(stockSignedBytes(request, timestamp));
  return { request, uri, signature, pubkey: device.pubkey, timestamp, rune: rune ?? device.rune() };
}

/** As Keyhold's clients sign. */
export async function boundRequest(asked: Asked, node = nodeId): Promise<SignedRequest> {
  const stock = await stockRequest(asked);
  const nonce = new Uint8Array(16).fill(9);
  const { request, uri, timestamp } = stock;
  const signed = boundSignedBytes({ frame: request, uri, nodeId: node, nonce, timestamp });
  return { ...stock, bound: { nonce, signature: await asked.device.sign(signed) } };
}
