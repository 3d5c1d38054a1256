/** Commitments that were accepted, found again by the transaction that spends them or asks for a signature on them. */

import { equalBytes } from '../../proto/bytes.ts';
import { ownPart } from '../keys/own_part.ts';
import type { Side } from '../lightning/channel.ts';
import { commitmentKeys } from '../lightning/keys.ts';
import type { CommitmentBasis } from '../lightning/outputs.ts';
import type { AcceptedCommitment, ChannelState, ContentState, Outpoint, Setup } from '../state/channel_state.ts';
import { channelFor } from './commitment.ts';
import type { Scope } from './scope.ts';

export interface Found {
  readonly owner: Side;
  readonly commitment: AcceptedCommitment;
  readonly content: ContentState;
  /** The funding that it spends. */
  readonly outpoint: Outpoint;
}

/** The accepted, unrevoked commitment with this transaction (txid in internal byte order). */
export function findCommitment(
  { sides }: ChannelState,
  txid: Uint8Array,
  owners: readonly Side[] = ['local', 'remote'],
): Found | undefined {
  for (const owner of owners)
    for (const commitment of sides[owner].accepted)
      for (const [outpoint, content] of commitment.contents)
        if (equalBytes(content.txid, txid)) return { owner, commitment, content, outpoint };
  return undefined;
}

/** A channel and the setup it had; undefined before setup_channel. */
export function setUp(
  { state }: Scope,
  peer: Uint8Array,
  dbid: bigint,
): (ChannelState & { readonly setup: Setup }) | undefined {
  const channel = state.channel(peer, dbid);
  return channel?.setup === undefined ? undefined : { ...channel, setup: channel.setup };
}

/** What scripts of `owner`'s commitment with this per-commitment point are made of. */
export function basisAt(
  scope: Scope,
  { setup }: { readonly setup: Setup },
  peer: Uint8Array,
  dbid: bigint,
  owner: Side,
  point: Uint8Array,
): CommitmentBasis {
  const channel = channelFor(scope, setup, peer, dbid);
  const { secp, keys } = scope.context;
  return { channel, owner, keys: commitmentKeys(secp, channel, owner, point, ownPart(secp, keys.channel(peer, dbid))) };
}

/** Our point of commitment `n`; undefined from 2^48 on. */
export function ourPointAt(
  { context: { keys } }: Scope,
  peer: Uint8Array,
  dbid: bigint,
  n: bigint,
): Uint8Array | undefined {
  return keys.channel(peer, dbid).perCommitmentPoint(n);
}
