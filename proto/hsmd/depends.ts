/**
 * Which requests rest on one that the node takes for done already: those about the same channel, and those of any
 * channel or the wallet that give something away on the strength of it. Host and signer keep the same order by this.
 */

import type { ClientIdentity } from '../answer.ts';
import { equalBytes } from '../bytes.ts';
import { type Call, calls } from './calls.ts';
import { WireError } from './codec.ts';
import { decodeMessage } from './message.ts';

/** Who a channel is with, and its number in lightningd's database. */
export type ChannelOf = Pick<ClientIdentity, 'nodeId' | 'dbid'>;

/** Calls that give away what an HTLC or a balance of another channel may have to make good. */
const everywhere: ReadonlySet<Call> = new Set<Call>([
  'signRemoteCommitmentTx',
  'revokeCommitmentTx',
  'signCommitmentTx',
  'signWithdrawal',
]);

/** lightningd's own calls that name a channel. */
const naming = [
  'signAnyCannouncement',
  'signCommitmentTx',
  'getChannelBasepoints',
  'getOutputScriptpubkey',
  'forgetChannel',
  'signAnyDelayedPaymentToUs',
  'signAnyRemoteHtlcToUs',
  'signAnyPenaltyToUs',
  'signAnyLocalHtlcTx',
  'signAnchorspend',
  'signHtlcTxMingle',
] as const satisfies readonly Call[];
const named: ReadonlySet<Call> = new Set<Call>(naming);

/** The channel that a request is about; undefined where it is about none, or cannot be read. */
export function channelOf(call: Call, client: ClientIdentity, request: Uint8Array): ChannelOf | undefined {
  if (client.dbid !== 0n) return client;
  if (!named.has(call)) return undefined;
  try {
    const { peerId, dbid } = decodeMessage(calls[call as (typeof naming)[number]].request, request);
    return { nodeId: peerId, dbid };
  } catch (error: unknown) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** Whether a request has to wait until one that was acknowledged to `acknowledged` before it came is decided. */
export function restsOn(
  { call, client, request }: { readonly call: Call; readonly client: ClientIdentity; readonly request: Uint8Array },
  acknowledged: ClientIdentity,
): boolean {
  if (everywhere.has(call)) return true;
  const channel = channelOf(call, client, request);
  return channel !== undefined && channel.dbid === acknowledged.dbid && equalBytes(channel.nodeId, acknowledged.nodeId);
}
