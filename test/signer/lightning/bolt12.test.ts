import { readFile } from 'node:fs/promises';
import { getPublicKey, schnorr } from '@noble/secp256k1';
import { bech32 } from '@scure/base';
import test from 'ava';
import fc from 'fast-check';
import { loadRecordings } from '../../../cli/recordings.ts';
import { concat, fromHex, toHex } from '../../../proto/bytes.ts';
import { trustPoints, wirestringText } from '../../../proto/hsmd/codec.ts';
import { decodeRequest } from '../../../proto/hsmd/message.ts';
import { parseHeader } from '../../../signer/chain/header.ts';
import { networkNamed } from '../../../signer/chain/networks.ts';
import { taggedHash } from '../../../signer/crypto/hash.ts';
import { parseBolt12Invoice, parseBolt12Offer } from '../../../signer/lightning/bolt12.ts';
import '../../../signer/crypto/noble.ts';
import { merkleRoot } from '../../../signer/lightning/bolt12_merkle.ts';
import { parseInvoice } from '../../../signer/lightning/invoice.ts';
import { InvoiceError } from '../../../signer/lightning/invoice_error.ts';
import { readRecords } from '../../../signer/lightning/tlv_records.ts';

interface Vectors {
  readonly merkle: readonly {
    readonly comment: string;
    readonly records: readonly string[];
    readonly merkle: string;
  }[];
  readonly strings: readonly { readonly comment: string; readonly valid: boolean; readonly string: string }[];
  readonly offers: readonly {
    readonly description: string;
    readonly valid: boolean;
    readonly offer: string;
    readonly issuer: string | null;
  }[];
}

// The file holds what its name says; a wrong one fails the tests that read it.
const vectors = JSON.parse(await readFile('test/vectors/invoices/bolt12.json', 'utf8')) as Vectors;

async function recordedInvoices(): Promise<readonly string[]> {
  const texts = new Set<string>();
  for (const { requests } of await loadRecordings(['test/vectors/hsmd/traces']))
    for (const { bytes } of requests) {
      const { call, fields } = decodeRequest(bytes, trustPoints);
      if (call === 'preapproveInvoiceCheck') texts.add(wirestringText(fields.invstring));
    }
  return [...texts].filter((text) => text.startsWith('lni1'));
}

const recorded = await recordedInvoices();
const regtest = networkNamed('regtest');

for (const { comment, records, merkle } of vectors.merkle) {
  test(`BOLT 12 merkle root: ${comment}`, (t) => {
    const stream = concat(...records.map(fromHex));
    t.is(toHex(merkleRoot(readRecords(stream)) ?? new Uint8Array()), merkle);
  });
}

for (const { comment, valid, string } of vectors.strings) {
  test(`BOLT 12 format: ${comment}`, (t) => {
    if (valid) t.notThrows(() => parseBolt12Offer(string));
    else t.throws(() => parseBolt12Offer(string), { instanceOf: InvoiceError });
  });
}

/** Faults of an offer that are for lightningd to see: they do not change what a payment of it means. */
const notOurs =
  /UTF-8|offer_chains|first_node_id|path_key|blinded_node_id in|invalid offer_issuer_id|feature|but has offer_amount|offer_currency|with currency|zero num_hops|path is empty/;

for (const { description, valid, offer, issuer } of vectors.offers) {
  if (!valid && notOurs.test(description)) continue;
  test(`BOLT 12 offer: ${description}`, (t) => {
    if (!valid) return t.throws(() => parseBolt12Offer(offer), { instanceOf: InvoiceError });
    const parsed = parseBolt12Offer(offer);
    return t.is(parsed.issuer && toHex(parsed.issuer), issuer ?? undefined);
  });
}

test('the recorded invoices of offers are signed by the issuers, for amounts and times that make sense', (t) => {
  t.is(recorded.length, 2);
  for (const text of recorded) {
    const invoice = parseBolt12Invoice(text);
    t.true(invoice.amountMsat > 0n && invoice.amountMsat % 1000n === 0n);
    t.is(invoice.expirySeconds, 7200);
    t.true(invoice.createdAt > 1_700_000_000);
    t.is(invoice.offerId?.length, 32);
    if (regtest === undefined) return t.fail();
    const chain = parseHeader(regtest.genesis).hash;
    t.deepEqual(parseInvoice(text, { ...regtest, chain }).paymentHash, invoice.paymentHash);
    t.throws(() => parseInvoice(text, { ...regtest, chain: new Uint8Array(32) }), { instanceOf: InvoiceError });
  }
});

