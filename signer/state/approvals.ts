/**
 * What the owner said yes to, as a value that changes cheaply: the many that were there, and the few that a request
 * added, used or dropped. Each is an entry of its own in the store.
 */

/** Amounts msat or satoshi as named; times Unix seconds. */
export type Approval =
  | {
      readonly kind: 'payment';
      /** Hex of the payment hash. */
      readonly hash: string;
      readonly amountMsat: bigint;
      readonly feeBudgetMsat: bigint;
      readonly expires: number;
      readonly usesLeft: number;
    }
  | {
      readonly kind: 'output';
      /** Hex of the scriptPubKey. */
      readonly script: string;
      readonly amountSat: bigint;
      readonly expires: number;
      readonly usesLeft: number;
    };

export function paymentKey(hash: string): string {
  return `payment/${hash}`;
}

export function outputKey(script: string): string {
  return `output/${script}`;
}

export function approvalKey(approval: Approval): string {
  return approval.kind === 'payment' ? paymentKey(approval.hash) : outputKey(approval.script);
}

export class Approvals {
  readonly #held: ReadonlyMap<string, Approval>;
  /** Since `held`: undefined for one that is dropped. */
  readonly changed: ReadonlyMap<string, Approval | undefined>;

  constructor(held: ReadonlyMap<string, Approval>, changed: ReadonlyMap<string, Approval | undefined> = new Map()) {
    this.#held = held;
    this.changed = changed;
  }

  get(key: string): Approval | undefined {
    return this.changed.has(key) ? this.changed.get(key) : this.#held.get(key);
  }

  /** With this one added, or in place of the one under the same key. */
  with(approval: Approval): Approvals {
    return new Approvals(this.#held, new Map(this.changed).set(approvalKey(approval), approval));
  }

  /** Without the one under this key. */
  without(key: string): Approvals {
    return new Approvals(this.#held, new Map(this.changed).set(key, undefined));
  }
}
