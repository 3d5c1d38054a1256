/**
 * Requests that the host answers without a signer: those no client may ask, as hsmd's own front (hsmd.c) sorts them out
 * before libhsmd sees them, and the flags of developer mode, which have no reply.
 */

import { ECDH } from 'node:crypto';
import type { Answer, ClientIdentity } from '../proto/answer.ts';
import { calls, capabilities, type RequestOf } from '../proto/hsmd/calls.ts';
import { WireError } from '../proto/hsmd/codec.ts';
import { callOf, decodeMessage, messageType } from '../proto/hsmd/message.ts';

/** Calls that only lightningd may make, and that end hsmd where a client does. */
const onlyLightningd: ReadonlySet<string> = new Set(['clientHsmfd', 'init', 'devPreinit']);

const malformed = (message: string): Answer => ({ kind: 'malformed', message });

/** Whether init forces keys, which only developer mode may. */
function forcesKeys(init: RequestOf<'init'>): boolean {
  return (
    init.devForcePrivkey !== undefined ||
    init.devForceBip32Seed !== undefined ||
    init.devForceChannelSecrets !== undefined ||
    init.devForceChannelSecretsShaseed !== undefined
  );
}

/** The host's own answer to a request of this client, undefined where the signer is to be asked. */
export function ownAnswer(
  client: ClientIdentity,
  isLightningd: boolean,
  bytes: Uint8Array,
  developer: boolean,
): Answer | undefined {
  const call = callOf(bytes);
  if (call === undefined) return malformed(`unknown request type ${messageType(bytes) ?? 'of no bytes'}`);
  const { needs, request } = calls[call];
  if ((client.capabilities & capabilities[needs]) === 0n)
    return malformed(`client does not have capability to run ${request.number}`);
  if (!isLightningd && onlyLightningd.has(call)) return malformed('only lightningd may ask this');
  if (!developer && (call === 'devPreinit' || call === 'devMemleak')) return malformed('not in developer mode');
  if (call === 'devPreinit')
    return readable(() => decodeMessage(calls.devPreinit.request, bytes)) ?? { kind: 'silent' };
  if (call === 'init' && !developer)
    return readable(() => {
      if (forcesKeys(decodeMessage(calls.init.request, bytes)))
        throw new WireError('forced keys outside developer mode', 0);
    });
  return undefined;
}

function readable(read: () => unknown): Answer | undefined {
  try {
    read();
    return undefined;
  } catch (error: unknown) {
    if (error instanceof WireError) return malformed(error.message);
    throw error;
  }
}

/** Whether 33 bytes are a point on secp256k1, which hsmd wants of a client's node id. */
export function isNodeId(bytes: Uint8Array): boolean {
  try {
    ECDH.convertKey(bytes, 'secp256k1');
    return bytes.length === 33;
  } catch {
    return false;
  }
}
