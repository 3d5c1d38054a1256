/**
 * What a channel's transactions are made of: public data, from `setup_channel` and the two sides' basepoints. Everything
 * in this folder is computed from these values and what a request says; nothing here holds a secret or a state.
 */

import type { RequestOf } from '../../proto/hsmd/calls.ts';
import type { Basepoints } from '../../proto/hsmd/fields.ts';

/** We (`local`) or the peer (`remote`), as hsmd's `side` has it. BOLT 3's "local" is the owner of a transaction instead. */
export type Side = 'local' | 'remote';

export function otherSide(side: Side): Side {
  return side === 'local' ? 'remote' : 'local';
}

/** One side's public part of a channel. */
export interface Party {
  readonly basepoints: Basepoints;
  /** Blocks this side makes the *other* one wait: it stands in the other side's transactions. */
  readonly toSelfDelay: number;
}

/** What stays the same for a channel's whole life, splices included. */
export interface Channel {
  readonly opener: Side;
  readonly local: Party;
  readonly remote: Party;
  /** option_anchors: zero-fee HTLC transactions; without it the channel is plain static_remotekey. */
  readonly anchors: boolean;
}

/** The output that commitments spend; a splice or an RBF gives a channel several at once. */
export interface Funding {
  /** Internal byte order. */
  readonly txid: Uint8Array;
  readonly vout: number;
  /** Satoshi. */
  readonly value: bigint;
  readonly localPubkey: Uint8Array;
  /** The peer may use another one for each funding: setup_channel of a splice can still carry the old one. */
  readonly remotePubkey: Uint8Array;
}

/** The feature bits of a channel type that change its transactions (BOLT 2 §Channel Types). */
const featureBits = { staticRemotekey: 12, anchorOutputs: 20, anchors: 22 } as const;

export interface ChannelType {
  readonly staticRemotekey: boolean;
  /** The withdrawn form, whose HTLC transactions pay fees: its transactions are not rebuilt here. */
  readonly anchorOutputs: boolean;
  readonly anchors: boolean;
}

/** Reads a channel type, big-endian feature bits as in BOLT 9. */
export function channelType(bits: Uint8Array): ChannelType {
  const has = (bit: number): boolean => (((bits[bits.length - 1 - (bit >> 3)] ?? 0) >> (bit & 7)) & 1) === 1;
  return {
    staticRemotekey: has(featureBits.staticRemotekey),
    anchorOutputs: has(featureBits.anchorOutputs),
    anchors: has(featureBits.anchors),
  };
}

/** The channel that `setup_channel` describes. Whether its type is one we sign for is the policy's to say. */
export function channelOf(setup: RequestOf<'setupChannel'>, ours: Basepoints): Channel {
  return {
    opener: setup.isOutbound ? 'local' : 'remote',
    local: { basepoints: ours, toSelfDelay: setup.localToSelfDelay },
    remote: { basepoints: setup.remoteBasepoints, toSelfDelay: setup.remoteToSelfDelay },
    anchors: channelType(setup.channelType).anchors,
  };
}

/** The funding that `setup_channel` describes. */
export function fundingOf(setup: RequestOf<'setupChannel'>, ourFundingPubkey: Uint8Array): Funding {
  return {
    txid: setup.fundingTxid,
    vout: setup.fundingTxout,
    value: setup.channelValue,
    localPubkey: ourFundingPubkey,
    remotePubkey: setup.remoteFundingPubkey,
  };
}
