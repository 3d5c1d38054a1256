/**
 * What setup_channel means: whose money the new funding is. The same field says it in three ways, by who asks: openingd
 * says what the opener gives the peer, dualopend what the accepter puts in, channeld (a splice) by how much the peer's part
 * changes. Amounts are satoshi.
 */

import { equalBytes } from '../../proto/bytes.ts';
import { capabilities } from '../../proto/hsmd/calls.ts';
import type { Basepoints } from '../../proto/hsmd/fields.ts';
import type { ChannelState, FundingState, Setup } from '../state/channel_state.ts';
import { outpointOf } from './commitment.ts';

export type Opening = 'single' | 'dual' | 'splice';

/** Who asks: told by a capability that only that subdaemon has. */
export function openingOf(clientCapabilities: bigint): Opening {
  if ((clientCapabilities & capabilities.signSpliceTx) !== 0n) return 'splice';
  return (clientCapabilities & capabilities.signWillFundOffer) === 0n ? 'single' : 'dual';
}

/** What is ours of an opening's funding, and what of ours the peer gets. */
function partOf(opening: Opening, { isOutbound, channelValue, pushValue }: Setup): { ours: bigint; pushed: bigint } {
  const toPeer = pushValue / 1000n + (pushValue % 1000n === 0n ? 0n : 1n);
  if (!isOutbound) return { ours: pushValue / 1000n, pushed: 0n };
  return { ours: channelValue - toPeer, pushed: opening === 'single' ? toPeer : 0n };
}

export interface Described {
  readonly funding: FundingState;
  /** What is ours of it in its first commitment; for a splice undefined, it follows from the one before. */
  readonly ours: bigint | undefined;
}

/** The funding that a setup describes; undefined for a splice of nothing. */
export function describedBy(opening: Opening, setup: Setup, channel: ChannelState): Described | undefined {
  const { fundingTxid: txid, fundingTxout: vout, channelValue: value, remoteFundingPubkey } = setup;
  const common = {
    outpoint: outpointOf({ txid, vout }),
    value,
    remotePubkey: remoteFundingPubkey.slice(),
    walletInputs: new Map(),
  };
  if (opening !== 'splice') {
    const { ours, pushed } = partOf(opening, setup);
    const ourShift = channel.setup === undefined ? 0n : ours - channel.ourInitial;
    return { ours, funding: { ...common, ourShift, splicedFrom: undefined, shiftBefore: 0n, live: true, pushed } };
  }
  // The funding that is locked stands first; a splice that waits is replaced by another one of the same.
  const [base] = channel.fundings;
  if (base === undefined) return undefined;
  const ourShift = base.ourShift + value - base.value - BigInt.asIntN(64, setup.pushValue);
  const spliced = { splicedFrom: base.outpoint, shiftBefore: base.ourShift };
  return { ours: undefined, funding: { ...common, ...spliced, ourShift, live: false, pushed: 0n } };
}

/** The first thing that a later setup must not change and did; undefined where all is well. */
export function inconsistency(known: Setup, next: Setup): string | undefined {
  const bytes: readonly (readonly [string, Uint8Array, Uint8Array])[] = [
    ...(Object.keys(known.remoteBasepoints) as (keyof Basepoints)[]).map(
      (name) => [`${name} basepoint`, known.remoteBasepoints[name], next.remoteBasepoints[name]] as const,
    ),
    ['channel type', known.channelType, next.channelType],
    ...shutdownScript('our shutdown script', known.localShutdownScript, next.localShutdownScript),
    ...shutdownScript('the peer’s shutdown script', known.remoteShutdownScript, next.remoteShutdownScript),
  ];
  const changed = bytes.find(([, before, after]) => !equalBytes(before, after));
  if (changed !== undefined) return changed[0];
  if (known.isOutbound !== next.isOutbound) return 'opener';
  return known.localToSelfDelay === next.localToSelfDelay && known.remoteToSelfDelay === next.remoteToSelfDelay
    ? undefined
    : 'delays';
}

/** A splice leaves the scripts out. */
function shutdownScript(name: string, before: Uint8Array, after: Uint8Array) {
  return after.length === 0 ? [] : [[name, before, after] as const];
}

/** A setup that does not keep the request's frame alive. */
export function copyOf(setup: Setup): Setup {
  const { revocation, payment, htlc, delayedPayment } = setup.remoteBasepoints;
  return {
    ...setup,
    fundingTxid: setup.fundingTxid.slice(),
    localShutdownScript: setup.localShutdownScript.slice(),
    remoteShutdownScript: setup.remoteShutdownScript.slice(),
    remoteFundingPubkey: setup.remoteFundingPubkey.slice(),
    channelType: setup.channelType.slice(),
    remoteBasepoints: {
      revocation: revocation.slice(),
      payment: payment.slice(),
      htlc: htlc.slice(),
      delayedPayment: delayedPayment.slice(),
    },
  };
}
