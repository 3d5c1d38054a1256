/** What a commitment may hold, whoever owns it: fees, HTLCs, dust, lease delays. */

import { isP2wpkh } from '../bitcoin/script.ts';
import { htlcFee, htlcKind } from '../lightning/fees.ts';
import type { Commitment } from '../lightning/recognise.ts';
import { leastOutput, leastP2wpkh } from './fees.ts';
import type { Scope } from './scope.ts';

/** Blocks a lease lasts at most (lease_rates.c). */
const longestLease = 4032;

/** From here on an expiry is a time, most of which are past: a height it is never (BOLT 2, update_add_htlc). */
const heightsEnd = 500_000_000;

/**
 * The opener pays the fee of the message's feerate to the miners, unless it owns less than that and has no output. What is
 * not paid would be in somebody's output instead.
 */
function checkFeePaid(scope: Scope, { channel, owner, toOwner, toOther, trimmed, feerate }: Commitment): void {
  const openers = channel.opener === owner ? toOwner : toOther;
  if (trimmed < 0n && openers !== undefined) scope.broken('policy-commitment-fee-range', { feerate, unpaid: -trimmed });
}

/** What nodes take for dust keeps the whole commitment from being relayed, or an HTLC's own transaction. */
function checkRelayed(scope: Scope, { outputs, owner, feerate, channel }: Commitment): void {
  for (const { role, amount, script } of outputs) {
    if (role.kind === 'anchor') continue;
    const fee = role.kind === 'htlc' ? htlcFee(htlcKind(role.htlc, owner), feerate, channel.anchors) : 0n;
    const least = fee + (isP2wpkh(script) ? leastP2wpkh : leastOutput);
    if (amount < least) scope.broken('policy-commitment-outputs-trimmed', { output: amount, least });
  }
}

export function checkLimits(scope: Scope, commitment: Commitment): void {
  const { settings, height } = scope;
  const { htlcs, feerate, trimmed, funding, leaseCsv, channel } = commitment;
  if (funding.value > settings.maxChannelSat)
    scope.broken('policy-funding-max', { value: funding.value, most: settings.maxChannelSat });
  if (feerate < settings.minFeeratePerkw || feerate > settings.maxFeeratePerkw)
    scope.broken('policy-commitment-fee-range', {
      feerate,
      least: settings.minFeeratePerkw,
      most: settings.maxFeeratePerkw,
    });
  checkFeePaid(scope, commitment);
  checkRelayed(scope, commitment);
  if (htlcs.length > settings.maxHtlcs)
    scope.broken('policy-commitment-htlc-count-limit', { htlcs: htlcs.length, most: settings.maxHtlcs });
  const inFlight = htlcs.reduce((sum, { amount }) => sum + amount, 0n) / 1000n;
  if (inFlight > settings.maxInFlightSat)
    scope.broken('policy-commitment-htlc-inflight-limit', { inFlight, most: settings.maxInFlightSat });
  // A trimmed HTLC is below the dust limit and the fee of its own transaction.
  const mostTrimmed = settings.maxTrimmedSat + htlcFee('success', feerate, channel.anchors);
  if (trimmed > mostTrimmed) scope.broken('policy-commitment-outputs-trimmed', { trimmed, most: mostTrimmed });
  if (leaseCsv > longestLease) scope.broken('policy-lease', { delay: leaseCsv, most: longestLease });
  for (const { cltvExpiry } of htlcs)
    if (cltvExpiry >= heightsEnd)
      scope.broken('policy-commitment-htlc-cltv-range', { expiry: cltvExpiry, below: heightsEnd });
  if (height === undefined) return;
  // What a peer offers may expire at any height: lightningd fails it once it stands in both commitments (BOLT 4, expiry_too_far).
  for (const { side, cltvExpiry } of htlcs)
    if (
      side === 'local' &&
      (cltvExpiry + settings.maxCltvBlocks < height || cltvExpiry > height + settings.maxCltvBlocks)
    )
      scope.broken('policy-commitment-htlc-cltv-range', { expiry: cltvExpiry, height });
}
