/** Splices as an attacker asks for them, of one channel or of several by one transaction. */

import { type Transaction, type TxOutput, txid } from '../../../proto/bitcoin/tx.ts';
import { toHex } from '../../../proto/bytes.ts';
import { fundingScript, p2wsh } from '../../../signer/bitcoin/script.ts';
import { segwitSighash } from '../../../signer/bitcoin/sighash.ts';
import type { Funding } from '../../../signer/lightning/channel.ts';
import { fundingSpent } from '../../../signer/lightning/commitment.ts';
import type { Purpose } from '../../../signer/policy/purpose.ts';
import { channeld, TestChannel } from './channel.ts';
import type { Terms } from './terms.ts';
import { output } from './transactions.ts';
import { lightningd, secp, type World } from './world.ts';

export const elsewhere = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x66));

export interface Splice {
  readonly tx: Transaction;
  readonly funding: Funding;
  /** How much less is ours, satoshi. */
  readonly ourLoss: bigint;
  /** By how much the peer's part grows, as setup_channel says it. */
  readonly theirGain: bigint;
}

/** A splice of channels by one transaction; each output of `outputs` beside the new fundings. */
export function spliceOf(
  channels: readonly { readonly channel: TestChannel; readonly value: bigint; readonly theirGain: bigint }[],
  outputs: readonly TxOutput[],
): readonly Splice[] {
  const tx: Transaction = {
    version: 2,
    inputs: channels.map(({ channel: { funding } }) => ({
      txid: funding.txid,
      vout: funding.vout,
      scriptSig: new Uint8Array(),
      sequence: 0xfffffffd,
      witness: [],
    })),
    outputs: [
      ...channels.map(({ channel, value }) =>
        output(p2wsh(fundingScript(channel.funding.localPubkey, channel.funding.remotePubkey)), value),
      ),
      ...outputs,
    ],
    locktime: 0,
  };
  const id = txid(tx);
  return channels.map(({ channel, value, theirGain }, vout) => ({
    tx,
    funding: { ...channel.funding, txid: id, vout, value },
    ourLoss: channel.funding.value - value + theirGain,
    theirGain,
  }));
}

export async function announce(channel: TestChannel, { funding, theirGain }: Splice): Promise<void> {
  const { txid: fundingTxid, vout: fundingTxout, value: channelValue } = funding;
  const pushValue = BigInt.asUintN(64, theirGain);
  await channel.sayWhatItIs({ fundingTxid, fundingTxout, channelValue, pushValue }, channeld);
}

/** Both sides' commitments of the new funding. */
export async function validate(channel: TestChannel, { funding, ourLoss, theirGain }: Splice): Promise<void> {
  const terms = (now: Terms): Terms => ({
    ...now,
    ours: now.ours - ourLoss * 1000n,
    theirs: now.theirs + theirGain * 1000n,
  });
  await channel.signOurs({ funding, terms, number: channel.numbers.local });
  await channel.signTheirs({ funding, terms, number: channel.numbers.remote });
}

/** sign_splice_tx; whether the signature is worth something is told by `isWorthless`. */
export async function sign(channel: TestChannel, { tx }: Splice, inputIndex = 0): Promise<Uint8Array> {
  const inputs = tx.inputs.map(({ txid: spent }) => {
    const funding = [channel.funding].find((each) => toHex(each.txid) === toHex(spent));
    const of = funding && fundingSpent(funding);
    return { previousTx: undefined, witnessUtxo: of && { amount: of.amount, script: of.script }, pairs: [] };
  });
  const psbt = { tx, globals: [], inputs, outputs: tx.outputs.map(() => []) };
  const request = { tx: { tx, psbt }, remoteFundingKey: channel.funding.remotePubkey, inputIndex };
  return (await channel.world.ask(channel.client(channeld), 'signSpliceTx', request)).sig.signature;
}

export const allowSplice = (world: World, most: bigint) => {
  world.answer = (purpose: Purpose) => purpose.kind === 'spliceOut' && purpose.amountSat <= most;
};

export const ours = (world: World) => TestChannel.open(world, { opener: 'us', value: 1_000_000n });

export const one = (channel: TestChannel, value: bigint, theirGain: bigint, outputs: readonly TxOutput[]) => {
  const [splice] = spliceOf([{ channel, value, theirGain }], outputs);
  if (splice === undefined) throw new Error('no splice');
  return splice;
};

export const forget = ({ world, peer, dbid }: TestChannel) =>
  world.ask(lightningd, 'forgetChannel', { peerId: peer.node.point, dbid });

export function spends(channel: TestChannel, { tx }: Pick<Splice, 'tx'>, signature: Uint8Array): boolean {
  const script = fundingScript(channel.funding.localPubkey, channel.funding.remotePubkey);
  return secp.verify(segwitSighash(tx, 0, script, channel.funding.value, 1), channel.funding.localPubkey, signature);
}
