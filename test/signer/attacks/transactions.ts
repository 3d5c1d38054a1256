/** Requests about transactions other than commitments, with the PSBTs that lightningd sends beside them. */

import type { Psbt, PsbtOutput } from '../../../proto/bitcoin/psbt.ts';
import { globalFields, inputFields } from '../../../proto/bitcoin/psbt_fields.ts';
import { writeMap } from '../../../proto/bitcoin/psbt_map.ts';
import { LeWriter } from '../../../proto/bitcoin/stream.ts';
import { serializeTransaction, type Transaction, type TxOutput, writeOutput } from '../../../proto/bitcoin/tx.ts';
import { concat } from '../../../proto/bytes.ts';
import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import { octets, Writer } from '../../../proto/hsmd/codec.ts';
import type { TxWithPsbt, Utxo } from '../../../proto/hsmd/fields.ts';
import { p2wpkh } from '../../../signer/bitcoin/script.ts';
import type { NodeKeys } from '../../../signer/keys/node_keys.ts';
import type { Funding } from '../../../signer/lightning/channel.ts';
import { buildClose, type CloseForm } from '../../../signer/lightning/closing.ts';
import { fundingSpent } from '../../../signer/lightning/commitment.ts';
import type { Commitment } from '../../../signer/lightning/recognise.ts';
import { type Spent, unsignedPsbt } from '../../../signer/lightning/unsigned_psbt.ts';
import { closingd, onchaind, type TestChannel } from './channel.ts';
import { asRequest } from './terms.ts';
import { lightningd } from './world.ts';

export function output(script: Uint8Array, amount: bigint): TxOutput {
  return { script, amount };
}

/** P2WPKH of a wallet key. */
export function walletScript(keys: NodeKeys, index: number): Uint8Array {
  return p2wpkh(keys.walletKey(index).point);
}

function withPsbt(tx: Transaction, spent: Spent): TxWithPsbt {
  return {
    tx,
    psbt: unsignedPsbt(
      tx,
      spent,
      {},
      tx.outputs.map(() => undefined),
    ),
  };
}

/** A transaction and its PSBT as bytes, also where no honest writer would write them. */
function rawTx({ tx, psbt }: TxWithPsbt): Uint8Array {
  const bytes = serializeTransaction(tx);
  const w = new LeWriter();
  w.put(Uint8Array.of(0x70, 0x73, 0x62, 0x74, 0xff));
  const none = new Uint8Array();
  writeMap(w, [{ type: globalFields.unsignedTx.type, key: none, value: bytes }]);
  for (const { witnessUtxo, pairs } of psbt.inputs) {
    const spent = new LeWriter();
    if (witnessUtxo !== undefined) writeOutput(spent, witnessUtxo);
    writeMap(w, [{ type: inputFields.witnessUtxo.type, key: none, value: spent.finish() }, ...pairs]);
  }
  for (const pairs of psbt.outputs) writeMap(w, pairs);
  const message = new Writer();
  for (const part of [bytes, w.finish()]) {
    message.u32(part.length);
    message.put(part);
  }
  return message.finish();
}

/** sign_mutual_close_tx as bytes. */
export function rawClose(channel: TestChannel, outputs: readonly TxOutput[]): Promise<Uint8Array> {
  const tx = withPsbt(buildClose(channel.funding, 'legacy', 0, outputs), fundingSpent(channel.funding));
  const bytes = concat(Uint8Array.of(0, 21), rawTx(tx), channel.funding.remotePubkey);
  return channel.world.askBytes(channel.client(closingd), bytes);
}

/** sign_mutual_close_tx of a channel's funding, or another one. */
export function closeTogether(
  channel: TestChannel,
  outputs: readonly TxOutput[],
  { funding = channel.funding, form = 'legacy' }: { readonly funding?: Funding; readonly form?: CloseForm } = {},
) {
  const tx = buildClose(funding, form, 0, outputs);
  return channel.world.ask(channel.client(closingd), 'signMutualCloseTx', {
    tx: withPsbt(tx, fundingSpent(funding)),
    remoteFundingKey: funding.remotePubkey,
  });
}

/** sign_commitment_tx. */
export function closeAlone(channel: TestChannel, commitment: Commitment, commitNum = commitment.number) {
  return channel.world.ask(lightningd, 'signCommitmentTx', {
    peerId: channel.peer.node.point,
    dbid: channel.dbid,
    tx: asRequest(commitment),
    remoteFundingKey: commitment.funding.remotePubkey,
    commitNum,
  });
}

/** sign_delayed_payment_to_us of what one of our commitments pays us, as bytes. */
export function sweepDelayed(channel: TestChannel, commitment: Commitment, to: TxOutput): Promise<Uint8Array> {
  const vout = commitment.outputs.findIndex(({ role }) => role.kind === 'toOwner');
  const spent = commitment.outputs[vout];
  if (spent?.witnessScript === undefined) throw new Error('nothing is ours in this commitment');
  const { witnessScript, amount, script } = spent;
  const sequence = channel.setup.remoteToSelfDelay;
  const tx: Transaction = {
    version: 2,
    inputs: [{ txid: commitment.txid, vout, scriptSig: new Uint8Array(), sequence, witness: [] }],
    outputs: [to],
    locktime: 0,
  };
  const w = new Writer();
  w.u16(12);
  w.u64(commitment.number);
  w.put(rawTx(withPsbt(tx, { amount, script, witnessScript })));
  octets.write(w, witnessScript);
  return channel.world.askBytes(channel.client(onchaind), w.finish());
}

/** An output of the wallet, as lightningd lists it. */
export function utxo(keys: NodeKeys, index: number, txid: Uint8Array, amount: bigint, vout = 0): Utxo {
  return { txid, vout, amount, keyindex: index, scriptpubkey: walletScript(keys, index), closeInfo: undefined };
}

/** sign_withdrawal's fields: all inputs are the wallet's. */
export function withdrawal(
  inputs: readonly Utxo[],
  outputs: readonly TxOutput[],
  previous: readonly Transaction[] = [],
): RequestOf<'signWithdrawal'> {
  const tx: Transaction = {
    version: 2,
    inputs: inputs.map(({ txid, vout }) => ({
      txid,
      vout,
      scriptSig: new Uint8Array(),
      sequence: 0xfffffffd,
      witness: [],
    })),
    outputs,
    locktime: 0,
  };
  const psbt: Psbt = {
    tx,
    globals: [],
    inputs: inputs.map(({ amount, scriptpubkey: script }, index) => ({
      previousTx: previous[index],
      witnessUtxo: { amount, script },
      pairs: [],
    })),
    outputs: outputs.map((): PsbtOutput => []),
  };
  return { inputs, psbt };
}
