/**
 * The inputs that a request calls ours: that our keys made the scripts they spend, and that a signature over them covers
 * what they are worth. Amounts are satoshi.
 */

import type { Psbt, PsbtPair } from '../../proto/bitcoin/psbt.ts';
import { inputFields } from '../../proto/bitcoin/psbt_fields.ts';
import { sighashType, spentOutput } from '../../proto/bitcoin/psbt_input.ts';
import { type TxOutput, txid } from '../../proto/bitcoin/tx.ts';
import { equalBytes } from '../../proto/bytes.ts';
import type { Utxo } from '../../proto/hsmd/fields.ts';
import { isP2tr, p2wpkh, p2wsh, toRemoteAnchoredScript } from '../bitcoin/script.ts';
import { sighash } from '../bitcoin/sighash.ts';
import type { Context } from '../context.ts';
import { derivedPubkey } from '../lightning/keys.ts';
import type { Outpoint } from '../state/channel_state.ts';
import { outpointOf } from './commitment.ts';
import { scriptsOf } from './our_scripts.ts';
import type { Scope } from './scope.ts';

export interface WalletInput extends TxOutput {
  readonly index: number;
  readonly outpoint: Outpoint;
}

interface Owned {
  /** The key that signs, 33 bytes. */
  readonly point: Uint8Array;
  readonly scripts: readonly Uint8Array[];
}

/** The key that lightning_hsmd would sign with, and the scripts it makes: the wallet's, or what a peer's close left us. */
function owned(context: Context, { closeInfo, keyindex }: Utxo): Owned | undefined {
  const { secp, keys } = context;
  if (closeInfo === undefined) {
    if (keyindex >= 0x80000000) return undefined;
    const key = keys.walletKey(keyindex);
    return { point: key.point, scripts: scriptsOf(context, key) };
  }
  const { peerId, channelDbid, commitmentPoint, optionAnchors, csv } = closeInfo;
  const { payment } = keys.channel(peerId, channelDbid);
  const point = commitmentPoint === undefined ? payment.point : derivedPubkey(secp, payment.point, commitmentPoint);
  return { point, scripts: [optionAnchors ? p2wsh(toRemoteAnchoredScript(point, csv)) : p2wpkh(point)] };
}

const origins: ReadonlySet<number> = new Set([inputFields.bip32Derivation.type, inputFields.tapBip32Derivation.type]);

function xOf(key: Uint8Array): Uint8Array {
  return key.length === 32 ? key : key.subarray(1, 33);
}

/** Whether an input lists a key, in any form libwally would take for it: then that key signs the input. */
export function listsKey(pairs: readonly PsbtPair[], point: Uint8Array): boolean {
  return pairs.some(({ type, key }) => origins.has(type) && equalBytes(xOf(key), xOf(point)));
}

/** An input's signature covers all outputs and inputs. */
export function signsAll(psbt: Psbt, index: number): boolean {
  const input = psbt.inputs[index];
  const type = input === undefined ? 0 : sighashType(input);
  return type === sighash.default || type === sighash.all;
}

/** The inputs that spend one of `utxos`. Each of them is checked; others must not list a key that is about to sign. */
export function claimedInputs(scope: Scope, utxos: readonly Utxo[], psbt: Psbt): readonly WalletInput[] {
  const claimed: WalletInput[] = [];
  const points: Uint8Array[] = [];
  const notOurs = (input: number, differs: string) => scope.broken('policy-onchain-input-ours', { input, differs });
  for (const [index, input] of psbt.tx.inputs.entries()) {
    const utxo = utxos.find(({ txid, vout }) => vout === input.vout && equalBytes(txid, input.txid));
    if (utxo === undefined) continue;
    const ours = owned(scope.context, utxo);
    const spent = spentOutput(psbt, index);
    if (ours === undefined || spent === undefined || !ours.scripts.some((script) => equalBytes(script, spent.script)))
      notOurs(index, 'script');
    if (spent?.amount !== utxo.amount) notOurs(index, 'amount');
    if (!signsAll(psbt, index)) notOurs(index, 'sighash type');
    if (ours !== undefined) points.push(ours.point);
    claimed.push({
      index,
      outpoint: outpointOf(input),
      amount: utxo.amount,
      script: spent?.script ?? utxo.scriptpubkey,
    });
  }
  for (const [index, { pairs }] of psbt.inputs.entries())
    if (claimed.every((each) => each.index !== index) && points.some((point) => listsKey(pairs, point)))
      notOurs(index, 'it is not called ours, but lists our key');
  return claimed;
}

/** Whether the PSBT has the transaction that made the output which input `index` spends. */
function isProven(psbt: Psbt, index: number): boolean {
  const input = psbt.tx.inputs[index];
  const previous = psbt.inputs[index]?.previousTx;
  const spent = spentOutput(psbt, index);
  if (input === undefined || previous === undefined || spent === undefined) return false;
  const made = previous.outputs[input.vout];
  const isSame = made !== undefined && made.amount === spent.amount && equalBytes(made.script, spent.script);
  return isSame && equalBytes(txid(previous), input.txid);
}

/**
 * A segwit signature commits to what its own input is worth, and to no other: asked twice with a lie about another one
 * each time, a signer would give the halves of a transaction it never saw. So the amounts of `claimed` and of `others`
 * (by index) must be proven, unless there is only one or one of our signatures is taproot's, which covers them all.
 */
export function checkAmounts(
  scope: Scope,
  psbt: Psbt,
  claimed: readonly WalletInput[],
  others: readonly number[] = [],
): void {
  const counted = [...claimed.map(({ index }) => index), ...others];
  if (counted.length < 2 || claimed.some(({ script }) => isP2tr(script))) return;
  for (const index of counted)
    if (!isProven(psbt, index))
      scope.broken('policy-onchain-input-ours', { input: index, differs: 'the transaction it spends is not shown' });
}
