/** Commitments with one thing wrong: each is told by the tag of the rule that it breaks. */

import test from 'ava';
import type { Psbt } from '../../../proto/bitcoin/psbt.ts';
import { parseTransaction, serializeTransaction, type Transaction } from '../../../proto/bitcoin/tx.ts';
import type { TxWithPsbt } from '../../../proto/hsmd/fields.ts';
import { buildCommitment, commitmentPsbt } from '../../../signer/lightning/commitment.ts';
import { checkCountersigned } from '../../../signer/lightning/countersigned.ts';
import type { MismatchTag } from '../../../signer/lightning/mismatch.ts';
import {
  anchorOutput,
  type CommitmentContent,
  type CommitmentId,
  toOwnerOutput,
} from '../../../signer/lightning/outputs.ts';
import { type Commitment, type GivenCommitment, recogniseCommitment } from '../../../signer/lightning/recognise.ts';
import { commitmentIn, type RecordedCommitment, recognise, secp } from './commitments.ts';
import { present, replay } from './replay.ts';

/** The first recorded commitment of a node that is as wanted. */
function recorded(node: string, wanted: (commitment: Commitment) => boolean): RecordedCommitment {
  for (const step of replay(node)) {
    const found = commitmentIn(step);
    if (found !== undefined && wanted(recognise(found))) return found;
  }
  throw new Error(`${node} has no such commitment`);
}

const bothWays = ({ htlcs }: Commitment) =>
  htlcs.some(({ side }) => side === 'local') && htlcs.some(({ side }) => side === 'remote');
const complete = (c: Commitment) => c.number > 0n && c.toOwner !== undefined && c.toOther !== undefined;

/** Ours and the peer's, with HTLCs in both directions; ours without any; one without anchors. */
const ours = recorded('close_by_opener/l1', (c) => c.owner === 'local' && complete(c) && bothWays(c));
const theirs = recorded('close_by_opener/l1', (c) => c.owner === 'remote' && complete(c) && bothWays(c));
const bare = recorded('everyday/l1', (c) => c.owner === 'local' && complete(c) && c.htlcs.length === 0);
const plain = recorded('close_no_anchors/l1', (c) => c.owner === 'local' && complete(c));

/** Another valid point than any in the recordings: the generator. */
const otherKey = Uint8Array.from([
  0x02, 0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b, 0x07, 0x02, 0x9b,
  0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98,
]);

/** The request that somebody would send who holds other parameters for the right ones. */
function forged(
  from: RecordedCommitment,
  changeId: (id: CommitmentId) => CommitmentId,
  changeContent: (content: CommitmentContent) => Partial<CommitmentContent> = () => ({}),
): GivenCommitment {
  const { toOwner, toOther, htlcs, leaseCsv } = recognise(from);
  const content = { toOwner, toOther, htlcs, leaseCsv };
  const id = changeId(from.id);
  const changed = { ...content, ...changeContent(content) };
  const built = buildCommitment(id, changed);
  return { ...from.given, tx: { tx: built.tx, psbt: commitmentPsbt(id, built, from.given.signature) } };
}

const withKeys = (from: RecordedCommitment, keys: Partial<CommitmentId['keys']>): GivenCommitment =>
  forged(from, (id) => ({ ...id, keys: { ...id.keys, ...keys } }));
const withDelay = (from: RecordedCommitment, by: number): GivenCommitment =>
  forged(from, (id) => {
    const { channel } = id;
    const longer = (party: typeof channel.local) => ({ ...party, toSelfDelay: party.toSelfDelay + by });
    return { ...id, channel: { ...channel, local: longer(channel.local), remote: longer(channel.remote) } };
  });

/** The request with its transaction edited, in the PSBT too. */
function edited(from: RecordedCommitment, edit: (tx: Transaction, psbt: Psbt) => TxWithPsbt): GivenCommitment {
  return { ...from.given, tx: edit(from.given.tx.tx, from.given.tx.psbt) };
}
const txEdited = (from: RecordedCommitment, edit: (tx: Transaction) => Partial<Transaction>): GivenCommitment =>
  edited(from, (tx, psbt) => ({ tx: { ...tx, ...edit(tx) }, psbt: { ...psbt, tx: { ...tx, ...edit(tx) } } }));
