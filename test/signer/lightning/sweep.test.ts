/** Recorded sweeps of closed channels, and sweeps with one thing wrong. */

import test from 'ava';
import type { Transaction } from '../../../proto/bitcoin/tx.ts';
import type { TxWithPsbt } from '../../../proto/hsmd/fields.ts';
import { commitmentKeys } from '../../../signer/lightning/keys.ts';
import type { MismatchTag } from '../../../signer/lightning/mismatch.ts';
import { recogniseSweep, type SweepKind } from '../../../signer/lightning/sweep.ts';
import { secp } from './commitments.ts';
import { type ChannelView, channelName, present, recordedNodes, replay, type Step } from './replay.ts';

/** The channel that a request is about: its own client's, or the one that it names. */
function about({ request, channel, channels }: Step): ChannelView {
  if (!request.call.startsWith('signAny') || !('peerId' in request.fields)) return channel;
  return present(channels.get(channelName(request.fields.peerId, request.fields.dbid)), 'the channel');
}

/** Whose keys a sweep needs, by its request. */
function keysOf(
  { request }: Step,
  view: ChannelView,
): { readonly kind: SweepKind; readonly point: Uint8Array } | undefined {
  switch (request.call) {
    case 'signDelayedPaymentToUs':
    case 'signAnyDelayedPaymentToUs':
      return { kind: 'delayed', point: present(view.points.get(request.fields.commitNum), 'the point') };
    case 'signRemoteHtlcToUs':
    case 'signAnyRemoteHtlcToUs':
      return { kind: 'theirHtlc', point: request.fields.remotePerCommitmentPoint };
    case 'signPenaltyToUs':
    case 'signAnyPenaltyToUs':
      return { kind: 'penalty', point: secp.publicKey(request.fields.revocationSecret) };
    default:
      return undefined;
  }
}

interface RecordedSweep {
  readonly where: string;
  readonly call: string;
  readonly kind: SweepKind;
  readonly basis: Parameters<typeof recogniseSweep>[1];
  readonly tx: TxWithPsbt;
  readonly wscript: Uint8Array;
}

function* sweeps(): Generator<RecordedSweep> {
  for (const node of recordedNodes())
    for (const step of replay(node)) {
      const { fields, call } = step.request;
      const view = about(step);
      const { kind, point } = keysOf(step, view) ?? {};
      if (kind === undefined || point === undefined || !('wscript' in fields)) continue;
      const channel = present(view.channel, 'setup_channel');
      const keys = commitmentKeys(secp, channel, kind === 'delayed' ? 'local' : 'remote', point);
      yield { where: step.where, call, kind, basis: { channel, keys }, tx: fields.tx, wscript: fields.wscript };
    }
}

const recorded = [...sweeps()];

test('every recorded sweep is recognised: an output of its channel, to a wallet key, for a fee', (t) => {
  const seen: { [sweep: string]: number } = {};
  for (const { where, call, kind, basis, tx, wscript } of recorded) {
    const sweep = recogniseSweep(kind, basis, tx, wscript);
    if (!sweep.ok) {
      t.fail(`${where}: ${sweep.tag} ${Object.values(sweep.facts).join(' ')}`);
      continue;
    }
    t.true(sweep.fee > 0n && sweep.fee < sweep.amount, where);
    t.not(sweep.walletIndex, undefined, where);
    const name = `${call} ${sweep.script.kind}`;
    seen[name] = (seen[name] ?? 0) + 1;
  }
  t.deepEqual(seen, {
    'signAnyDelayedPaymentToUs delayed': 28,
    'signAnyPenaltyToUs delayed': 2,
    'signAnyRemoteHtlcToUs offeredHtlc': 488,
    'signAnyRemoteHtlcToUs receivedHtlc': 16,
    'signPenaltyToUs delayed': 412,
  });
});

const delayed = present(
  recorded.find(({ kind }) => kind === 'delayed'),
  'a sweep of a delayed output',
);
const timedOut = present(
  recorded.find(({ kind, tx }) => kind === 'theirHtlc' && tx.tx.locktime > 0),
  'a sweep of an HTLC that timed out',
);
const penalty = present(
  recorded.find(({ kind }) => kind === 'penalty'),
  'a penalty',
);

const changed = (sweep: RecordedSweep, change: Partial<Transaction>): RecordedSweep => ({
  ...sweep,
  tx: { ...sweep.tx, tx: { ...sweep.tx.tx, ...change } },
});
const withSequence = (sweep: RecordedSweep, sequence: number): RecordedSweep =>
  changed(sweep, { inputs: sweep.tx.tx.inputs.map((input) => ({ ...input, sequence })) });
const withAmount = (sweep: RecordedSweep, amount: bigint): RecordedSweep =>
  changed(sweep, { outputs: sweep.tx.tx.outputs.map((output) => ({ ...output, amount })) });
const twice = (sweep: RecordedSweep): RecordedSweep =>
  changed(sweep, { outputs: [...sweep.tx.tx.outputs, ...sweep.tx.tx.outputs] });

// biome-ignore format: one mutation a row
const mutations: readonly (readonly [title: string, sweep: RecordedSweep, tag: MismatchTag])[] = [
  ['another version', changed(delayed, { version: 1 }), 'policy-sweep-version'],
  ['a locktime on what is ours', changed(delayed, { locktime: 1 }), 'policy-sweep-locktime'],
  ['another expiry than the HTLC has', changed(timedOut, { locktime: timedOut.tx.tx.locktime + 1 }), 'policy-sweep-locktime'],
  ['a penalty that waits', changed(penalty, { locktime: 500 }), 'policy-sweep-locktime'],
  ['less than the delay', withSequence(delayed, 1), 'policy-sweep-sequence'],
  ['no delay where anchors ask for one', withSequence(timedOut, 0xffffffff), 'policy-sweep-sequence'],
  ['more paid than there is', withAmount(penalty, 2n ** 40n), 'policy-sweep-fee-range'],
  ['two outputs', twice(penalty), 'policy-sweep-format'],
  ['keys of another commitment', { ...penalty, basis: delayed.basis }, 'policy-sweep-format'],
  ['another script than the output has', { ...penalty, wscript: penalty.wscript.slice(0, -1) }, 'policy-sweep-format'],
  ['an HTLC swept as a delayed output', { ...timedOut, kind: 'delayed' }, 'policy-sweep-format'],
];

for (const [title, { kind, basis, tx, wscript }, tag] of mutations)
  test(`${tag}: ${title}`, (t) => {
    const sweep = recogniseSweep(kind, basis, tx, wscript);
    t.is(sweep.ok ? 'recognised' : sweep.tag, tag);
  });
