/** A splice of one channel, step by step: the transaction, what setup_channel says of it, its commitments, its signature. */

import { type Transaction, type TxOutput, txid } from '../../../proto/bitcoin/tx.ts';
import { fundingScript, p2wsh } from '../../../signer/bitcoin/script.ts';
import type { Funding } from '../../../signer/lightning/channel.ts';
import { fundingSpent } from '../../../signer/lightning/commitment.ts';
import type { Commitment } from '../../../signer/lightning/recognise.ts';
import { channeld, type TestChannel } from './channel.ts';
import type { Terms } from './terms.ts';
import { output } from './transactions.ts';

export interface Splice {
  readonly tx: Transaction;
  readonly funding: Funding;
  /** What becomes more of each side's part, satoshi, negative for less. */
  readonly ours: bigint;
  readonly theirs: bigint;
  /** What somebody brings in, satoshi; 0 for no input but the funding. */
  readonly brought: bigint;
}

const foreign = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x77));

/** A splice that moves the two parts so; `outputs` stand behind the new funding. Somebody else brings what is missing. */
export function spliceOf(
  channel: TestChannel,
  ours: bigint,
  theirs: bigint,
  outputs: readonly TxOutput[] = [],
): Splice {
  const { funding } = channel;
  const value = funding.value + ours + theirs;
  const lacking = value + outputs.reduce((sum, { amount }) => sum + amount, 0n) - funding.value;
  const brought = lacking > 0n ? lacking : 0n;
  const input = { scriptSig: new Uint8Array(), sequence: 0xfffffffd, witness: [] };
  const tx: Transaction = {
    version: 2,
    inputs: [
      { ...input, txid: funding.txid, vout: funding.vout },
      ...(brought > 0n ? [{ ...input, txid: funding.txid.toReversed(), vout: 1 }] : []),
    ],
    outputs: [output(p2wsh(fundingScript(funding.localPubkey, funding.remotePubkey)), value), ...outputs],
    locktime: 0,
  };
  return { tx, funding: { ...funding, txid: txid(tx), vout: 0, value }, ours, theirs, brought };
}

/** setup_channel as channeld says it. */
export function announce(channel: TestChannel, { funding, theirs }: Splice): Promise<void> {
  const { txid: fundingTxid, vout: fundingTxout, value: channelValue } = funding;
  const pushValue = BigInt.asUintN(64, theirs);
  const localShutdownScript = new Uint8Array();
  const change = { fundingTxid, fundingTxout, channelValue, pushValue, localShutdownScript };
  return channel.sayWhatItIs(change, channeld);
}

/** The newest commitments of both sides once more, for the new funding. */
export async function commitTo(channel: TestChannel, { funding, ours, theirs }: Splice) {
  const terms = (owner: 'local' | 'remote') => (): Terms => {
    const now = channel.updates.terms(channel.updates.signed[owner]);
    return { ...now, ours: now.ours + ours * 1000n, theirs: now.theirs + theirs * 1000n };
  };
  const local: Commitment = await channel.signOurs({ funding, terms: terms('local'), number: channel.numbers.local });
  const remote: Commitment = await channel.signTheirs({
    funding,
    terms: terms('remote'),
    number: channel.numbers.remote,
  });
  return { local, remote };
}

/** sign_splice_tx. */
export async function signSplice(channel: TestChannel, { tx, brought }: Splice): Promise<void> {
  const { amount, script } = fundingSpent(channel.funding);
  const inputs = [
    { previousTx: undefined, witnessUtxo: { amount, script }, pairs: [] },
    ...(brought > 0n ? [{ previousTx: undefined, witnessUtxo: { amount: brought, script: foreign }, pairs: [] }] : []),
  ];
  const psbt = { tx, globals: [], inputs, outputs: tx.outputs.map(() => []) };
  const { remotePubkey: remoteFundingKey } = channel.funding;
  await channel.world.ask(channel.client(channeld), 'signSpliceTx', {
    tx: { tx, psbt },
    remoteFundingKey,
    inputIndex: 0,
  });
}

/** From setup_channel to lock_outpoint. */
export async function spliceAndLock(channel: TestChannel, splice: Splice): Promise<void> {
  await announce(channel, splice);
  const newest = await commitTo(channel, splice);
  await signSplice(channel, splice);
  await channel.lock(splice.funding, splice.ours, splice.theirs);
  for (const side of ['local', 'remote'] as const) {
    channel.commitments[side].splice(0, Number.POSITIVE_INFINITY, newest[side]);
    channel.reaches.set(newest[side], channel.updates.signed[side]);
  }
}
