/** What BOLT 3 fixes and no recording shows: fees by weight, the order of equal HTLCs, keys beside their secrets. */

import test from 'ava';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import { Secret } from '../../../proto/secret.ts';
import { revocationSecret, tweakedSecret } from '../../../signer/keys/tweak.ts';
import { channelType } from '../../../signer/lightning/channel.ts';
import { buildCommitment, commitmentPsbt } from '../../../signer/lightning/commitment.ts';
import { commitmentFee, expectedWeight, feerateOf, htlcFee, isTrimmed } from '../../../signer/lightning/fees.ts';
import { htlcTransactions } from '../../../signer/lightning/htlc_tx.ts';
import { commitmentKeys, deriveCommitmentKeys, derivedPubkey, publicPart } from '../../../signer/lightning/keys.ts';
import { recogniseCommitment } from '../../../signer/lightning/recognise.ts';
import { pushedNumber, pushNumber } from '../../../signer/lightning/template.ts';
import { commitmentIn, secp } from './commitments.ts';
import { present, replay } from './replay.ts';

const htlc = { side: 'local', amount: 5_000_000n, paymentHash: new Uint8Array(32).fill(5), cltvExpiry: 600 } as const;

test('fees are weight times feerate, rounded down (BOLT 3 §Fee Calculation)', (t) => {
  t.is(expectedWeight(false, 0), 724n);
  t.is(expectedWeight(true, 3), 1640n);
  t.is(commitmentFee(5000, false, 2), 5340n);
  t.is(commitmentFee(253, true, 0), 284n);
  t.is(htlcFee('timeout', 5000, false), 3315n);
  t.is(htlcFee('success', 5000, false), 3515n);
  t.is(htlcFee('timeout', 5000, true), 0n);
});

test('the feerate of a fee is the highest that gives it', (t) => {
  for (const anchors of [false, true])
    for (const htlcs of [0, 1, 7])
      for (const feerate of [0, 1, 253, 254, 1255, 25_000, 1_000_000]) {
        const fee = commitmentFee(feerate, anchors, htlcs);
        const highest = feerateOf(fee, anchors, htlcs);
        t.true(highest >= feerate);
        t.is(commitmentFee(highest, anchors, htlcs), fee);
        t.true(commitmentFee(highest + 1, anchors, htlcs) > fee);
      }
  t.is(feerateOf(-1n, true, 0), 0);
});

test('an HTLC is trimmed below the dust limit and its own transaction’s fee (BOLT 3 §Trimmed Outputs)', (t) => {
  const of = (amount: bigint) => ({ ...htlc, amount });
  t.true(isTrimmed(of(545_999n), 'local', 5000, true, 546n));
  t.false(isTrimmed(of(546_000n), 'local', 5000, true, 546n));
  t.true(isTrimmed(of(3_860_999n), 'local', 5000, false, 546n));
  t.false(isTrimmed(of(3_861_000n), 'local', 5000, false, 546n));
  t.true(isTrimmed(of(4_060_999n), 'remote', 5000, false, 546n));
  t.false(isTrimmed(of(4_061_000n), 'remote', 5000, false, 546n));
});

test('equal HTLCs that the owner offered go by expiry, in whatever order they are listed', (t) => {
  const step = present(
    [...replay('close_no_anchors/l1')].find(({ request }) => request.call === 'validateCommitmentTx'),
    'a commitment',
  );
  const { id } = present(commitmentIn(step), 'a commitment');
  const early = { ...htlc, cltvExpiry: 500 };
  const later = { ...htlc, amount: htlc.amount + 999n, cltvExpiry: 700 };
  for (const htlcs of [
    [later, htlc, early],
    [early, later, htlc],
  ]) {
    const content = { toOwner: 100_000n, toOther: undefined, htlcs, leaseCsv: 1 };
    const built = buildCommitment(id, content);
    const given = { tx: { tx: built.tx, psbt: commitmentPsbt(id, built, undefined) }, htlcs, feerate: 1000 };
    const commitment = recogniseCommitment(id, given);
    t.true(commitment.ok);
    if (!commitment.ok) continue;
    const transactions = htlcTransactions(commitment);
    t.deepEqual(
      transactions.map(({ tx }) => tx.locktime),
      [500, 600, 700],
    );
    t.deepEqual(
      transactions.map(({ output }) => output),
      [0, 1, 2],
    );
  }
});

test('public keys of a commitment are those of the secret ones', (t) => {
  const secret = (byte: number) => Secret.copyOf(new Uint8Array(32).fill(byte));
  const [base, perCommitment] = [secret(0x11), secret(0x22)];
  const [basepoint, point] = [secp.publicKey(base), secp.publicKey(perCommitment)];
  const pair = { secret: base, point: basepoint };
  t.is(toHex(derivedPubkey(secp, basepoint, point)), toHex(secp.publicKey(tweakedSecret(secp, pair, point))));
  const revocation = present(revocationSecret(secp, pair, perCommitment), 'the secret');
  const basepoints = { revocation: basepoint, payment: basepoint, htlc: basepoint, delayedPayment: basepoint };
  const part = publicPart(secp, basepoints);
  const keys = deriveCommitmentKeys(secp, { owner: part, other: part }, basepoints, point);
  t.is(toHex(keys.revocation), toHex(secp.publicKey(revocation)));
});

test('the keys of the last commitments are remembered, each side’s apart', (t) => {
  const step = present(
    [...replay('splice/l1')].find(({ request }) => request.call === 'validateCommitmentTx'),
    'a commitment',
  );
  const { id, point } = present(commitmentIn(step), 'a commitment');
  const { channel } = id;
  t.is(commitmentKeys(secp, channel, 'local', point), commitmentKeys(secp, channel, 'local', point));
  t.notDeepEqual(commitmentKeys(secp, channel, 'remote', point), commitmentKeys(secp, channel, 'local', point));
  t.deepEqual(commitmentKeys(secp, { ...channel }, 'local', point), commitmentKeys(secp, channel, 'local', point));
});

test('a channel type is big-endian feature bits', (t) => {
  const type = (hex: string) => channelType(fromHex(hex));
  t.deepEqual(type(''), { staticRemotekey: false, anchorOutputs: false, anchors: false });
  t.deepEqual(type('1000'), { staticRemotekey: true, anchorOutputs: false, anchors: false });
  t.deepEqual(type('101000'), { staticRemotekey: true, anchorOutputs: true, anchors: false });
  t.deepEqual(type('04400000401000'), { staticRemotekey: true, anchorOutputs: false, anchors: true });
});

test('numbers in scripts have one form', (t) => {
  for (const number of [0, 1, 16, 17, 127, 128, 144, 255, 256, 4032, 32767, 32768, 800_000, 2 ** 31, 2 ** 32 - 1])
    t.is(pushedNumber(pushNumber('delay', number).push), number);
  t.deepEqual([...pushNumber('delay', 144).push], [2, 0x90, 0]);
  for (const other of ['0101', '0100', '020500', '0181', '4f', '06000000000001', ''])
    t.is(pushedNumber(fromHex(other)), undefined, other);
});
