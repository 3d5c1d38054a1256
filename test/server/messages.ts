// Requests and replies of the right form, for tests of what carries them.

import type { ClientIdentity } from '../../proto/answer.ts';
import { calls } from '../../proto/hsmd/calls.ts';
import { encodeMessage, encodeReply } from '../../proto/hsmd/message.ts';
import { Secret } from '../../proto/secret.ts';

/** Points on secp256k1, which node ids have to be: the generator and its negation. */
const x = Buffer.from('79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798', 'hex');
export const nodeId = Uint8Array.of(2, ...x);
export const otherNodeId = Uint8Array.of(3, ...x);

export const connectd: ClientIdentity = { nodeId, dbid: 0n, capabilities: 1n };

export function channeld(dbid: bigint): ClientIdentity {
  return { nodeId, dbid, capabilities: 447n };
}

/** A request that carries a number, so that tests can tell one from another. */
export function checkFutureSecret(n: number): Uint8Array {
  return encodeMessage(calls.checkFutureSecret.request, {
    n: BigInt(n),
    commitmentSecret: new Secret(new Uint8Array(32)),
  });
}

export const correct = encodeReply('checkFutureSecret', { correct: true });
export const incorrect = encodeReply('checkFutureSecret', { correct: false });

export function signMessage(text: string): Uint8Array {
  return encodeMessage(calls.signMessage.request, { msg: Buffer.from(text) });
}

export const signedMessage = encodeReply('signMessage', {
  sig: { signature: new Uint8Array(64).fill(1), recoveryId: 1 },
});

export const preapproveInvoice = encodeMessage(calls.preapproveInvoice.request, { invstring: Buffer.from('lnbc1') });
export const approved = encodeReply('preapproveInvoice', { approved: true });
export const notApproved = encodeReply('preapproveInvoice', { approved: false });

export const ecdh = encodeMessage(calls.ecdh.request, { point: nodeId });

export const preinit = encodeMessage(calls.devPreinit.request, { tlvs: {} });

export const init = encodeMessage(calls.init.request, {
  bip32PubVersion: 0x043587cf,
  bip32PrivVersion: 0x04358394,
  chainparams: new Uint8Array(32),
  encryptionKey: undefined,
  devForcePrivkey: undefined,
  devForceBip32Seed: undefined,
  devForceChannelSecrets: undefined,
  devForceChannelSecretsShaseed: undefined,
  minVersion: 5,
  maxVersion: 6,
  tlvs: {},
});

export function initReply(id: Uint8Array = nodeId): Uint8Array {
  return encodeReply('init', {
    version: 6,
    capabilities: [29],
    nodeId: id,
    bip32: new Uint8Array(78),
    bolt12: nodeId,
    tlvs: {},
  });
}

export function clientHsmfd({ nodeId: peerId, dbid, capabilities: permissions }: ClientIdentity): Uint8Array {
  return encodeMessage(calls.clientHsmfd.request, { peerId, dbid, permissions });
}
