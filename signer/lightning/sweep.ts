/**
 * The transactions with which a closed channel's outputs come home (BOLT 5, lightningd's onchain_control.c and channeld's
 * watchtower.c): one input, one output. Recognised here: what is spent, by which rule, and to where. Whether the
 * destination is the wallet's is for whoever has its keys to say.
 */

import { spentOutput } from '../../proto/bitcoin/psbt_input.ts';
import type { TxOutput } from '../../proto/bitcoin/tx.ts';
import { equalBytes } from '../../proto/bytes.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import { p2wsh } from '../bitcoin/script.ts';
import { walletIndexOf } from './closing.ts';
import { type KnownScript, knownScript } from './known_script.ts';
import { type Mismatch, mismatch } from './mismatch.ts';
import type { CommitmentBasis } from './outputs.ts';

/**
 * What is swept: our delayed output (12, 142), an HTLC of the peer's commitment (13, 143), or anything of a revoked
 * commitment of the peer's (14, 144).
 */
export type SweepKind = 'delayed' | 'theirHtlc' | 'penalty';

export interface Sweep {
  readonly ok: true;
  readonly kind: SweepKind;
  readonly script: KnownScript;
  /** The output spent: its transaction, internal byte order, and index. */
  readonly txid: Uint8Array;
  readonly vout: number;
  /** Satoshi, as the PSBT claims it; the signature is worth nothing if it claims wrongly. */
  readonly amount: bigint;
  readonly destination: TxOutput;
  /** The wallet key that lightningd says it pays to. */
  readonly walletIndex: number | undefined;
  readonly fee: bigint;
}

interface Times {
  readonly locktime: number;
  readonly sequences: readonly number[];
}

/** The locktime and sequence that spend such a script; undefined where this kind of sweep cannot. */
function timesOf(kind: SweepKind, script: KnownScript, anchors: boolean): Times | undefined {
  if (kind === 'penalty') return { locktime: 0, sequences: [0, 0xffffffff] };
  if (kind === 'delayed') return script.kind === 'delayed' ? { locktime: 0, sequences: [script.delay] } : undefined;
  if (script.kind === 'delayed') return undefined;
  // the peer offered it: we have the preimage. We offered it: it has timed out
  const locktime = script.kind === 'offeredHtlc' ? 0 : script.cltvExpiry;
  return { locktime, sequences: [anchors ? 1 : 0] };
}

/**
 * Takes a sweep apart. `id` has the commitment's keys: ours by its number for `delayed`, the peer's by its point
 * (or the secret's point) for the others.
 */
export function recogniseSweep(
  kind: SweepKind,
  id: Pick<CommitmentBasis, 'channel' | 'keys'>,
  { tx, psbt }: TxWithPsbt,
  witnessScript: Uint8Array,
): Sweep | Mismatch {
  const [input] = tx.inputs;
  const [destination] = tx.outputs;
  if (input === undefined || destination === undefined || tx.inputs.length !== 1 || tx.outputs.length !== 1)
    return mismatch('policy-sweep-format', { inputs: tx.inputs.length, outputs: tx.outputs.length });
  if (tx.version !== 2) return mismatch('policy-sweep-version', { expected: 2, found: tx.version });
  const spent = spentOutput(psbt, 0);
  const script = knownScript(id, witnessScript);
  const times = script && timesOf(kind, script, id.channel.anchors);
  if (
    script === undefined ||
    times === undefined ||
    spent === undefined ||
    !equalBytes(p2wsh(witnessScript), spent.script)
  )
    return mismatch('policy-sweep-format', { differs: 'script of the output that is spent' });
  if (tx.locktime !== times.locktime)
    return mismatch('policy-sweep-locktime', { expected: times.locktime, found: tx.locktime });
  if (!times.sequences.includes(input.sequence))
    return mismatch('policy-sweep-sequence', { expected: times.sequences.join(' or '), found: input.sequence });
  const fee = spent.amount - destination.amount;
  if (fee < 0n) return mismatch('policy-sweep-fee-range', { amount: spent.amount, fee });
  const walletIndex = walletIndexOf(psbt.outputs[0] ?? []);
  return {
    ok: true,
    kind,
    script,
    txid: input.txid,
    vout: input.vout,
    amount: spent.amount,
    destination,
    walletIndex,
    fee,
  };
}
