/** BOLT 3's own test vectors: appendix C (commitments and HTLC transactions), E (keys) and F (the same with anchors). */

import { readFileSync } from 'node:fs';
import { sha256 } from '@noble/hashes/sha2.js';
import test from 'ava';
import { derSignature } from '../../../proto/bitcoin/der.ts';
import { parseTransaction, serializeTransaction } from '../../../proto/bitcoin/tx.ts';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { Channel, Funding } from '../../../signer/lightning/channel.ts';
import { buildCommitment, commitmentPsbt } from '../../../signer/lightning/commitment.ts';
import { checkCountersigned, htlcSighashType } from '../../../signer/lightning/countersigned.ts';
import { anchorValue, commitmentFee, isTrimmed } from '../../../signer/lightning/fees.ts';
import { htlcTransactions } from '../../../signer/lightning/htlc_tx.ts';
import {
  commitmentKeys,
  deriveCommitmentKeys,
  derivedPubkey,
  obscuringFactor,
  publicPart,
} from '../../../signer/lightning/keys.ts';
import { type Commitment, recogniseCommitment } from '../../../signer/lightning/recognise.ts';
import { secp } from './commitments.ts';
import { present } from './replay.ts';

interface Vector {
  readonly of: 'C' | 'F';
  readonly number: number;
  readonly anchors: boolean;
  /** Numbers of the HTLCs it has. */
  readonly htlcs: readonly number[];
  readonly toLocalMsat: string;
  readonly toRemoteMsat: string;
  readonly feerate: number;
  readonly dustLimit: string;
  /** With witness. */
  readonly tx: string;
  /** The peer's, DER. */
  readonly signature: string;
  readonly htlcTxs: readonly { readonly signature: string; readonly tx: string }[];
}

interface Vectors {
  readonly parameters: Readonly<Record<string, string>>;
  readonly htlcs: readonly {
    readonly number: number;
    readonly offeredBy: 'local' | 'remote';
    readonly amountMsat: string;
    readonly preimage: string;
    readonly expiry: number;
  }[];
  readonly commitments: readonly Vector[];
  readonly derivation: Readonly<Record<string, string>>;
}

const vectors = JSON.parse(readFileSync('test/vectors/bolt3.json', 'utf8')) as Vectors; // our own file
const parameter = (name: string): string => present(vectors.parameters[name], name);
const point = (name: string): Uint8Array => fromHex(parameter(name));

function htlcsOf({ htlcs }: Vector): readonly Htlc[] {
  return htlcs.map((n) => {
    const { offeredBy, amountMsat, preimage, expiry } = present(
      vectors.htlcs.find(({ number }) => number === n),
      `HTLC ${n}`,
    );
    const paymentHash = sha256(fromHex(preimage));
    return { side: offeredBy, amount: BigInt(amountMsat), paymentHash, cltvExpiry: expiry };
  });
}

function channelWith(anchors: boolean): Channel {
  const local = point('local_payment_basepoint');
  const remote = point('remote_payment_basepoint');
  const delayedPayment = point('local_delayed_payment_basepoint');
  return {
    opener: 'local',
    anchors,
    local: {
      basepoints: { revocation: local, payment: local, htlc: point('local_htlc_basepoint'), delayedPayment },
      toSelfDelay: 0,
    },
    remote: {
      basepoints: {
        revocation: point('remote_revocation_basepoint'),
        payment: remote,
        htlc: point('remote_htlc_basepoint'),
        delayedPayment: remote,
      },
      toSelfDelay: Number(parameter('local_delay')),
    },
  };
}

function funding(): Funding {
  return {
    txid: point('funding_tx_id').toReversed(),
    vout: Number(parameter('funding_output_index')),
    value: BigInt(parameter('funding_amount_satoshi')),
    localPubkey: point('local_funding_pubkey'),
    remotePubkey: point('remote_funding_pubkey'),
  };
}

/** 64 bytes of a DER signature. */
function compact(der: string): Uint8Array {
  const bytes = fromHex(der);
  const out = new Uint8Array(64);
  const rLength = bytes[3] ?? 0;
  const [r, s] = [bytes.subarray(4, 4 + rLength), bytes.subarray(6 + rLength)];
  out.set(r.subarray(Math.max(0, r.length - 32)), 32 - Math.min(32, r.length));
  out.set(s.subarray(Math.max(0, s.length - 32)), 64 - Math.min(32, s.length));
  return out;
}

