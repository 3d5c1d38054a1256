/**
 * BOLT 3's own test vectors: appendix C (commitments and HTLC transactions), E (keys) and F (the same with anchors), as
 * published. `BOLT3_VECTORS` names another folder to read them from.
 */

import { existsSync, readFileSync } from 'node:fs';
import { sha256 } from '@noble/hashes/sha2.js';
import test from 'ava';
import { parseTransaction, serializeTransaction } from '../../../proto/bitcoin/tx.ts';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { derSignature } from '../../../signer/bitcoin/script.ts';
import type { Channel, Funding } from '../../../signer/lightning/channel.ts';
import { buildCommitment, commitmentPsbt } from '../../../signer/lightning/commitment.ts';
import { checkCountersigned, htlcSighashType } from '../../../signer/lightning/countersigned.ts';
import { anchorValue, commitmentFee, isTrimmed } from '../../../signer/lightning/fees.ts';
import { htlcTransactions } from '../../../signer/lightning/htlc_tx.ts';
import { commitmentKeys, derivedPubkey, obscuringFactor, revocationPubkey } from '../../../signer/lightning/keys.ts';
import { type Commitment, recogniseCommitment } from '../../../signer/lightning/recognise.ts';
import { secp } from './commitments.ts';
import { present } from './replay.ts';

const { BOLT3_VECTORS: folder = 'test/vectors/bolt3' } = process.env;
const published = existsSync(folder) ? test : test.skip;

function text(file: string): string {
  return existsSync(folder) ? readFileSync(`${folder}/${file}`, 'utf8') : '';
}

/** `name: value` and `name = value` lines, in order. */
function values(of: string): readonly (readonly [name: string, value: string])[] {
  return of
    .split('\n')
    .map((line) => /^\s*(?:#\s+|INTERNAL: )?(.+?)(?:: | = )(.+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, name = '', value = '']) => [name, value.replace(/^0x/, '')]);
}

function named(of: ReturnType<typeof values>, name: string): string {
  return present(of.find(([known]) => known === name)?.[1], name);
}

const [parameters = '', ...cases] = text('appendix_c.txt').split(/^ *name: /m);
const common = values(parameters);
const point = (name: string): Uint8Array => fromHex(named(common, name));

interface Vector {
  readonly name: string;
  readonly anchors: boolean;
  readonly toLocalMsat: bigint;
  readonly toRemoteMsat: bigint;
  readonly feerate: number;
  readonly dustLimit: bigint;
  /** With witness. */
  readonly tx: string;
  /** The peer's, DER. */
  readonly signature: string;
  readonly htlcs: readonly { readonly signature: string; readonly tx: string }[];
}

function fromAppendixC(vector: string): Vector {
  const lines = values(vector);
  const all = (name: RegExp) => lines.filter(([known]) => name.test(known)).map(([, value]) => value);
  const htlcTxs = all(/^htlc_\w+_tx/);
  return {
    name: vector.split('\n')[0] ?? '',
    anchors: false,
    toLocalMsat: BigInt(named(lines, 'to_local_msat')),
    toRemoteMsat: BigInt(named(lines, 'to_remote_msat')),
    feerate: Number(named(lines, 'local_feerate_per_kw')),
    dustLimit: BigInt(named(common, 'local_dust_limit_satoshi')),
    tx: named(lines, 'output commit_tx'),
    signature: named(lines, 'remote_signature'),
    htlcs: all(/^remote_htlc_signature$/).map((signature, i) => ({ signature, tx: htlcTxs[i] ?? '' })),
  };
}

interface Published {
  readonly Name: string;
  readonly LocalBalance: number;
  readonly RemoteBalance: number;
  readonly DustLimitSatoshis: number;
  readonly FeePerKw: number;
  readonly HtlcDescs: readonly { readonly RemoteSigHex: string; readonly ResolutionTxHex: string }[];
  readonly ExpectedCommitmentTxHex: string;
  readonly RemoteSigHex: string;
}

function fromAppendixF(vector: Published): Vector {
  return {
    name: vector.Name,
    anchors: true,
    toLocalMsat: BigInt(vector.LocalBalance),
    toRemoteMsat: BigInt(vector.RemoteBalance),
    feerate: vector.FeePerKw,
    dustLimit: BigInt(vector.DustLimitSatoshis),
    tx: vector.ExpectedCommitmentTxHex,
    signature: vector.RemoteSigHex,
    htlcs: vector.HtlcDescs.map(({ RemoteSigHex, ResolutionTxHex }) => ({
      signature: RemoteSigHex,
      tx: ResolutionTxHex,
    })),
  };
}

/** The HTLCs a vector has: none, numbers 1, 5 and 6, or the first five. */
function htlcsOf({ name }: Vector): readonly Htlc[] {
  const numbers = name.startsWith('simple') ? [] : /same amount and preimage/.test(name) ? [1, 5, 6] : [0, 1, 2, 3, 4];
  return numbers.map((n) => ({
    side: named(common, `htlc ${n} direction`).startsWith('local') ? 'local' : 'remote',
    amount: BigInt(named(common, `htlc ${n} amount_msat`)),
    paymentHash: sha256(point(`htlc ${n} payment_preimage`)),
    cltvExpiry: Number(named(common, `htlc ${n} expiry`)),
  }));
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
      toSelfDelay: Number(named(common, 'local_delay')),
    },
  };
}

