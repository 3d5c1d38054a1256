/**
 * Value about to leave the wallet: allowed by the owner's limit a day, or asked about. What one transaction spends for one
 * purpose is allowed and counted once: it may be signed again.
 */

import { type BucketName, type NodeState, pour } from '../state/node_state.ts';
import type { Purpose } from './purpose.ts';
import type { Tag } from './rules.ts';
import type { Scope } from './scope.ts';

/** How many purposes are remembered as allowed. */
const remembered = 64;

/** Something that has to be allowed, and the rule that says no. */
export interface Wanted {
  readonly tag: Tag;
  readonly purpose: Extract<Purpose, { readonly kind: 'spend' | 'open' }>;
}

function keyOf(txid: string, purpose: Purpose | { readonly kind: 'fee'; readonly amountSat: bigint }): string {
  return `${txid} ${Object.values(purpose).join(' ')}`;
}

function poured(
  { settings, now }: Scope,
  node: NodeState,
  bucket: Extract<BucketName, 'onchain' | 'onchainFees'>,
  amountSat: bigint,
): NodeState | undefined {
  const perDay = bucket === 'onchain' ? settings.onchainSatPerDay : settings.onchainFeesSatPerDay;
  const filled = pour(node.buckets[bucket], amountSat, perDay, now);
  return filled && { ...node, buckets: { ...node.buckets, [bucket]: filled } };
}

/** Adds up what one transaction spends, and the node that results. */
export class Spending {
  readonly #scope: Scope;
  readonly #txid: string;
  #node: NodeState;

  /** `txid` in hex. */
  constructor(scope: Scope, txid: string) {
    this.#scope = scope;
    this.#txid = txid;
    this.#node = scope.state.node;
  }

  /** The node with all of it counted; the same object where nothing was. */
  get node(): NodeState {
    return this.#node;
  }

  /** Whether `amountSat` may leave: within what a day allows, or for a purpose that the owner says yes to. */
  async allows(purpose: Purpose, amountSat: bigint): Promise<boolean> {
    const key = keyOf(this.#txid, purpose);
    if (this.#node.recentSpends.includes(key)) return true;
    const automatic = poured(this.#scope, this.#node, 'onchain', amountSat);
    if (automatic === undefined && !(await this.#scope.approved(purpose))) return false;
    this.#remember(automatic ?? this.#node, key);
    return true;
  }

  /** Breaks the tag of each that may not leave, or the limit a day where the owner set one; all are asked about at once. */
  async require(wanted: readonly Wanted[]): Promise<void> {
    const { onchainSatPerDay } = this.#scope.settings;
    const toAsk: Wanted[] = [];
    for (const each of wanted) {
      const key = keyOf(this.#txid, each.purpose);
      if (this.#node.recentSpends.includes(key)) continue;
      const automatic = poured(this.#scope, this.#node, 'onchain', each.purpose.amountSat);
      if (automatic === undefined) toAsk.push(each);
      else this.#remember(automatic, key);
    }
    const refused = await this.#scope.refusedOf(toAsk.map(({ purpose }) => purpose));
    for (const { tag, purpose } of toAsk) {
      if (!refused.includes(purpose)) this.#remember(this.#node, keyOf(this.#txid, purpose));
      else {
        const broken = onchainSatPerDay > 0n ? 'policy-onchain-velocity' : tag;
        this.#scope.broken(broken, { amount: purpose.amountSat, perDay: onchainSatPerDay });
      }
    }
  }

  /** Counts a fee against what a day's fees may be. */
  payFee(amountSat: bigint): void {
    const key = keyOf(this.#txid, { kind: 'fee', amountSat });
    if (amountSat <= 0n || this.#node.recentSpends.includes(key)) return;
    const counted = poured(this.#scope, this.#node, 'onchainFees', amountSat);
    if (counted === undefined)
      this.#scope.broken('policy-onchain-velocity', {
        fee: amountSat,
        perDay: this.#scope.settings.onchainFeesSatPerDay,
      });
    else this.#remember(counted, key);
  }

  #remember(node: NodeState, key: string): void {
    this.#node = { ...node, recentSpends: [...node.recentSpends, key].slice(-remembered) };
  }
}
