/** What is said where a transaction is not the one rebuilt: the policy's tag for the part that differs, and facts. */

/** Tags of rules that rebuilding a transaction can find broken. */
export type MismatchTag =
  | 'policy-commitment-version'
  | 'policy-commitment-locktime'
  | 'policy-commitment-sequence'
  | 'policy-commitment-scripts'
  | 'policy-commitment-input-single'
  | 'policy-commitment-input-match-funding'
  | 'policy-commitment-singular-to-holder'
  | 'policy-commitment-singular-to-counterparty'
  | 'policy-commitment-no-unrecognized-outputs'
  | 'policy-commitment-outputs-trimmed'
  | 'policy-commitment-fee-range'
  | 'policy-commitment-htlc-count-limit'
  | 'policy-commitment-revocation-pubkey'
  | 'policy-commitment-broadcaster-pubkey'
  | 'policy-commitment-countersignatory-pubkey'
  | 'policy-commitment-to-self-delay-range'
  | 'policy-commitment-htlc-revocation-pubkey'
  | 'policy-commitment-htlc-holder-htlc-pubkey'
  | 'policy-commitment-htlc-counterparty-htlc-pubkey'
  | 'policy-commitment-anchors-not-when-off'
  | 'policy-commitment-anchor-to-holder'
  | 'policy-commitment-anchor-to-counterparty'
  | 'policy-commitment-anchor-amount'
  | 'policy-commitment-anchor-match-fundingkey'
  | 'policy-commitment-countersigned'
  | 'policy-htlc-version'
  | 'policy-htlc-locktime'
  | 'policy-htlc-sequence'
  | 'policy-htlc-revocation-pubkey'
  | 'policy-htlc-to-self-delay'
  | 'policy-htlc-delayed-pubkey'
  | 'policy-htlc-fee-range'
  | 'policy-htlc-format'
  | 'policy-mutual-format'
  | 'policy-mutual-destination-allowlisted'
  | 'policy-mutual-fee-range'
  | 'policy-sweep-version'
  | 'policy-sweep-locktime'
  | 'policy-sweep-sequence'
  | 'policy-sweep-format'
  | 'policy-sweep-fee-range';

/** Words and numbers for people and logs, amounts as bigint in satoshi; never a key, a hash or a payload. */
export type Facts = Readonly<Record<string, string | number | bigint>>;

export interface Mismatch {
  readonly ok: false;
  readonly tag: MismatchTag;
  readonly facts: Facts;
}

export function mismatch(tag: MismatchTag, facts: Facts = {}): Mismatch {
  return { ok: false, tag, facts };
}
