/**
 * What lightningd asks next, call by call: requests whose exact bytes follow from one that was just answered, as it was
 * seen to ask them. A wrong guess costs a few bytes on the link and nothing else; a secret that revokes is never guessed.
 */

import type { ClientIdentity } from '../../proto/answer.ts';
import { spentOutput } from '../../proto/bitcoin/psbt_input.ts';
import { utf8 } from '../../proto/bytes.ts';
import { type Call, calls, lightningdCapabilities, type RequestOf } from '../../proto/hsmd/calls.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import { decodeMessage, encodeMessage } from '../../proto/hsmd/message.ts';
import type { Secp } from '../crypto/secp.ts';
import type { NodeKeys } from '../keys/node_keys.ts';
import { ownPart } from '../keys/own_part.ts';
import { channelOf } from '../lightning/channel.ts';
import { htlcRequests } from '../lightning/htlc_tx.ts';
import { commitmentKeys } from '../lightning/keys.ts';
import { recogniseCommitment } from '../lightning/recognise.ts';
import type { Setup } from '../state/channel_state.ts';
import { penaltyRequest, type Revocable } from './penalty.ts';

/** A request that is expected. */
export interface Expected {
  readonly client: ClientIdentity;
  readonly request: Uint8Array;
  /** Whether it may come more than once, and after anything else; otherwise it comes next or not at all. */
  readonly stays: boolean;
}

/** One channel as far as it is remembered. */
export interface RememberedChannel {
  readonly setup: Setup | undefined;
  /** Our highest commitment number that was validated; -1 before the first. */
  readonly validated: bigint;
  /** What the peer's last few commitments pay it, and us if they are revoked. */
  readonly revocable: readonly Revocable[];
  /** The penalty transaction that was asked for last. */
  readonly penalty: TxWithPsbt | undefined;
}

export interface Memory {
  readonly secp: Secp;
  readonly keys: NodeKeys;
  channel(client: ClientIdentity): RememberedChannel | undefined;
  /** The channels that a start will ask about. */
  channels(): readonly (RememberedChannel & { readonly client: ClientIdentity })[];
}

/** What follows a request of `client` that was answered with `reply`. */
export type Prediction<C extends Call> = (
  memory: Memory,
  client: ClientIdentity,
  request: RequestOf<C>,
  reply: Uint8Array,
) => readonly Expected[];

export const lightningd: ClientIdentity = {
  nodeId: new Uint8Array(33),
  dbid: 0n,
  capabilities: lightningdCapabilities,
};

/** channeld's capabilities. Who asks for a point makes no difference to it. */
const ofChannel = 447n;

/** The labels of the secrets that lightningd and its plugins derive at every start. */
const labels = ['bolt12-invoice-base', 'node-alias-base', 'commando', 'scb secret', 'offer-blinded-path'] as const;

function points(client: ClientIdentity, ...numbers: readonly bigint[]): readonly Expected[] {
  return numbers
    .filter((n) => n >= 0n)
    .map((n) => ({ client, request: encodeMessage(calls.getPerCommitmentPoint.request, { n }), stays: true }));
}

/** A start asks for the current point and the next; the one after goes with the first commitment that comes. */
function started(memory: Memory): readonly Expected[] {
  const derived = labels.map((label) => ({
    client: lightningd,
    request: encodeMessage(calls.deriveSecret.request, { info: utf8(label) }),
    stays: true,
  }));
  const ofChannels = memory
    .channels()
    .flatMap(({ client, validated }) => points(client, validated, validated + 1n, validated + 2n));
  return [...derived, ...ofChannels];
}

/** channeld has every HTLC transaction of a commitment signed right behind the commitment, in order. */
function htlcTransactions(
  { secp, keys, channel: remembered }: Memory,
  client: ClientIdentity,
  { tx, htlcs, feerate, commitNum, remotePerCommit, remoteFundingKey }: RequestOf<'signRemoteCommitmentTx'>,
): readonly Expected[] {
  const setup = htlcs.length > 0 ? remembered(client)?.setup : undefined;
  const [input] = tx.tx.inputs;
  const spent = spentOutput(tx.psbt, 0);
  if (setup === undefined || input === undefined || spent === undefined) return [];
  const ours = keys.channel(client.nodeId, client.dbid);
  const channel = channelOf(setup, ours.basepoints);
  const { txid, vout } = input;
  const localPubkey = ours.funding.point;
  const funding = { txid, vout, value: spent.amount, localPubkey, remotePubkey: remoteFundingKey };
  const id = { channel, funding, owner: 'remote', number: commitNum } as const;
  const commitment = recogniseCommitment(
    { ...id, keys: commitmentKeys(secp, channel, 'remote', remotePerCommit, ownPart(secp, ours)) },
    { tx, htlcs, feerate },
  );
  if (!commitment.ok) return [];
  return htlcRequests(commitment, remotePerCommit).map((request) => ({ client, request, stays: false }));
}

/** channeld has the penalty for a commitment signed as soon as it is revoked; while a splice confirms, one for each funding. */
function penalties(
  { channel }: Memory,
  client: ClientIdentity,
  { revokeNum, perCommitmentSecret }: RequestOf<'validateRevocation'>,
): readonly Expected[] {
  using secret = perCommitmentSecret;
  const { penalty, revocable = [] } = channel(client) ?? {};
  if (penalty === undefined) return [];
  return revocable
    .filter(({ commitNum }) => commitNum === revokeNum)
    .map((revoked) => penaltyRequest(penalty, revoked, secret))
    .filter((request) => request !== undefined)
    .map((request) => ({ client, request, stays: false }));
}

export const predictions: { readonly [C in Call]?: Prediction<C> } = {
  init: started,

  /** An opening asks for the basepoints, then, as another client, for the first point or the first two. */
  newChannel(_memory, _lightningd, { peerId, dbid }) {
    const opening = { nodeId: peerId, dbid, capabilities: ofChannel };
    const request = encodeMessage(calls.getChannelBasepoints.request, { peerId, dbid });
    return [{ client: lightningd, request, stays: true }, ...points(opening, 0n, 1n)];
  },

  /** A reestablished channel asks for two neighbours; one further, and the next commitment can be acknowledged. */
  getPerCommitmentPoint({ channel }, client, { n }) {
    // None that would be refused: the owner reads what was.
    const furthest = (channel(client)?.validated ?? n) + 2n;
    return points(client, n - 1n, ...(n < furthest ? [n + 1n] : []));
  },

  signRemoteCommitmentTx: htlcTransactions,

  validateRevocation: penalties,

  /** The reply has the next point; with the one behind it the next commitment can be acknowledged. */
  validateCommitmentTx: (_memory, client, { commitNum }) => points(client, commitNum + 2n),

  /** When the close is agreed, lightningd has the same transaction signed as if it were a commitment. */
  signMutualCloseTx({ channel }, client, { tx, remoteFundingKey }) {
    const commitNum = channel(client)?.validated ?? -1n;
    if (commitNum < 0n) return [];
    const { nodeId: peerId, dbid } = client;
    const request = { peerId, dbid, tx, remoteFundingKey, commitNum };
    return [{ client: lightningd, request: encodeMessage(calls.signCommitmentTx.request, request), stays: true }];
  },

  checkOutpoint(_memory, client, outpoint, reply) {
    if (!decodeMessage(calls.checkOutpoint.reply, reply).isBuried) return [];
    return [{ client, request: encodeMessage(calls.lockOutpoint.request, outpoint), stays: false }];
  },
};