const outputsEdited = (from: RecordedCommitment, edit: (tx: Transaction) => Transaction['outputs']): GivenCommitment =>
  txEdited(from, (tx) => ({ outputs: edit(tx) }));
const psbtEdited = (from: RecordedCommitment, edit: (psbt: Psbt) => Partial<Psbt>): GivenCommitment =>
  edited(from, (tx, psbt) => ({ tx, psbt: { ...psbt, ...edit(psbt) } }));
const inputEdited = (from: RecordedCommitment, change: Partial<Transaction['inputs'][number]>): GivenCommitment =>
  txEdited(from, ({ inputs }) => ({ inputs: inputs.map((input) => ({ ...input, ...change })) }));

/** Drops the output at which the built one has this role. */
function without(
  from: RecordedCommitment,
  wanted: (role: Commitment['outputs'][number]['role']) => boolean,
): GivenCommitment {
  const drop = recognise(from).outputs.findIndex(({ role }) => wanted(role));
  return edited(from, (tx, psbt) => {
    const kept = { ...tx, outputs: tx.outputs.toSpliced(drop, 1) };
    return { tx: kept, psbt: { ...psbt, tx: kept, outputs: psbt.outputs.toSpliced(drop, 1) } };
  });
}

const p2wpkh = Uint8Array.of(0, 20, ...new Uint8Array(20).fill(7));
const delayedTwice = (from: RecordedCommitment) =>
  outputsEdited(from, (tx) => [...tx.outputs, { amount: 1000n, script: toOwnerOutput(from.id, 0n, 1).script }]);

