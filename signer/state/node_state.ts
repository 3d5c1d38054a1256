/** What the signer remembers of the node as a whole: approvals, payments, velocity, forgotten channels. */

/** What the owner said yes to. Amounts msat; times Unix seconds. */
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

/** Spending counted against a limit a day: leaks away evenly. */
export interface Bucket {
  readonly used: bigint;
  /** Unix seconds of the last change. */
  readonly at: number;
}

export const buckets = ['payments', 'onchain', 'unlisted'] as const;
export type BucketName = (typeof buckets)[number];

export interface NodeState {
  /** The highest dbid forgotten: none at or below it opens again. */
  readonly forgottenDbid: bigint;
  /** By kind and hash or script. */
  readonly approvals: ReadonlyMap<string, Approval>;
  readonly buckets: { readonly [B in BucketName]: Bucket };
  /** The highest wallet key index lightningd ever named. */
  readonly walletIndex: number;
}

const empty: Bucket = { used: 0n, at: 0 };

export const freshNode: NodeState = {
  forgottenDbid: 0n,
  approvals: new Map(),
  buckets: { payments: empty, onchain: empty, unlisted: empty },
  walletIndex: 0,
};

const day = 86_400n;

/** What a bucket holds now, when `perDay` leaks out of it in a day. */
export function level({ used, at }: Bucket, perDay: bigint, now: number): bigint {
  const leaked = (perDay * BigInt(Math.max(0, now - at))) / day;
  return used > leaked ? used - leaked : 0n;
}

/** The bucket with `amount` more in it; undefined where that is above `perDay`. */
export function pour(bucket: Bucket, amount: bigint, perDay: bigint, now: number): Bucket | undefined {
  const used = level(bucket, perDay, now) + amount;
  return used > perDay ? undefined : { used, at: now };
}

export function paymentKey(hash: string): string {
  return `payment/${hash}`;
}

export function outputKey(script: string): string {
  return `output/${script}`;
}

/** The node with an approval added, or replaced by one with more to use. */
export function withApproval(node: NodeState, approval: Approval): NodeState {
  const key = approval.kind === 'payment' ? paymentKey(approval.hash) : outputKey(approval.script);
  return { ...node, approvals: new Map(node.approvals).set(key, approval) };
}
