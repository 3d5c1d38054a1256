/**
 * What a verified request asks for. One whose URI is signed too (Keyhold's clients) means what its method says. From stock
 * clients, which leave the URI open, only bytes that no method reads differently are taken (readings.ts): a `Pay` with an
 * amount or a maximum fee is one, a `Pay` with nothing but an invoice is not, for a client that asked to decode that
 * invoice signed the same bytes. Such payments are left to the owner's limits, or to the owner.
 */

import { toHex } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import type { Network } from '../chain/networks.ts';
import { InvoiceError } from '../lightning/invoice_error.ts';
import { AddressError } from './address.ts';
import { type Intent, IntentError, intentsOf } from './intents.ts';
import { type ProtoMessage, readMessage } from './protobuf.ts';
import { readingsOf } from './readings.ts';
import { RequestError, type VerifiedRequest } from './signed_request.ts';

/**
 * Throws RequestError where the bytes are no request of that method or, with an unsigned URI, could be another's;
 * IntentError, InvoiceError, AddressError and WireError where what they ask for cannot be granted (see `isUngranted`).
 */
export function meaningOf({ uri, payload, bound }: VerifiedRequest, network: Network): readonly Intent[] {
  const readings = readingsOf(payload);
  if (!readings.includes(uri)) throw new RequestError(`the bytes are no request of ${uri} as this signer knows it`);
  const message = readMessage(payload);
  const intents = intentsOf(uri, message, network);
  if (bound || intents.length === 0) return intents;
  for (const other of readings)
    if (other !== uri && !isSame(other, message, network, intents))
      throw new RequestError(`the same bytes could be a request of ${other}: expected a signature over the URI`);
  return intents;
}

/** Whether a request of another method would ask for exactly the same; one that this signer cannot judge would not. */
function isSame(other: string, message: ProtoMessage, network: Network, intents: readonly Intent[]): boolean {
  try {
    return keyOf(intentsOf(other, message, network)) === keyOf(intents);
  } catch (error: unknown) {
    if (isUngranted(error)) return false;
    throw error;
  }
}

/** Whether an error says that a request asks for something in a way that cannot be granted. */
export function isUngranted(error: unknown): error is Error {
  return (
    error instanceof IntentError ||
    error instanceof InvoiceError ||
    error instanceof AddressError ||
    error instanceof WireError
  );
}

/** A text that is equal exactly for equal intents. */
function keyOf(intents: readonly Intent[]): string {
  return JSON.stringify(intents, (_name, value: unknown) =>
    value instanceof Uint8Array ? toHex(value) : typeof value === 'bigint' ? `${value}` : value,
  );
}
