/**
 * Every rule of the validating signer, one a row: tag, severity, the sentence that must hold, and the requests it guards.
 * Tags are VLS's public ones where the rule is the same, so that operators can carry their filters over. docs/policy.md
 * has a section for each row, test/signer/policy a test that provokes it.
 */

import type { Call } from '../../proto/hsmd/calls.ts';

/** `refuse` answers no; `warn` logs and goes on, where the policy file says so. */
export type Severity = 'refuse' | 'warn';

export interface Rule {
  readonly severity: Severity;
  /** What must hold, in one sentence without its full stop. */
  readonly holds: string;
  readonly guards: readonly Call[];
}

function refuse(holds: string, ...guards: readonly Call[]): Rule {
  return { severity: 'refuse', holds, guards };
}

function warn(holds: string, ...guards: readonly Call[]): Rule {
  return { severity: 'warn', holds, guards };
}

const everyCommitment = ['signRemoteCommitmentTx', 'validateCommitmentTx', 'signCommitmentTx'] as const;
const newCommitment = ['signRemoteCommitmentTx', 'validateCommitmentTx'] as const;
const htlcTxs = ['signRemoteHtlcTx', 'signAnyLocalHtlcTx'] as const;
const sweeps = [
  'signDelayedPaymentToUs',
  'signRemoteHtlcToUs',
  'signPenaltyToUs',
  'signAnyDelayedPaymentToUs',
  'signAnyRemoteHtlcToUs',
  'signAnyPenaltyToUs',
] as const;
const walletTxs = ['signWithdrawal', 'signAnchorspend', 'signHtlcTxMingle'] as const;
const preapprovals = [
  'preapproveInvoice',
  'preapproveKeysend',
  'preapproveInvoiceCheck',
  'preapproveKeysendCheck',
] as const;

