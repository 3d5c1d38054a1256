/** Recorded commitments of both sides, rebuilt byte for byte, and the signatures that came with ours. */

import test from 'ava';
import { serializePsbt } from '../../../proto/bitcoin/psbt.ts';
import { serializeTransaction } from '../../../proto/bitcoin/tx.ts';
import { toHex } from '../../../proto/bytes.ts';
import { commitmentPsbt } from '../../../signer/lightning/commitment.ts';
import { checkCountersigned } from '../../../signer/lightning/countersigned.ts';
import { commitmentIn, recognise, secp } from './commitments.ts';
import { recordedNodes, replay, type Step } from './replay.ts';

/** The commitments of a node that `count` looks at: how many there were, and what was wrong. */
function each(
  node: string,
  look: (step: Step, commitment: NonNullable<ReturnType<typeof commitmentIn>>) => void,
): number {
  let count = 0;
  for (const step of replay(node)) {
    const commitment = commitmentIn(step);
    if (commitment === undefined) continue;
    count++;
    try {
      look(step, commitment);
    } catch (error: unknown) {
      throw new Error(`${step.where}: ${step.request.call}`, { cause: error });
    }
  }
  return count;
}

for (const node of recordedNodes())
  test(`every commitment of ${node} is rebuilt byte for byte, its PSBT too`, (t) => {
    const count = each(node, (step, recorded) => {
      const commitment = recognise(recorded);
      const { tx, psbt } = recorded.given.tx;
      t.is(toHex(serializeTransaction(commitment.tx)), toHex(serializeTransaction(tx)), step.where);
      const signature = recorded.id.number === 0n ? undefined : recorded.given.signature;
      const rebuilt = commitmentPsbt(commitment, commitment, signature);
      t.is(toHex(serializePsbt(rebuilt)), toHex(serializePsbt(psbt)), step.where);
      t.true(commitment.trimmed >= 0n, `${step.where}: the fee is at least what the feerate asks for`);
    });
    t.log(`${count} commitments`);
    t.true(count > 0);
  });

test('the peer has signed every recorded commitment of ours and all its HTLC transactions', (t) => {
  let signatures = 0;
  for (const node of recordedNodes())
    each(node, ({ request, where }, recorded) => {
      if (request.call !== 'validateCommitmentTx') return;
      const { sig, htlcSigs } = request.fields;
      t.is(checkCountersigned(secp, recognise(recorded), sig, htlcSigs), undefined, where);
      signatures += 1 + htlcSigs.length;
    });
  t.log(`${signatures} signatures`);
  t.true(signatures > 900);
});

test('a lease counts down on the accepter of the channel, and nowhere else', (t) => {
  const leases = new Map<string, Set<number>>();
  for (const node of recordedNodes())
    each(node, (_, recorded) => {
      const { leaseCsv } = recognise(recorded);
      if (leaseCsv === 1) return;
      const name = `${node}, opened by ${recorded.id.channel.opener}`;
      leases.set(name, (leases.get(name) ?? new Set()).add(leaseCsv));
    });
  const countdown = [4032, 4026, 4025, 4024, 4023, 4022, 4021, 4020, 4019, 4018];
  t.deepEqual(
    [...leases].map(([name, blocks]) => [name, [...blocks]]),
    [
      ['dual_funding/l2, opened by remote', countdown],
      ['dual_funding/l3, opened by local', countdown],
    ],
  );
});

test('the feerate of commitment 0, which no message says, follows from its fee', (t) => {
  const first = new Map<string, Set<number>>();
  for (const node of recordedNodes())
    each(node, ({ channel }, recorded) => {
      if (recorded.id.number !== 0n) return;
      const { feerate, trimmed } = recognise(recorded);
      t.is(trimmed, 0n);
      const name = `${node.split('/')[0]}${channel.channel?.anchors ? '' : ', no anchors'}`;
      first.set(name, (first.get(name) ?? new Set()).add(feerate));
    });
  t.deepEqual([...(first.get('everyday') ?? [])], [1250]);
  t.deepEqual([...(first.get('varied') ?? [])], [2000, 5000]);
  // 253 and 254 give the same fee here: the higher one is told
  t.deepEqual([...(first.get('close_no_anchors, no anchors') ?? [])], [254]);
});
