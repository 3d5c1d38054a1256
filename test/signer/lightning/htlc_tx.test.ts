/** Requests foretold from the commitment before them, and requests about single HTLC transactions. */

import test from 'ava';
import type { Transaction } from '../../../proto/bitcoin/tx.ts';
import { toHex } from '../../../proto/bytes.ts';
import type { TxWithPsbt } from '../../../proto/hsmd/fields.ts';
import { p2wpkh, p2wsh } from '../../../signer/bitcoin/script.ts';
import { recogniseHtlcTx } from '../../../signer/lightning/htlc_request.ts';
import { htlcRequests, htlcTransactions } from '../../../signer/lightning/htlc_tx.ts';
import { commitmentKeys } from '../../../signer/lightning/keys.ts';
import type { MismatchTag } from '../../../signer/lightning/mismatch.ts';
import type { CommitmentBasis } from '../../../signer/lightning/outputs.ts';
import { toLocalScript } from '../../../signer/lightning/scripts.ts';
import { assemble } from '../../../signer/lightning/template.ts';
import { commitmentIn, recognise, secp } from './commitments.ts';
import { channelName, present, recordedNodes, replay } from './replay.ts';

test('every recorded sign_remote_htlc_tx was foretold in its order, byte for byte, and none that did not come', (t) => {
  let asked = 0;
  for (const node of recordedNodes()) {
    const foretold = new Map<number, string[]>();
    for (const step of replay(node)) {
      const open = foretold.get(step.conn) ?? [];
      if (step.request.call === 'signRemoteHtlcTx') {
        asked++;
        t.is(open.shift(), toHex(step.bytes), step.where);
        continue;
      }
      t.deepEqual(open, [], `${step.where}: what was foretold came`);
      if (step.request.call === 'init') foretold.clear();
      const recorded = commitmentIn(step);
      if (recorded?.id.owner === 'remote')
        foretold.set(step.conn, htlcRequests(recognise(recorded), recorded.point).map(toHex));
    }
    t.true(
      [...foretold.values()].every(({ length }) => length === 0),
      `${node}: what was foretold came`,
    );
  }
  t.is(asked, 502);
});

test('every recorded sign_remote_htlc_tx and sign_any_local_htlc_tx is recognised by itself, and is of a known commitment', (t) => {
  const seen = { signRemoteHtlcTx: 0, signAnyLocalHtlcTx: 0 };
  for (const node of recordedNodes()) {
    const known = new Map<string, bigint>();
    for (const step of replay(node)) {
      const recorded = commitmentIn(step);
      if (recorded !== undefined) {
        const commitment = recognise(recorded);
        for (const { output, amount, kind } of htlcTransactions(commitment))
          known.set(`${toHex(commitment.txid)}:${output} ${kind}`, amount);
      }
      const { request } = step;
      if (request.call !== 'signRemoteHtlcTx' && request.call !== 'signAnyLocalHtlcTx') continue;
      const remote = request.call === 'signRemoteHtlcTx';
      const view = remote
        ? step.channel
        : present(step.channels.get(channelName(request.fields.peerId, request.fields.dbid)), 'the channel');
      const channel = present(view.channel, 'setup_channel');
      const owner = remote ? 'remote' : 'local';
      const point = remote
        ? request.fields.remotePerCommitPoint
        : present(view.points.get(request.fields.commitNum), 'point');
      const id = { channel, owner, keys: commitmentKeys(secp, channel, owner, point) } as const;
      const spend = recogniseHtlcTx(id, request.fields.tx, request.fields.wscript);
      t.true(spend.ok, `${step.where}: ${spend.ok ? '' : spend.tag}`);
      if (!spend.ok) continue;
      t.is(known.get(`${toHex(spend.commitment)}:${spend.output} ${spend.kind}`), spend.amount, step.where);
      seen[request.call]++;
    }
  }
  t.deepEqual(seen, { signRemoteHtlcTx: 502, signAnyLocalHtlcTx: 10 });
});

/** The first recorded sign_remote_htlc_tx of a node, with the keys of the peer's commitment. */
function firstRequest(node: string) {
  for (const { request, channel: view } of replay(node)) {
    if (request.call !== 'signRemoteHtlcTx') continue;
    const channel = present(view.channel, 'setup_channel');
    const keys = commitmentKeys(secp, channel, 'remote', request.fields.remotePerCommitPoint);
    return { basis: { channel, owner: 'remote', keys } as const, ...request.fields };
  }
  throw new Error(`${node} has no sign_remote_htlc_tx`);
}

