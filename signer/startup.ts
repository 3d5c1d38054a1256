/** What comes before any key is used: hsmd_dev_preinit, hsmd_init with its failures, and the socket for a new client. */

import type { ReplyOf, RequestOf } from '../proto/hsmd/calls.ts';
import { calls } from '../proto/hsmd/calls.ts';
import { Secret } from '../proto/secret.ts';
import { BadRequest } from './context.ts';
import type { Secp } from './crypto/secp.ts';
import { serializePublic } from './keys/bip32.ts';
import type { HsmSecret } from './keys/hsm_secret.ts';
import { type ForcedKeys, NodeKeys } from './keys/node_keys.ts';

/** Where the hsm_secret comes from: a file, one created when there is none, a device. */
export interface SecretSource {
  /** @throws HsmSecretError */
  open(passphrase: Secret | undefined): Promise<HsmSecret>;
}

/** hsmd protocol versions this signer speaks. */
const versions = { min: 4, max: 6 } as const;
/** BIP 32 versions of main and test networks, public and private. */
const bip32Versions = { public: [0x0488b21e, 0x043587cf], private: [0x0488ade4, 0x04358394] } as const;
/** The optional requests that lightningd asks for by number, in hsmd's order. */
const offered = [
  'checkPubkey',
  'checkBip86Pubkey',
  'signAnyDelayedPaymentToUs',
  'signAnchorspend',
  'signHtlcTxMingle',
  'signSpliceTx',
  'checkOutpoint',
  'forgetChannel',
  'revokeCommitmentTx',
  'signBolt12_2',
  'bip137SignMessage',
] as const;
const offeredChecks = ['preapproveInvoiceCheck', 'preapproveKeysendCheck'] as const;

/** What dev_preinit asks for, all off unless it says so. */
export interface Preinit {
  readonly failPreapprove: boolean;
  readonly noPreapproveCheck: boolean;
}

/** What `init` settles for the requests that follow. */
export interface Started {
  readonly keys: NodeKeys;
  readonly version: number;
}

/** The highest protocol version both sides have. */
export function agreeVersion({ minVersion, maxVersion }: RequestOf<'init'>): number {
  if (versions.min > maxVersion || versions.max < minVersion)
    throw new BadRequest(
      `expected protocol versions within ${versions.min} to ${versions.max}, got ${minVersion} to ${maxVersion}`,
    );
  return Math.min(maxVersion, versions.max);
}

/** Opens the secret and derives the node's keys. @throws HsmSecretError, BadRequest */
export async function start(secp: Secp, source: SecretSource, request: RequestOf<'init'>): Promise<Started> {
  const version = agreeVersion(request);
  const known: readonly (readonly [readonly number[], number])[] = [
    [bip32Versions.public, request.bip32PubVersion],
    [bip32Versions.private, request.bip32PrivVersion],
  ];
  for (const [allowed, given] of known)
    if (!allowed.includes(given)) throw new BadRequest(`unknown bip32 version ${given.toString(16)}`);
  const { passphrase } = request.tlvs;
  const secret = await source.open(passphrase && Secret.copyOf(passphrase));
  return { keys: new NodeKeys(secp, secret, forcedKeys(request)), version };
}

function forcedKeys(request: RequestOf<'init'>): ForcedKeys {
  return {
    nodeKey: request.devForcePrivkey,
    bip32Seed: request.devForceBip32Seed,
    secrets: request.devForceChannelSecrets,
    shaseed: request.devForceChannelSecretsShaseed?.slice(),
  };
}

/** The reply to `init` (hsmd_init). */
export function initReply(
  { keys, version }: Started,
  bip32PubVersion: number,
  { noPreapproveCheck }: Preinit,
): ReplyOf<'init'> {
  const names = noPreapproveCheck ? offered : [...offered, ...offeredChecks];
  return {
    version,
    capabilities: names.map((name) => calls[name].request.number),
    nodeId: keys.node.point,
    bip32: serializePublic(keys.wallet, bip32PubVersion),
    bolt12: keys.bolt12.point,
    tlvs: {
      secretType: keys.secretType,
      ...(keys.bip86 && { bip86Base: serializePublic(keys.bip86, bip32PubVersion) }),
    },
  };
}
