/** What the owner said yes to, by payment hash (hex). */

/** Amounts msat, times Unix seconds. */
export interface Approval {
  readonly amountMsat: bigint;
  readonly feeBudgetMsat: bigint;
  /** HTLCs are made before. */
  readonly expires: number;
  /** Until then the same payment may be asked for again: used or not, it is remembered. */
  readonly until: number;
  readonly usesLeft: number;
  /** It was given for the HTLCs there were by then, without an invoice: for more of them the owner may be asked again. */
  readonly soFar?: true | undefined;
}