const { basis, tx: given, wscript } = firstRequest('anchors_low_fee/l1');
const plain = firstRequest('close_no_anchors/l1');

const withTx = (from: TxWithPsbt, change: Partial<Transaction>): TxWithPsbt => {
  const tx = { ...from.tx, ...change };
  return { tx, psbt: { ...from.psbt, tx } };
};
const withAmount = (from: TxWithPsbt, amount: bigint): TxWithPsbt =>
  withTx(from, { outputs: from.tx.outputs.map((output) => ({ ...output, amount })) });

/** The same HTLC transaction with another output script, shown in its PSBT. */
function withOutput(keys: Partial<CommitmentBasis['keys']>, delay = basis.channel.local.toSelfDelay): TxWithPsbt {
  const script = assemble(toLocalScript({ ...basis.keys, ...keys }, delay));
  const tx = { ...given.tx, outputs: given.tx.outputs.map(({ amount }) => ({ amount, script: p2wsh(script) })) };
  const outputs = given.psbt.outputs.map((pairs) => pairs.map((pair) => ({ ...pair, value: script })));
  return { tx, psbt: { ...given.psbt, tx, outputs } };
}

const stranger = basis.keys.otherHtlc;

// biome-ignore format: one mutation a row
const mutations: readonly (readonly [title: string, tx: TxWithPsbt, tag: MismatchTag])[] = [
  ['another version', withTx(given, { version: 3 }), 'policy-htlc-version'],
  ['another sequence', withTx(given, { inputs: given.tx.inputs.map((input) => ({ ...input, sequence: 0 })) }), 'policy-htlc-sequence'],
  ['a success with a locktime', withTx(given, { locktime: 600 }), 'policy-htlc-locktime'],
  ['a fee where anchors allow none', withAmount(given, (given.tx.outputs[0]?.amount ?? 0n) - 1n), 'policy-htlc-fee-range'],
  ['two outputs', withTx(given, { outputs: [...given.tx.outputs, ...given.tx.outputs] }), 'policy-htlc-format'],
  ['another revocation key', withOutput({ revocation: stranger }), 'policy-htlc-revocation-pubkey'],
  ['another delayed key', withOutput({ ownerDelayed: stranger }), 'policy-htlc-delayed-pubkey'],
  ['another delay', withOutput({}, 1), 'policy-htlc-to-self-delay'],
  ['an output to a stranger', withTx(given, { outputs: given.tx.outputs.map((o) => ({ ...o, script: p2wpkh(stranger) })) }), 'policy-htlc-format'],
  ['another transaction in the PSBT', { ...given, psbt: { ...given.psbt, tx: { ...given.tx, version: 3 } } }, 'policy-htlc-format'],
  ['a witness script less in the PSBT', { ...given, psbt: { ...given.psbt, outputs: [[]] } }, 'policy-htlc-format'],
];

for (const [title, tx, tag] of mutations)
  test(`${tag}: ${title}`, (t) => {
    const spend = recogniseHtlcTx(basis, tx, wscript);
    t.is(spend.ok ? 'recognised' : spend.tag, tag);
  });

test('policy-htlc-fee-range: more than the HTLC has', (t) => {
  const spend = recogniseHtlcTx(plain.basis, withAmount(plain.tx, 2n ** 40n), plain.wscript);
  t.is(spend.ok ? 'recognised' : spend.tag, 'policy-htlc-fee-range');
});

test('the fee of an HTLC transaction without anchors is told, not judged', (t) => {
  const [output] = plain.tx.tx.outputs;
  const spend = recogniseHtlcTx(plain.basis, withAmount(plain.tx, (output?.amount ?? 0n) - 100n), plain.wscript);
  const honest = recogniseHtlcTx(plain.basis, plain.tx, plain.wscript);
  t.true(spend.ok && honest.ok);
  if (spend.ok && honest.ok) t.is(spend.fee - honest.fee, 100n);
});

test('policy-htlc-format: a script of another commitment', (t) => {
  const spend = recogniseHtlcTx(basis, given, plain.wscript);
  t.is(spend.ok ? 'recognised' : spend.tag, 'policy-htlc-format');
});