function funding(): Funding {
  return {
    txid: point('funding_tx_id').toReversed(),
    vout: Number(named(common, 'funding_output_index')),
    value: BigInt(named(common, 'funding_amount_satoshi')),
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
  const { anchors, feerate, dustLimit, toLocalMsat, toRemoteMsat } = vector;
  const channel = channelWith(anchors);
  const keys = commitmentKeys(secp, channel, 'local', point('local_per_commitment_point'));
  const id = {
    channel,
    funding: funding(),
    owner: 'local',
    number: BigInt(named(common, 'commitment_number')),
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

const vectors = [
  ...cases.map(fromAppendixC),
  ...(JSON.parse(text('appendix_f.json') || '[]') as readonly Published[]).map(fromAppendixF), // the file is as published
];

for (const vector of vectors)
  published(`BOLT 3 ${vector.anchors ? 'F, with anchors' : 'C'}: ${vector.name}`, (t) => {
    const commitment = rebuilt(vector);
    t.is(toHex(serializeTransaction(commitment.tx)), unsigned(vector.tx));
    const transactions = htlcTransactions(commitment);
    t.deepEqual(
      transactions.map(({ tx }) => toHex(serializeTransaction(tx))),
      vector.htlcs.map(({ tx }) => unsigned(tx)),
    );
    const sighash = htlcSighashType(vector.anchors) === 1 ? 1 : 0x83;
    const signatures = vector.htlcs.map((htlc) => ({ signature: compact(htlc.signature), sighash }) as const);
    const signature = { signature: compact(vector.signature), sighash: 1 } as const;
    t.is(toHex(derSignature(signature.signature)), vector.signature);
    t.is(checkCountersigned(secp, commitment, signature, signatures), undefined);
  });

published('BOLT 3 C and F have all their vectors', (t) => {
  t.is(vectors.filter(({ anchors }) => !anchors).length, 16);
  t.is(vectors.filter(({ anchors }) => anchors).length, 9);
});

published('BOLT 3 C: keys and the obscuring factor', (t) => {
  const channel = channelWith(false);
  t.is(obscuringFactor(channel), 0x2bb038521914n);
  const keys = commitmentKeys(secp, channel, 'local', point('local_per_commitment_point'));
  t.is(toHex(keys.ownerHtlc), named(common, 'local_htlcpubkey'));
  t.is(toHex(keys.otherHtlc), named(common, 'remote_htlcpubkey'));
  t.is(toHex(keys.ownerDelayed), named(common, 'local_delayedpubkey'));
  t.is(toHex(keys.revocation), named(common, 'local_revocation_pubkey'));
});

published('BOLT 3 E: key derivation', (t) => {
  const lines = values(text('appendix_e.txt'));
  const [base, per] = [fromHex(named(lines, 'base_point')), fromHex(named(lines, 'per_commitment_point'))];
  t.is(toHex(derivedPubkey(secp, base, per)), named(lines, 'localpubkey'));
  t.is(toHex(revocationPubkey(secp, base, per)), named(lines, 'revocationpubkey'));
});