// biome-ignore format: one rule a row
export const rules = {
  // channel
  'policy-channel-original-channel-id-reuse': refuse('a channel number that was forgotten is not used again', 'newChannel', 'setupChannel'),
  'policy-channel-max-channels': refuse('no more channels at once than max_channels', 'newChannel', 'setupChannel'),
  'policy-channel-safe-type': refuse('the channel type has static_remotekey, and anchors only in the zero-fee form', 'setupChannel'),
  'policy-channel-contest-delay-range-holder': refuse('the delay the peer puts on us is within bounds', 'setupChannel'),
  'policy-channel-contest-delay-range-counterparty': refuse('the delay we put on the peer is within bounds', 'setupChannel'),
  'policy-channel-setup-consistent': refuse('a channel is set up before it is used, and its basepoints, delays and type never change', 'setupChannel', 'signRemoteCommitmentTx', 'validateCommitmentTx'),
  'policy-funding-max': refuse('the channel is worth no more than max_channel_sat', 'setupChannel', 'signRemoteCommitmentTx'),
  // on-chain
  'policy-onchain-format-standard': refuse('the transaction has version 2 and standard scripts', 'signWithdrawal'),
  'policy-onchain-max-size': refuse('the transaction is no larger than a standard one may be', 'signWithdrawal'),
  'policy-onchain-funding-non-malleable': refuse('a transaction that funds a channel has segwit inputs only', 'signWithdrawal'),
  'policy-onchain-output-scriptpubkey': refuse("a funding output is the 2-of-2 of this channel's two different funding keys", 'signWithdrawal'),
  'policy-onchain-output-match-commitment': refuse('a funding output has the value its channel was set up with', 'signWithdrawal'),
  'policy-onchain-initial-commitment-countersigned': refuse('the first commitment is validated before the funding is signed', 'signWithdrawal'),
  'policy-onchain-no-channel-push': refuse('nothing is pushed to the peer at opening without approval', 'signWithdrawal', 'setupChannel'),
  'policy-onchain-no-unknown-outputs': refuse("each output is ours, allowlisted, a channel's funding, or approved with its amount", ...walletTxs),
  'policy-onchain-no-fund-inbound': refuse('in a transaction made with a peer we put in no more than our share', 'signWithdrawal'),
  'policy-onchain-fee-range': refuse('the fee is within the feerate bounds and below what it saves', ...walletTxs),
  'policy-onchain-velocity': refuse('no more than onchain_sat_per_day leaves without approval', 'signWithdrawal'),
  'policy-onchain-input-ours': refuse('an input called ours pays our script, and its amount is covered by the signature', ...walletTxs),
  'policy-onchain-signed-request': refuse("value leaves the wallet only for the owner's request, approval or allowlist", 'signWithdrawal'),
  // commitment
  'policy-commitment-version': refuse('the version is 2', ...everyCommitment),
  'policy-commitment-locktime': refuse('the locktime holds the obscured commitment number', ...everyCommitment),
  'policy-commitment-sequence': refuse('the sequence holds the obscured commitment number', ...everyCommitment),
  'policy-commitment-scripts': refuse("every script is the one BOLT 3 builds from the channel's keys", ...everyCommitment),
  'policy-commitment-input-single': refuse('there is exactly one input', ...everyCommitment),
  'policy-commitment-input-match-funding': refuse('the input is a live funding output of the channel', ...everyCommitment),
  'policy-commitment-singular-to-holder': refuse('there is at most one output to us', ...newCommitment),
  'policy-commitment-singular-to-counterparty': refuse('there is at most one output to the peer', ...newCommitment),
  'policy-commitment-no-unrecognized-outputs': refuse('there is no output that BOLT 3 does not know', ...newCommitment),
  'policy-commitment-revocation-pubkey': refuse('to_local carries the revocation key of this commitment', ...newCommitment),
  'policy-commitment-broadcaster-pubkey': refuse("to_local carries the owner's delayed key", ...newCommitment),
  'policy-commitment-countersignatory-pubkey': refuse("to_remote carries the other side's payment key", ...newCommitment),
  'policy-commitment-to-self-delay-range': refuse('to_local carries the delay agreed at setup', ...newCommitment),
  'policy-commitment-htlc-revocation-pubkey': refuse('HTLC scripts carry the revocation key', ...newCommitment),
  'policy-commitment-htlc-holder-htlc-pubkey': refuse('HTLC scripts carry our HTLC key', ...newCommitment),
  'policy-commitment-htlc-counterparty-htlc-pubkey': refuse("HTLC scripts carry the peer's HTLC key", ...newCommitment),
  'policy-commitment-anchors-not-when-off': refuse('there is no anchor where the channel has none', ...newCommitment),
  'policy-commitment-anchor-to-holder': refuse('our anchor is there when it must be', ...newCommitment),
  'policy-commitment-anchor-to-counterparty': refuse("the peer's anchor is there when it must be", ...newCommitment),
  'policy-commitment-anchor-amount': refuse('an anchor has 330 satoshi', ...newCommitment),
  'policy-commitment-anchor-match-fundingkey': refuse('an anchor is of a funding key', ...newCommitment),
  'policy-commitment-outputs-trimmed': refuse('no output is below dust, and what is trimmed is no more than dust allows', ...newCommitment),
  'policy-commitment-htlc-count-limit': refuse('no more HTLCs at once than max_htlcs', ...newCommitment),
  'policy-commitment-htlc-inflight-limit': refuse('no more value in flight than max_in_flight_sat', ...newCommitment),
  'policy-commitment-fee-range': refuse("the commitment's feerate is within bounds", ...newCommitment),
  'policy-commitment-first-no-htlcs': refuse('commitment 0 has no HTLCs', ...newCommitment),
  'policy-commitment-initial-funding-value': refuse('commitment 0 gives each side what it put in', ...newCommitment),
  'policy-commitment-htlc-cltv-range': refuse('an HTLC that we offer expires within the window around the known height', ...newCommitment),
  'policy-commitment-previous-revoked': refuse('commitment N is signed only after the peer revoked N-2 with the right secret', 'signRemoteCommitmentTx', 'validateRevocation'),
  'policy-commitment-retry-same': refuse('a number is signed again for a funding only with the same content and point', ...newCommitment),
  'policy-commitment-holder-not-revoked': refuse('our own commitment is not signed once it is revoked', 'signCommitmentTx', 'validateCommitmentTx', 'signAnyLocalHtlcTx'),
  'policy-commitment-countersigned': refuse("the peer's signatures on our commitment and its HTLCs verify", 'validateCommitmentTx'),
  'policy-commitment-balance': refuse('our balance falls only by what was fulfilled, agreed fees, pushes and splices', ...newCommitment),
  'policy-routing-balance': refuse('for a payment hash no more goes out than came in, was approved, and the fee budget allows', ...newCommitment),
  'policy-payment-once': refuse('an approval pays once', ...newCommitment),
  'policy-routing-cltv-delta': refuse('a forwarded HTLC leaves us time between its two expiries', ...newCommitment),
  'policy-commitment-payment-velocity': refuse('no more than payments_msat_per_day is paid without approval', ...preapprovals, 'signRemoteCommitmentTx'),
  'policy-commitment-payment-approved': refuse('a payment was asked for by the owner, approved, or is within automatic limits', ...preapprovals, 'signRemoteCommitmentTx'),
  'policy-invoice-not-expired': refuse('an invoice is paid before it expires', 'preapproveInvoice', 'preapproveInvoiceCheck'),
  'policy-invoice-amount': refuse('an invoice is paid with its amount, or with the amount the owner gave', 'preapproveInvoice', 'preapproveInvoiceCheck'),
  // revocation
  'policy-revoke-new-commitment-signed': refuse('commitment N is revoked only after N+1 was validated for every live funding', 'revokeCommitmentTx'),
  'policy-channel-frozen': refuse('nothing moves a channel on that ended in the chain, or whose node holds a commitment of ours that was refused', 'setupChannel', 'signRemoteCommitmentTx', 'signRemoteHtlcTx', 'validateCommitmentTx', 'revokeCommitmentTx', 'signMutualCloseTx', 'signSpliceTx'),
  'policy-revoke-not-closed': refuse('nothing is revoked or renewed once a close was signed', 'revokeCommitmentTx', 'validateCommitmentTx'),
  'policy-per-commitment-point-ahead': refuse('points are given no further ahead than the protocol needs', 'getPerCommitmentPoint'),
  // HTLC transactions
  'policy-htlc-version': refuse('the version is 2', ...htlcTxs),
  'policy-htlc-locktime': refuse("the locktime is the HTLC's expiry, or 0 for a success", ...htlcTxs),
  'policy-htlc-sequence': refuse('the sequence is 1 with anchors, else 0', ...htlcTxs),
  'policy-htlc-revocation-pubkey': refuse('the output carries the revocation key', ...htlcTxs),
  'policy-htlc-to-self-delay': refuse('the output carries the delay agreed at setup', ...htlcTxs),
  'policy-htlc-delayed-pubkey': refuse("the output carries the owner's delayed key", ...htlcTxs),
  'policy-htlc-fee-range': refuse("the fee is the one the commitment's feerate makes", ...htlcTxs),
  'policy-htlc-format': refuse('it spends an HTLC of a signed commitment and nothing else', ...htlcTxs),
  // closes
  'policy-mutual-destination-allowlisted': refuse('our part of a close goes to us, to what was agreed at setup, or to the allowlist', 'setupChannel', 'signMutualCloseTx'),
  'policy-mutual-value-matches-commitment': refuse('our part of a close is our balance less the fee', 'signMutualCloseTx'),
  'policy-mutual-fee-range': refuse("the close's fee is within bounds", 'signMutualCloseTx'),
  'policy-mutual-no-pending-htlcs': refuse('no HTLC is pending at a close', 'signMutualCloseTx'),
  'policy-mutual-format': refuse("the close is of one of BOLT 2's two forms", 'signMutualCloseTx'),
  // splices
  'policy-splice-input-match-funding': refuse('the input is a live funding output of the channel', 'signSpliceTx'),
  'policy-splice-balance': refuse("what leaves the channel in a splice is ours to give, approved, or the peer's own", 'signSpliceTx'),
  'policy-splice-new-funding-validated': refuse("a splice is signed for good only after the new funding's commitment is validated", 'signSpliceTx'),
  'policy-splice-destination': refuse("outputs of a splice are the new funding, ours, the peer's own, or approved", 'signSpliceTx'),
  // sweeps
  'policy-sweep-version': refuse('the version is 2', ...sweeps),
  'policy-sweep-locktime': refuse('the locktime is no later than needed', ...sweeps),
  'policy-sweep-sequence': refuse('the sequence is the one the script needs', ...sweeps),
  'policy-sweep-format': refuse('one input, one output', ...sweeps),
  'policy-sweep-destination-allowlisted': refuse('what is swept goes to our wallet or the allowlist', ...sweeps),
  'policy-sweep-fee-range': refuse('the fee is within bounds and below what it saves', ...sweeps),
  // chain, start, anchors, leases, messages
  'policy-chain-outpoint-buried': refuse('an outpoint is buried as deep as needed before it is locked or has HTLCs, as far as the chain feed proves', 'checkOutpoint', 'lockOutpoint', ...newCommitment),
  'policy-init': refuse('init is for the network and keys this signer was set up for, without forced secrets outside test networks', 'init', 'devPreinit'),
  'policy-anchor-input': refuse('the funding key signs nothing but the anchor of a known commitment', 'signAnchorspend'),
  'policy-lease': refuse("lease terms are within the owner's, a lease delay within 4032 blocks", 'signOptionWillFundOffer', 'signRemoteCommitmentTx', 'validateCommitmentTx'),
  'policy-invoice-signed-request': warn('an invoice is the one its owner asked for', 'signInvoice'),
  'policy-invoice-format': refuse('what is signed as an invoice begins like one of this network', 'signInvoice'),
  'policy-gossip-format': refuse('gossip is of this network, about our own node and channel', 'cannouncementSig', 'signAnyCannouncement', 'nodeAnnouncementSig', 'cupdateSig'),
  'policy-message-no-spoof': refuse("nothing is signed or derived that could pass for a challenge or a secret of the signer's own", 'signMessage', 'bip137SignMessage', 'deriveSecret'),
} as const satisfies { readonly [tag: `policy-${string}`]: Rule };

export type Tag = keyof typeof rules;

export function isTag(text: string): text is Tag {
  return Object.hasOwn(rules, text);
}