// biome-ignore format: one mutation a row
const mutations: readonly (readonly [title: string, from: RecordedCommitment, given: GivenCommitment, tag: MismatchTag])[] = [
  ['another version', ours, txEdited(ours, () => ({ version: 3 })), 'policy-commitment-version'],
  ['two inputs', ours, txEdited(ours, ({ inputs }) => ({ inputs: [...inputs, ...inputs] })), 'policy-commitment-input-single'],
  ['another outpoint', ours, inputEdited(ours, { vout: 7 }), 'policy-commitment-input-match-funding'],
  ['another funding transaction', theirs, inputEdited(theirs, { txid: new Uint8Array(32).fill(9) }), 'policy-commitment-input-match-funding'],
  ['a script in the input', ours, inputEdited(ours, { scriptSig: Uint8Array.of(0x51) }), 'policy-commitment-scripts'],
  ['a witness in the input', ours, inputEdited(ours, { witness: [Uint8Array.of(1)] }), 'policy-commitment-scripts'],
  ['another sequence', ours, inputEdited(ours, { sequence: 0xffffffff }), 'policy-commitment-sequence'],
  ['another locktime', theirs, txEdited(theirs, ({ locktime }) => ({ locktime: locktime ^ 1 })), 'policy-commitment-locktime'],
  ['the number before', ours, forged(ours, (id) => ({ ...id, number: id.number - 1n })), 'policy-commitment-locktime'],
  ['a second to_local of ours', ours, delayedTwice(ours), 'policy-commitment-singular-to-holder'],
  ['a second to_local of theirs', theirs, delayedTwice(theirs), 'policy-commitment-singular-to-counterparty'],
  ['an output to a stranger', ours, outputsEdited(ours, ({ outputs }) => [...outputs, { amount: 5000n, script: p2wpkh }]), 'policy-commitment-no-unrecognized-outputs'],
  ['our delay longer', bare, withDelay(bare, 1), 'policy-commitment-to-self-delay-range'],
  ['our delay shorter', bare, withDelay(bare, -1), 'policy-commitment-to-self-delay-range'],
  ['their delay shorter', theirs, withDelay(theirs, -1), 'policy-commitment-to-self-delay-range'],
  ['another revocation key', bare, withKeys(bare, { revocation: otherKey }), 'policy-commitment-revocation-pubkey'],
  ['another delayed key', bare, withKeys(bare, { ownerDelayed: otherKey }), 'policy-commitment-broadcaster-pubkey'],
  ['another payment key', bare, withKeys(bare, { otherPayment: otherKey }), 'policy-commitment-countersignatory-pubkey'],
  ['another payment key without anchors', plain, withKeys(plain, { otherPayment: otherKey }), 'policy-commitment-no-unrecognized-outputs'],
  ['another revocation key in HTLCs', ours, withKeys(ours, { revocationHash: new Uint8Array(20) }), 'policy-commitment-htlc-revocation-pubkey'],
  ['another HTLC key of ours on ours', ours, withKeys(ours, { ownerHtlc: otherKey }), 'policy-commitment-htlc-holder-htlc-pubkey'],
  ['another HTLC key of theirs on ours', ours, withKeys(ours, { otherHtlc: otherKey }), 'policy-commitment-htlc-counterparty-htlc-pubkey'],
  ['another HTLC key of ours on theirs', theirs, withKeys(theirs, { otherHtlc: otherKey }), 'policy-commitment-htlc-holder-htlc-pubkey'],
  ['another HTLC key of theirs on theirs', theirs, withKeys(theirs, { ownerHtlc: otherKey }), 'policy-commitment-htlc-counterparty-htlc-pubkey'],
  ['an anchor of a stranger', bare, forged(bare, (id) => ({ ...id, funding: { ...id.funding, localPubkey: otherKey } })), 'policy-commitment-anchor-match-fundingkey'],
  ['an anchor of 331 satoshi', bare, outputsEdited(bare, ({ outputs }) => outputs.map((o) => (o.amount === 330n ? { ...o, amount: 331n } : o))), 'policy-commitment-anchor-amount'],
  ['an anchor where there are none', plain, forged(plain, (id) => ({ ...id, channel: { ...id.channel, anchors: true } }), () => ({ htlcs: [] })), 'policy-commitment-anchors-not-when-off'],
  ['our anchor missing', bare, without(bare, (role) => role.kind === 'anchor' && role.of === 'local'), 'policy-commitment-anchor-to-holder'],
  ['their anchor missing', bare, without(bare, (role) => role.kind === 'anchor' && role.of === 'remote'), 'policy-commitment-anchor-to-counterparty'],
  ['an anchor for a balance that is not there', bare, without(bare, (role) => role.kind === 'toOther'), 'policy-commitment-anchor-to-counterparty'],
  ['an anchor twice', bare, outputsEdited(bare, ({ outputs }) => [anchorOutput(bare.id, 'local'), ...outputs]), 'policy-commitment-anchor-to-holder'],
  ['an HTLC missing', ours, without(ours, (role) => role.kind === 'htlc'), 'policy-commitment-outputs-trimmed'],
  ['an HTLC that is not listed', ours, { ...ours.given, htlcs: ours.given.htlcs.slice(1) }, 'policy-commitment-no-unrecognized-outputs'],
  ['an HTLC of another amount', ours, forged(ours, (id) => id, ({ htlcs }) => ({ htlcs: htlcs.map((h) => ({ ...h, amount: h.amount + 1000n })) })), 'policy-commitment-no-unrecognized-outputs'],
  ['an HTLC of another hash', ours, forged(ours, (id) => id, ({ htlcs }) => ({ htlcs: htlcs.map((h) => ({ ...h, paymentHash: new Uint8Array(32) })) })), 'policy-commitment-no-unrecognized-outputs'],
  ['an HTLC of another expiry', ours, forged(ours, (id) => id, ({ htlcs }) => ({ htlcs: htlcs.map((h) => ({ ...h, cltvExpiry: h.cltvExpiry + 1 })) })), 'policy-commitment-no-unrecognized-outputs'],
  ['an HTLC from the other side', ours, forged(ours, (id) => id, ({ htlcs }) => ({ htlcs: htlcs.map((h) => ({ ...h, side: h.side === 'local' ? 'remote' : 'local' })) })), 'policy-commitment-no-unrecognized-outputs'],
  ['more HTLCs than any channel has', ours, { ...ours.given, htlcs: Array.from({ length: 967 }, () => ours.given.htlcs[0]).filter((h) => h !== undefined) }, 'policy-commitment-htlc-count-limit'],
  ['outputs in another order', ours, outputsEdited(ours, ({ outputs }) => outputs.toReversed()), 'policy-commitment-scripts'],
  ['more paid than there is', ours, forged(ours, (id) => id, () => ({ toOwner: ours.id.funding.value })), 'policy-commitment-fee-range'],
  ['another amount spent, in the PSBT', ours, forged(ours, (id) => ({ ...id, funding: { ...id.funding, value: id.funding.value + 1n } })), 'policy-commitment-input-match-funding'],
  ['a witness script less in the PSBT', bare, psbtEdited(bare, ({ outputs }) => ({ outputs: outputs.map(() => []) })), 'policy-commitment-scripts'],
  ['another transaction in the PSBT', bare, psbtEdited(bare, ({ tx }) => ({ tx: { ...tx, locktime: 0 } })), 'policy-commitment-scripts'],
  ['another signature in the PSBT', bare, { ...bare.given, signature: new Uint8Array(64).fill(1) }, 'policy-commitment-countersigned'],
];

