/** BOLT 3 §Commitment Transaction Outputs: which ones a commitment has, their scripts and their order. */

import { ripemd160 } from '@noble/hashes/legacy.js';
import type { TxOutput } from '../../proto/bitcoin/tx.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { p2wpkh, p2wsh } from '../bitcoin/script.ts';
import { once } from '../once.ts';
import { type Channel, type Funding, otherSide, type Side } from './channel.ts';
import { anchorValue } from './fees.ts';
import type { CommitmentKeys } from './keys.ts';
import { inBip69Order } from './order.ts';
import { anchorScript, offeredHtlcScript, receivedHtlcScript, toLocalScript, toRemoteScript } from './scripts.ts';
import { assemble, type ScriptTemplate } from './template.ts';

/** Whose commitment, and the keys in it. */
export interface CommitmentBasis {
  readonly channel: Channel;
  /** Whose transaction it is: the one side that can broadcast it. */
  readonly owner: Side;
  readonly keys: CommitmentKeys;
}

/** Which commitment of a channel. */
export interface CommitmentId extends CommitmentBasis {
  readonly funding: Funding;
  readonly number: bigint;
}

/** What a commitment says. */
export interface CommitmentContent {
  /** Satoshi after fees and anchors; undefined where there is no such output. */
  readonly toOwner: bigint | undefined;
  readonly toOther: bigint | undefined;
  /** The untrimmed ones, in any order. */
  readonly htlcs: readonly Htlc[];
  /** Blocks for which the accepter of a leased channel still waits for its own output; 1 where nothing is leased. */
  readonly leaseCsv: number;
}

/** No lease, one that is over, or one that ends before the ordinary delay. */
export const noLease = 1;

/** What an output is for; `of` names who is paid. BOLT 3's to_local is `toOwner`, its to_remote `toOther`. */
export type OutputRole =
  | { readonly kind: 'toOwner' | 'toOther' | 'anchor'; readonly of: Side }
  | { readonly kind: 'htlc'; readonly htlc: Htlc };

export interface CommitmentOutput extends TxOutput {
  readonly role: OutputRole;
  /** Both undefined for a to_remote that is P2WPKH. */
  readonly template: ScriptTemplate | undefined;
  readonly witnessScript: Uint8Array | undefined;
}

/** A script in its three forms. */
export type Scripts = Pick<CommitmentOutput, 'script'> & {
  readonly template: ScriptTemplate;
  readonly witnessScript: Uint8Array;
};

function scriptsOf(template: ScriptTemplate): Scripts {
  const witnessScript = assemble(template);
  return { script: p2wsh(witnessScript), template, witnessScript };
}

/** What a channel's every commitment has. */
const unleasedToRemote = once((key: Uint8Array) => scriptsOf(toRemoteScript(key, noLease)));
const anchorScripts = once((fundingPubkey: Uint8Array) => scriptsOf(anchorScript(fundingPubkey)));

/** The to_local that was made last: several questions in a row are about the same commitment, and each HTLC's transaction. */
let lastToLocal: { readonly keys: CommitmentKeys; readonly delay: number; readonly scripts: Scripts } | undefined;

/** What pays the owner after `delay` blocks. */
export function toLocalScripts(keys: CommitmentKeys, delay: number): Scripts {
  if (lastToLocal?.keys !== keys || lastToLocal.delay !== delay)
    lastToLocal = { keys, delay, scripts: scriptsOf(toLocalScript(keys, delay)) };
  return lastToLocal.scripts;
}

/** The output of one HTLC. */
export function htlcOutput({ channel, owner, keys }: CommitmentBasis, htlc: Htlc): CommitmentOutput {
  const hash = ripemd160(htlc.paymentHash);
  const template =
    htlc.side === owner
      ? offeredHtlcScript(keys, channel.anchors, hash)
      : receivedHtlcScript(keys, channel.anchors, hash, htlc.cltvExpiry);
  return { role: { kind: 'htlc', htlc }, amount: htlc.amount / 1000n, ...scriptsOf(template) };
}

/** What the owner has, after the delay that the other side demands, or the rest of its lease where that is longer. */
export function toOwnerOutput(
  { channel, owner, keys }: CommitmentBasis,
  amount: bigint,
  leaseCsv: number,
): CommitmentOutput {
  const demanded = channel[otherSide(owner)].toSelfDelay;
  const delay = owner === channel.opener ? demanded : Math.max(demanded, leaseCsv);
  const { script, template, witnessScript } = toLocalScripts(keys, delay);
  return { role: { kind: 'toOwner', of: owner }, amount, script, template, witnessScript };
}

/** What the other side has. */
export function toOtherOutput(
  { channel, owner, keys }: CommitmentBasis,
  amount: bigint,
  leaseCsv: number,
): CommitmentOutput {
  const other = otherSide(owner);
  const role: OutputRole = { kind: 'toOther', of: other };
  if (!channel.anchors)
    return { role, amount, script: p2wpkh(keys.otherPayment), template: undefined, witnessScript: undefined };
  const csv = other === channel.opener ? noLease : leaseCsv;
  const key = keys.otherPayment;
  return { role, amount, ...(csv === noLease ? unleasedToRemote(key) : scriptsOf(toRemoteScript(key, csv))) };
}

/** The output with which one side can raise the commitment's fee. */
export function anchorOutput({ funding }: CommitmentId, of: Side): CommitmentOutput {
  const pubkey = of === 'local' ? funding.localPubkey : funding.remotePubkey;
  return { role: { kind: 'anchor', of }, amount: anchorValue, ...anchorScripts(pubkey) };
}

/** Equal HTLCs that we offered have equal outputs: their expiry decides, since it orders their signatures. */
function inOrder(a: CommitmentOutput, b: CommitmentOutput): number {
  return inBip69Order(a, b) || expiryOf(a) - expiryOf(b);
}

function expiryOf({ role }: CommitmentOutput): number {
  return role.kind === 'htlc' ? role.htlc.cltvExpiry : 0;
}

/** All outputs of a commitment, in the transaction's order. */
export function commitmentOutputs(id: CommitmentId, content: CommitmentContent): readonly CommitmentOutput[] {
  const { toOwner, toOther, htlcs, leaseCsv } = content;
  const outputs = htlcs.map((htlc) => htlcOutput(id, htlc));
  if (toOwner !== undefined) outputs.push(toOwnerOutput(id, toOwner, leaseCsv));
  if (toOther !== undefined) outputs.push(toOtherOutput(id, toOther, leaseCsv));
  if (id.channel.anchors) {
    if (toOwner !== undefined || htlcs.length > 0) outputs.push(anchorOutput(id, id.owner));
    if (toOther !== undefined || htlcs.length > 0) outputs.push(anchorOutput(id, otherSide(id.owner)));
  }
  return outputs.sort(inOrder);
}