/** Trims, takes the fee, builds, and recognises what was built. */
function rebuilt(vector: Vector): Commitment {
  const { anchors, feerate } = vector;
  const [dustLimit, toLocalMsat, toRemoteMsat] = [vector.dustLimit, vector.toLocalMsat, vector.toRemoteMsat].map(
    BigInt,
  ) as [bigint, bigint, bigint]; // three in, three out
  const channel = channelWith(anchors);
  const keys = commitmentKeys(secp, channel, 'local', point('local_per_commitment_point'));
  const id = {
    channel,
    funding: funding(),
    owner: 'local',
    number: BigInt(parameter('commitment_number')),
    keys,
  } as const;
  const htlcs = htlcsOf(vector).filter((htlc) => !isTrimmed(htlc, 'local', feerate, anchors, dustLimit));
  const fee = commitmentFee(feerate, anchors, htlcs.length) + (anchors ? 2n * anchorValue : 0n);
  const undust = (amount: bigint) => (amount < dustLimit ? undefined : amount);
  const content = {
    toOwner: undust(toLocalMsat / 1000n - fee),
    toOther: undust(toRemoteMsat / 1000n),
    htlcs,
    leaseCsv: 1,
  };
  const built = buildCommitment(id, content);
  const signature = compact(vector.signature);
  const given = { tx: { tx: built.tx, psbt: commitmentPsbt(id, built, signature) }, htlcs, feerate, signature };
  const commitment = recogniseCommitment(id, given);
  if (!commitment.ok) throw new Error(commitment.tag);
  return commitment;
}

function unsigned(hex: string): string {
  return toHex(serializeTransaction(parseTransaction(fromHex(hex)), { witness: false }));
}

for (const vector of vectors.commitments)
  test(`BOLT 3 appendix ${vector.of}, commitment ${vector.number}: ${vector.htlcs.length} HTLCs at feerate ${vector.feerate}`, (t) => {
    const commitment = rebuilt(vector);
    t.is(toHex(serializeTransaction(commitment.tx)), unsigned(vector.tx));
    const transactions = htlcTransactions(commitment);
    t.deepEqual(
      transactions.map(({ tx }) => toHex(serializeTransaction(tx))),
      vector.htlcTxs.map(({ tx }) => unsigned(tx)),
    );
    const sighash = htlcSighashType(vector.anchors) === 1 ? 1 : 0x83;
    const signatures = vector.htlcTxs.map((htlc) => ({ signature: compact(htlc.signature), sighash }) as const);
    const signature = { signature: compact(vector.signature), sighash: 1 } as const;
    t.is(toHex(derSignature(signature.signature)), vector.signature);
    t.is(checkCountersigned(secp, commitment, signature, signatures), undefined);
  });

test('BOLT 3 appendix C: keys and the obscuring factor', (t) => {
  const channel = channelWith(false);
  t.is(obscuringFactor(channel), 0x2bb038521914n);
  const keys = commitmentKeys(secp, channel, 'local', point('local_per_commitment_point'));
  t.is(toHex(keys.ownerHtlc), parameter('local_htlcpubkey'));
  t.is(toHex(keys.otherHtlc), parameter('remote_htlcpubkey'));
  t.is(toHex(keys.ownerDelayed), parameter('local_delayedpubkey'));
  t.is(toHex(keys.revocation), parameter('local_revocation_pubkey'));
});

test('BOLT 3 appendix E: key derivation', (t) => {
  const named = (name: string) => present(vectors.derivation[name], name);
  const [base, per] = [fromHex(named('base_point')), fromHex(named('per_commitment_point'))];
  t.is(toHex(derivedPubkey(secp, base, per)), named('localpubkey'));
  const basepoints = { revocation: base, payment: base, htlc: base, delayedPayment: base };
  const part = publicPart(secp, basepoints);
  const keys = deriveCommitmentKeys(secp, { owner: part, other: part }, basepoints, per);
  t.is(toHex(keys.ownerDelayed), named('localpubkey'));
  t.is(toHex(keys.revocation), named('revocationpubkey'));
});
