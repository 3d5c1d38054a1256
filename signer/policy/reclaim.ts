/**
 * HTLCs that we offered, in channels that one side closed, come back when they have timed out: the transactions we sign for
 * that (13, 143, 146, 149) are remembered, for `returned.ts` to look for in the chain.
 *
 * A proof shows a transaction without its witness. So what counts is not how an HTLC's output was spent, but that it was,
 * by a transaction of which we know that it pays us: whoever has the preimage cannot spend it once more.
 */

import type { Transaction, TxOutput } from '../../proto/bitcoin/tx.ts';
import { txid } from '../../proto/bitcoin/tx.ts';
import { equalBytes, fromHex } from '../../proto/bytes.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import type { Side } from '../lightning/channel.ts';
import { buildCommitment } from '../lightning/commitment.ts';
import { htlcFee } from '../lightning/fees.ts';
import { htlcTxOutput } from '../lightning/htlc_tx.ts';
import { type CommitmentBasis, noLease } from '../lightning/outputs.ts';
import { outpointOf } from './commitment.ts';
import { basisAt, type Found, findCommitment, ourPointAt, type setUp } from './commitments.ts';
import type { Changes, Scope } from './scope.ts';

/** Transactions of one channel that are remembered, the newest: an HTLC has one for each feerate that was tried. */
const mostReclaims = 1000;

type SetUp = NonNullable<ReturnType<typeof setUp>>;

/** What an output of a commitment is, by building that again: no word of the host's about it counts. */
function htlcAt(
  scope: Scope,
  channel: SetUp,
  { owner, commitment: { number, htlcs, point }, content, outpoint }: Found,
  vout: number,
): { readonly htlc: Htlc; readonly basis: CommitmentBasis } | undefined {
  const peer = fromHex(channel.peer);
  const funding = channel.fundings.find((each) => each.outpoint === outpoint);
  const owners = owner === 'local' ? ourPointAt(scope, peer, channel.dbid, number) : point;
  if (funding === undefined || owners === undefined) return undefined;
  const basis = basisAt(scope, channel, peer, channel.dbid, owner, owners);
  const [id = '', index] = outpoint.split(':');
  const localPubkey = scope.context.keys.channel(peer, channel.dbid).funding.point;
  const { value, remotePubkey } = funding;
  const spent = { txid: fromHex(id), vout: Number(index), value, localPubkey, remotePubkey };
  const { toLocal, toRemote } = content;
  const [toOwner, toOther] = owner === 'local' ? [toLocal, toRemote] : [toRemote, toLocal];
  const built = buildCommitment({ ...basis, funding: spent, number }, { toOwner, toOther, htlcs, leaseCsv: noLease });
  const role = built.outputs[vout]?.role;
  if (role?.kind !== 'htlc' || !equalBytes(txid(built.tx), content.txid)) return undefined;
  return { htlc: role.htlc, basis };
}

/** Whether an output is what an HTLC-timeout transaction of our own commitment pays. */
function isTimeoutOutput(basis: CommitmentBasis, feerate: number, { amount }: Htlc, output: TxOutput): boolean {
  const fee = htlcFee('timeout', feerate, basis.channel.anchors);
  return output.amount === amount / 1000n - fee && equalBytes(htlcTxOutput(basis).script, output.script);
}

/**
 * The channel with a transaction remembered that we sign, if input `index` takes a timed out HTLC of ours back from
 * `owner`'s commitment and the output beside it pays us; else the same object. What a sweep of the peer's commitment pays
 * to is the caller's to check: `spent` is what it says the HTLC's output has, in satoshi.
 */
export function withReclaim(
  scope: Scope,
  channel: SetUp,
  owner: Side,
  tx: Transaction,
  index: number,
  spent?: bigint,
): SetUp {
  const [input, output] = [tx.inputs[index], tx.outputs[index]];
  const found = input && findCommitment(channel, input.txid, [owner]);
  if (input === undefined || output === undefined || found === undefined) return channel;
  const [id, spends] = [txid(tx), outpointOf(input)];
  const { reclaims = [] } = channel;
  if (reclaims.some((each) => each.spends === spends && equalBytes(each.txid, id))) return channel;
  const { htlc, basis } = htlcAt(scope, channel, found, input.vout) ?? {};
  if (htlc?.side !== 'local' || basis === undefined || tx.locktime !== htlc.cltvExpiry) return channel;
  const isPaid =
    owner === 'local' ? isTimeoutOutput(basis, found.content.feerate, htlc, output) : spent === htlc.amount / 1000n;
  if (!isPaid) return channel;
  const reclaim = { spends, htlc, txid: id, vout: index, value: output.amount, script: output.script.slice() };
  return { ...channel, reclaims: [...reclaims, reclaim].slice(-mostReclaims) };
}

/** What changes with what was remembered: mostly lightningd asks again for what it has. */
export function reclaiming(before: SetUp, after: SetUp): { readonly changes?: Changes } {
  return after === before ? {} : { changes: { channel: after } };
}