test('an invoice with any altered letter is refused', (t) => {
  const [text = ''] = recorded;
  for (let at = 4; at < text.length - 1; at += 7) {
    const letter = text[at] === 'q' ? 'p' : 'q';
    t.throws(() => parseBolt12Invoice(text.slice(0, at) + letter + text.slice(at + 1)), { instanceOf: InvoiceError });
  }
});

function bigSize(value: number): Uint8Array {
  return value < 0xfd ? Uint8Array.of(value) : Uint8Array.of(0xfd, value >> 8, value & 0xff);
}

function record(type: number, value: Uint8Array): Uint8Array {
  return concat(bigSize(type), bigSize(value.length), value);
}

const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** An invoice with these records, signed with a key of this fill byte, whose node it states. */
function signedInvoice(signer: number, records: readonly (readonly [type: number, value: Uint8Array])[]): string {
  const key = new Uint8Array(32).fill(signer);
  const own: typeof records = [
    [164, Uint8Array.of(0x60, 0, 0, 0)],
    [168, new Uint8Array(32).fill(8)],
    [170, Uint8Array.of(0x03, 0xe8)],
    [176, getPublicKey(key)],
  ];
  const all = [...records, ...own].sort(([a], [b]) => a - b).map(([type, value]) => record(type, value));
  const root = merkleRoot(readRecords(concat(...all))) ?? new Uint8Array();
  const digest = taggedHash(['lightning', 'invoice', 'signature'], root);
  const stream = concat(...all, record(240, schnorr.sign(digest, key, new Uint8Array(32))));
  return `lni1${bech32
    .toWords(stream)
    .map((word) => alphabet[word])
    .join('')}`;
}

const node = (fill: number) => getPublicKey(new Uint8Array(32).fill(fill));

/** One blinded path whose last hop is this node. */
function path(end: Uint8Array): Uint8Array {
  return concat(node(5), node(5), Uint8Array.of(2), node(6), Uint8Array.of(0, 1, 9), end, Uint8Array.of(0, 0));
}

test('an invoice answers an offer only if its issuer, or the end of one of its paths, signed it', (t) => {
  const refused = (text: string) =>
    t.throws(() => parseBolt12Invoice(text), { instanceOf: InvoiceError, message: /issuer/ });
  t.is(parseBolt12Invoice(signedInvoice(1, [[22, node(1)]])).offerId?.length, 32);
  refused(signedInvoice(2, [[22, node(1)]]));
  t.is(parseBolt12Invoice(signedInvoice(1, [[16, path(node(1))]])).offerId?.length, 32);
  t.truthy(parseBolt12Invoice(signedInvoice(1, [[16, concat(path(node(3)), path(node(1)))]])).offerId);
  refused(signedInvoice(2, [[16, path(node(1))]]));
  refused(
    signedInvoice(1, [
      [16, path(node(1))],
      [22, node(2)],
    ]),
  );
  const refund = signedInvoice(1, [[10, new TextEncoder().encode('refund')]]);
  t.is(parseBolt12Invoice(refund).offerId, undefined, 'it answers no offer');
});

test('an offer and the invoice that answers it have the same id', (t) => {
  const description = new TextEncoder().encode('tea');
  const stream = concat(record(8, Uint8Array.of(100)), record(10, description), record(22, node(1)));
  const offer = parseBolt12Offer(
    `lno1${bech32
      .toWords(stream)
      .map((word) => alphabet[word])
      .join('')}`,
  );
  const answer = (amount: number) =>
    signedInvoice(1, [
      [0, Uint8Array.of(1)],
      [8, Uint8Array.of(amount)],
      [10, description],
      [22, node(1)],
      [88, node(9)],
    ]);
  t.is(offer.amountMsat, 100n);
  t.deepEqual(parseBolt12Invoice(answer(100)).offerId, offer.id);
  t.notDeepEqual(parseBolt12Invoice(answer(101)).offerId, offer.id);
});

test('random texts throw InvoiceError, nothing else', (t) => {
  const letters = fc.string({
    unit: fc.constantFrom(...'qpzry9x8gf2tvdw0s3jn54khce6mua7l+ Bb1'.split('')),
    maxLength: 200,
  });
  fc.assert(
    fc.property(letters, (tail) => {
      for (const read of [() => parseBolt12Invoice(`lni1${tail}`), () => parseBolt12Offer(`lno1${tail}`)])
        try {
          read();
        } catch (error: unknown) {
          if (!(error instanceof InvoiceError)) throw error;
        }
    }),
    { numRuns: 500 },
  );
  t.pass();
});
