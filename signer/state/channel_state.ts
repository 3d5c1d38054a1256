/**
 * What the signer remembers of one channel: how it was set up, its fundings, the commitments accepted on both sides, and
 * whether a close was signed. Values are immutable; `transitions.ts` makes the next one.
 *
 * Invariants, kept by the transitions:
 * - local.revokedThrough < the number of every commitment in local.accepted; the same for remote.
 * - a number in `accepted` was first accepted for a live funding.
 * - once `closing` is set, local.revokedThrough and the highest local number no longer change.
 */

import type { RequestOf } from '../../proto/hsmd/calls.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import type { ExpectedOutput } from '../chain/view.ts';
import type { Side } from '../lightning/channel.ts';
import type { Account } from './account.ts';
import type { Doubt } from './doubt.ts';

/** `txid:vout` of a funding output, the txid in internal byte order and hex. */
export type Outpoint = string;

/** An output that the channel's commitments spend: the first, and each splice's or RBF's. */
export interface FundingState {
  readonly outpoint: Outpoint;
  /** Satoshi. */
  readonly value: bigint;
  readonly remotePubkey: Uint8Array;
  /** What we own of it before any commitment, less what we own of the first funding: satoshi, negative for a splice-out. */
  readonly ourShift: bigint;
  /** The funding that it is spliced from; undefined for one of the opening's. */
  readonly splicedFrom: Outpoint | undefined;
  /** The same of that one, as it was then. */
  readonly shiftBefore: bigint;
  /** Whether it may confirm: one of the opening's always, a splice's once we signed for it. */
  readonly live: boolean;
  /** Satoshi of ours that are the peer's from the start, as the owner agreed. */
  readonly pushed: bigint;
  /** Whether it was locked: lightningd uses the channel with it from then on. */
  readonly locked?: boolean;
  /** Outputs of our wallet that we let its transaction spend, with their satoshi. */
  readonly walletInputs: ReadonlyMap<Outpoint, bigint>;
}

/** What one accepted commitment says, for one funding. */
export interface ContentState {
  readonly txid: Uint8Array;
  /** Satoshi, undefined where there is no such output. */
  readonly toLocal: bigint | undefined;
  readonly toRemote: bigint | undefined;
  /** Satoshi per 1000 weight. */
  readonly feerate: number;
  /** Satoshi: what the opener pays at that feerate, anchors included. */
  readonly openerPays: bigint;
  /** Satoshi of fee beyond that: trimmed HTLCs, balances below dust. */
  readonly trimmed: bigint;
}

/** One commitment number of one side. */
export interface AcceptedCommitment {
  readonly number: bigint;
  /** The per-commitment point: the peer's as it came, ours undefined (it follows from the number). */
  readonly point: Uint8Array | undefined;
  /** The untrimmed ones, the same for each funding. */
  readonly htlcs: readonly Htlc[];
  /** What the step to it settled, by payment hash (hex); undefined where nothing. */
  readonly paid?: ReadonlyMap<string, Settled> | undefined;
  /** By funding. One that is no longer there takes its content with it. */
  readonly contents: ReadonlyMap<Outpoint, ContentState>;
}

export interface SideState {
  /** Not yet revoked, in order of their numbers; at most two. After the first there is always one. */
  readonly accepted: readonly AcceptedCommitment[];
  /** Every number up to this one is revoked; -1 where none is. */
  readonly revokedThrough: bigint;
  /** What was settled by HTLCs that left this side's commitments, by payment hash (hex), of payments with HTLCs left in the channel. */
  readonly settled: ReadonlyMap<string, Settled>;
  /** Where it could as well be read otherwise. */
  readonly doubts?: readonly Doubt[] | undefined;
  /** What is ours by the newest of them. */
  readonly account: Account;
}

/** Msat paid with a preimage for one hash: out of the channel by us, into it by the peer. */
export interface Settled {
  readonly out: bigint;
  readonly in: bigint;
}

/** What one commitment says of one payment: its HTLCs, and what was settled by then. */
export interface View extends Settled {
  readonly htlcs: readonly Htlc[];
}

/** One payment in one channel, by each of its commitments that are not revoked; never empty. */
export type Flow = readonly View[];

/** A transaction that we signed, with which an HTLC that we offered comes back after its timeout: the output that is ours. */
export interface Reclaim extends ExpectedOutput {
  /** The HTLC's output in a commitment, which it spends. */
  readonly spends: Outpoint;
  readonly htlc: Htlc;
}

/** A channel of which a commitment is known to be in the chain. */
export interface Ended {
  /** That commitment's txid in hex, internal order. */
  readonly commitment: string;
  /** Its payments as they stood then, by hash (hex), without the HTLCs that came back. */
  readonly flows: ReadonlyMap<string, Flow>;
  /** The outputs of those: each came back once. */
  readonly returned: readonly Outpoint[];
}

export type Setup = RequestOf<'setupChannel'>;

export interface ChannelState {
  /** Hex of the peer's node id. */
  readonly peer: string;
  readonly dbid: bigint;
  readonly setup: Setup | undefined;
  /** What we must own in commitment 0 of the first funding, satoshi. */
  readonly ourInitial: bigint;
  readonly fundings: readonly FundingState[];
  /** Fundings that were left for another one without a proof that they are spent. */
  readonly left: readonly Outpoint[];
  readonly sides: { readonly [S in Side]: SideState };
  readonly closing:
    | { readonly kind: 'mutual'; readonly txids: readonly string[] }
    | { readonly kind: 'unilateral' }
    | undefined;
  /** lightningd forgot it: nothing is left but fundings by transactions that other channels may have a part in. */
  readonly forgotten?: true | undefined;
  /** Our commitment that the node holds although it was refused, and the rule that refused it. */
  readonly frozen?: { readonly number: bigint; readonly tag: string } | undefined;
  /** What may bring timed out HTLCs back, the oldest first. */
  readonly reclaims?: readonly Reclaim[] | undefined;
  readonly ended?: Ended | undefined;
}

const untouched: SideState = {
  accepted: [],
  revokedThrough: -1n,
  settled: new Map(),
  account: { ours: 0n, lost: 0n },
};

/** A channel that new_channel just announced. */
export function freshChannel(peer: string, dbid: bigint): ChannelState {
  const sides = { local: untouched, remote: untouched };
  return { peer, dbid, setup: undefined, ourInitial: 0n, fundings: [], left: [], sides, closing: undefined };
}

/** The highest number accepted on a side; -1 before the first. */
export function highest({ accepted, revokedThrough }: SideState): bigint {
  return accepted.at(-1)?.number ?? revokedThrough;
}