for (const [title, from, given, tag] of mutations)
  test(`${tag}: ${title}`, (t) => {
    const result = recogniseCommitment(from.id, given);
    t.false(result.ok);
    if (!result.ok)
      t.is(
        result.tag,
        tag,
        JSON.stringify(result.facts, (_, v) => (typeof v === 'bigint' ? `${v}` : v)),
      );
  });

test('no byte of a commitment can change unseen', (t) => {
  for (const from of [ours, theirs, plain]) {
    const bytes = serializeTransaction(from.given.tx.tx);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.with(at, (bytes[at] ?? 0) ^ 1);
      let tx: Transaction;
      try {
        tx = parseTransaction(changed);
      } catch {
        continue;
      }
      t.false(recogniseCommitment(from.id, { ...from.given, tx: { ...from.given.tx, tx } }).ok, `byte ${at}`);
    }
  }
});

test('commitment 0 comes with and without the signature in its PSBT: a channel may be spliced before its first payment', (t) => {
  const first = recorded('splice/l1', (c) => c.owner === 'local' && c.number === 0n);
  t.true(recogniseCommitment(first.id, first.given).ok);
  const signed = forged(first, (id) => id);
  t.not(signed.tx.psbt.inputs[0]?.pairs.length, first.given.tx.psbt.inputs[0]?.pairs.length);
  t.true(recogniseCommitment(first.id, signed).ok);
});

test('what the accepter of a channel waits longer is told as a lease, for the policy to judge', (t) => {
  const result = recogniseCommitment(theirs.id, withDelay(theirs, 1));
  t.is(result.ok && result.leaseCsv, theirs.id.channel.local.toSelfDelay + 1);
});

test('policy-commitment-countersigned: a signature that is missing, of another type or of something else', (t) => {
  const commitment = recognise(ours);
  const step = [...replay('close_by_opener/l1')].find(({ request }) => {
    return request.call === 'validateCommitmentTx' && request.fields.tx.tx.locktime === commitment.tx.locktime;
  });
  const request = present(step, 'the request').request;
  if (request.call !== 'validateCommitmentTx') return t.fail();
  const { sig, htlcSigs } = request.fields;
  const [first] = htlcSigs;
  if (first === undefined) return t.fail();
  const check = (signature: typeof sig, signatures: typeof htlcSigs) => {
    const result = checkCountersigned(secp, commitment, signature, signatures);
    const { differs } = result?.facts ?? {};
    return result && `${result.tag}: ${differs}`;
  };
  t.is(check(sig, htlcSigs), undefined);
  t.is(check({ ...sig, sighash: 0x83 }, htlcSigs), 'policy-commitment-countersigned: sighash type');
  t.is(
    check({ ...sig, signature: first.signature }, htlcSigs),
    'policy-commitment-countersigned: signature of the commitment',
  );
  t.is(check(sig, htlcSigs.slice(1)), 'policy-commitment-countersigned: number of HTLC signatures');
  t.is(check(sig, [...htlcSigs, first]), 'policy-commitment-countersigned: number of HTLC signatures');
  t.is(
    check(sig, [{ ...first, sighash: 0x01 }, ...htlcSigs.slice(1)]),
    'policy-commitment-countersigned: sighash type',
  );
  t.is(
    check(sig, htlcSigs.with(-1, { ...first, signature: sig.signature })),
    'policy-commitment-countersigned: signature of the HTLC transaction',
  );
});
