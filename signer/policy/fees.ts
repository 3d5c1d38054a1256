/** What transactions weigh once they are signed, and what they may cost. Fees are satoshi, feerates satoshi per 1000 weight. */

import { serializeTransaction, type Transaction, type TxOutput } from '../../proto/bitcoin/tx.ts';
import { isP2tr, isP2wpkh } from '../bitcoin/script.ts';
import type { Settings } from './settings.ts';

/** Policy of Bitcoin Core: what is larger is not relayed. */
export const standardWeight = 400_000;

/** BIP 141's marker and flag. */
const marker = 2;
/** Counts and lengths with a signature of 72 bytes and its type: with a key, on a key path, for 2-of-2 with both keys. */
const witnessWeight = { p2wpkh: 108, p2tr: 66, other: 222 } as const;

/** Outputs below these are not relayed: P2WSH's and P2TR's dust at 3 sat per vbyte, and P2WPKH's. */
export const leastOutput = 330n;
export const leastP2wpkh = 294n;

function witnessOf(spent: TxOutput | undefined): number {
  if (spent === undefined) return witnessWeight.other;
  if (isP2wpkh(spent.script)) return witnessWeight.p2wpkh;
  return isP2tr(spent.script) ? witnessWeight.p2tr : witnessWeight.other;
}

/** The weight of a transaction whose inputs spend these outputs, about as its signers make it. */
export function signedWeight(tx: Transaction, spent: readonly (TxOutput | undefined)[]): number {
  const stripped = serializeTransaction(tx, { witness: false }).length;
  const witnesses = tx.inputs.reduce((sum, _, i) => sum + witnessOf(spent[i]), 0);
  return 4 * stripped + marker + witnesses;
}

/** The most that a transaction of this weight may cost. */
export function mostFee({ maxFeeratePerkw }: Settings, weight: number): bigint {
  return (BigInt(maxFeeratePerkw) * BigInt(weight)) / 1000n;
}
