/** A channel closed by one side, and the transactions with which lightningd takes a timed out HTLC back from it. */

import type { Psbt } from '../../../proto/bitcoin/psbt.ts';
import { type Transaction, txid } from '../../../proto/bitcoin/tx.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { ExpectedOutput } from '../../../signer/chain/view.ts';
import type { Side } from '../../../signer/lightning/channel.ts';
import { htlcTransactions } from '../../../signer/lightning/htlc_tx.ts';
import type { CommitmentOutput } from '../../../signer/lightning/outputs.ts';
import type { Commitment } from '../../../signer/lightning/recognise.ts';
import { unsignedPsbt } from '../../../signer/lightning/unsigned_psbt.ts';
import type { TestChannel } from './channel.ts';
import { closeAlone, output, utxo, walletScript } from './transactions.ts';
import { lightningd } from './world.ts';

/** What a proof of this output would show. */
export function outputOf(tx: Transaction, vout = 0): ExpectedOutput {
  const { amount: value = 0n, script = new Uint8Array() } = tx.outputs[vout] ?? {};
  return { txid: txid(tx), vout, value, script };
}

/** The newest commitment of a side. */
export function newest(channel: TestChannel, owner: Side): Commitment {
  const commitment = channel.commitments[owner].at(-1);
  if (commitment === undefined) throw new Error('the channel has no commitment');
  return commitment;
}

function on({ peer, dbid }: TestChannel) {
  return { peerId: peer.node.point, dbid } as const;
}

/** The output of a commitment that an HTLC has. */
export function outputFor(
  { outputs }: Commitment,
  htlc: Htlc,
): CommitmentOutput & { readonly vout: number; readonly witnessScript: Uint8Array } {
  for (const [vout, each] of outputs.entries()) {
    const { role, witnessScript } = each;
    if (role.kind === 'htlc' && role.htlc === htlc && witnessScript !== undefined)
      return { ...each, witnessScript, vout };
  }
  throw new Error('the commitment has no such HTLC');
}

/** sign_any_local_htlc_tx of an HTLC in a commitment of ours. */
export async function takeFromOurs(
  channel: TestChannel,
  htlc: Htlc,
  commitment = newest(channel, 'local'),
): Promise<Transaction> {
  const found = htlcTransactions(commitment).find((each) => each.htlc === htlc);
  if (found === undefined) throw new Error('the HTLC has no transaction');
  const { tx, psbt, witnessScript: wscript } = found;
  const optionAnchorOutputs = commitment.channel.anchors;
  const request = { commitNum: commitment.number, tx: { tx, psbt }, wscript, optionAnchorOutputs, input: 0 };
  await channel.world.ask(lightningd, 'signAnyLocalHtlcTx', { ...request, ...on(channel) });
  return tx;
}

/**
 * sign_htlc_tx_mingle: the same with an input of the wallet beside it. What a hostile host may change is the commitment's
 * output that it spends, and what it is paired with.
 */
export async function takeWithFee(
  channel: TestChannel,
  htlc: Htlc,
  hostile: { readonly vout?: number; readonly locktime?: number; readonly amount?: bigint } = {},
): Promise<Transaction> {
  const { keys } = channel.world;
  const alone = htlcTransactions(newest(channel, 'local')).find((each) => each.htlc === htlc);
  const [input] = alone?.tx.inputs ?? [];
  const [paired] = alone?.tx.outputs ?? [];
  if (alone === undefined || input === undefined || paired === undefined)
    throw new Error('the HTLC has no transaction');
  const fee = utxo(keys, 3, new Uint8Array(32).fill(7), 50_000n);
  const ofWallet = { txid: fee.txid, vout: fee.vout, scriptSig: new Uint8Array(), sequence: 0xfffffffd, witness: [] };
  const tx: Transaction = {
    ...alone.tx,
    inputs: [{ ...input, vout: hostile.vout ?? input.vout }, ofWallet],
    outputs: [{ ...paired, amount: hostile.amount ?? paired.amount }, output(walletScript(keys, 4), 45_000n)],
    locktime: hostile.locktime ?? alone.tx.locktime,
  };
  const psbt: Psbt = {
    ...alone.psbt,
    tx,
    inputs: [
      ...alone.psbt.inputs,
      { previousTx: undefined, witnessUtxo: { amount: fee.amount, script: fee.scriptpubkey }, pairs: [] },
    ],
    outputs: [...alone.psbt.outputs, []],
  };
  await channel.world.ask(lightningd, 'signHtlcTxMingle', { inputs: [fee], psbt, ...on(channel) });
  return tx;
}

/** What may differ in sign_any_remote_htlc_to_us. Satoshi; `claimed` is what the PSBT says that the HTLC's output has. */
interface Taking {
  readonly fee?: bigint;
  readonly claimed?: bigint;
  readonly commitment?: Commitment;
}

/** sign_any_remote_htlc_to_us of an HTLC in a commitment of the peer's, the newest if none is given. */
export async function takeFromTheirs(
  channel: TestChannel,
  htlc: Htlc,
  { fee = 1000n, claimed, commitment = newest(channel, 'remote') }: Taking = {},
): Promise<Transaction> {
  const spent = outputFor(commitment, htlc);
  const { anchors } = commitment.channel;
  const tx: Transaction = {
    version: 2,
    inputs: [
      {
        txid: commitment.txid,
        vout: spent.vout,
        scriptSig: new Uint8Array(),
        sequence: anchors ? 1 : 0,
        witness: [],
      },
    ],
    outputs: [output(walletScript(channel.world.keys, 5), spent.amount - fee)],
    locktime: htlc.side === 'local' ? htlc.cltvExpiry : 0,
  };
  await channel.world.ask(lightningd, 'signAnyRemoteHtlcToUs', {
    remotePerCommitmentPoint: channel.theirKeys.perCommitmentPoint(commitment.number) ?? new Uint8Array(),
    tx: { tx, psbt: unsignedPsbt(tx, { ...spent, amount: claimed ?? spent.amount }, {}, [undefined]) },
    wscript: spent.witnessScript,
    optionAnchorOutputs: anchors,
    input: 0,
    ...on(channel),
  });
  return tx;
}

/** One way a channel closes, and how what timed out comes back. */
export interface Close {
  readonly name: string;
  readonly anchors: boolean;
  /** The transaction that confirms. */
  readonly take: (channel: TestChannel, htlc: Htlc) => Promise<Transaction>;
}

async function closeOurs(channel: TestChannel): Promise<void> {
  await closeAlone(channel, newest(channel, 'local'));
}

export const closes: readonly Close[] = [
  ...[true, false].map((anchors) => ({
    name: `our commitment${anchors ? ' with anchors' : ''}`,
    anchors,
    take: async (channel: TestChannel, htlc: Htlc) => {
      await closeOurs(channel);
      return takeFromOurs(channel, htlc);
    },
  })),
  {
    name: 'our commitment with anchors, the fee from the wallet',
    anchors: true,
    take: async (channel, htlc) => {
      await closeOurs(channel);
      await takeFromOurs(channel, htlc);
      return takeWithFee(channel, htlc);
    },
  },
  ...[true, false].map((anchors) => ({
    name: `the peer’s commitment${anchors ? ' with anchors' : ''}`,
    anchors,
    take: (channel: TestChannel, htlc: Htlc) => takeFromTheirs(channel, htlc),
  })),
];
