import { readFile } from 'node:fs/promises';
import { bech32 } from '@scure/base';
import test from 'ava';
import fc from 'fast-check';
import { loadRecordings } from '../../../cli/recordings.ts';
import { toHex } from '../../../proto/bytes.ts';
import { trustPoints, wirestringText } from '../../../proto/hsmd/codec.ts';
import { decodeRequest } from '../../../proto/hsmd/message.ts';
import { parseBolt11, readBolt11 } from '../../../signer/lightning/bolt11.ts';
import { InvoiceError } from '../../../signer/lightning/invoice_error.ts';

interface Vectors {
  readonly valid: readonly {
    readonly title: string;
    readonly invoice: string;
    readonly prefix: string;
    readonly amountMsat: number | null;
    readonly paymentHash: string;
    readonly createdAt: number;
    readonly expirySeconds: number;
    readonly minFinalCltv: number;
    readonly description: string | null;
    readonly payee: string;
  }[];
  readonly invalid: readonly { readonly title: string; readonly invoice: string }[];
}

// The file holds what its name says; a wrong one fails the tests that read it.
const vectors = JSON.parse(await readFile('test/vectors/invoices/bolt11.json', 'utf8')) as Vectors;

for (const vector of vectors.valid) {
  test(`BOLT 11: ${vector.title}`, (t) => {
    const invoice = parseBolt11(vector.invoice);
    t.is(invoice.prefix, vector.prefix);
    t.is(invoice.amountMsat, vector.amountMsat === null ? undefined : BigInt(vector.amountMsat));
    t.is(toHex(invoice.paymentHash), vector.paymentHash);
    t.is(invoice.createdAt, vector.createdAt);
    t.is(invoice.expirySeconds, vector.expirySeconds);
    t.is(invoice.minFinalCltv, vector.minFinalCltv);
    t.is(invoice.description, vector.description ?? undefined);
    t.is(invoice.descriptionHash === undefined, invoice.description !== undefined);
    t.is(toHex(invoice.paymentSecret), '11'.repeat(32));
    t.is(toHex(invoice.payee), vector.payee);
  });
}

for (const { title, invoice } of vectors.invalid) {
  test(`BOLT 11, invalid: ${title}`, (t) => {
    t.throws(() => parseBolt11(invoice), { instanceOf: InvoiceError });
  });
}

test('every invoice in the recordings parses, with and without its signature, to the same', async (t) => {
  const asked = new Set<string>();
  let signed = 0;
  for (const { requests } of await loadRecordings(['test/vectors/hsmd/traces'])) {
    for (const { bytes } of requests) {
      const { call, fields } = decodeRequest(bytes, trustPoints);
      if (call === 'preapproveInvoiceCheck') asked.add(wirestringText(fields.invstring));
      if (call !== 'signInvoice') continue;
      // What is signed for a BOLT 11 invoice has no signature behind it yet.
      const content = readBolt11(wirestringText(fields.hrp), [...fields.u5bytes]);
      t.is(content.paymentHash.length, 32);
      signed++;
    }
  }
  t.true(signed > 100);
  const bolt11 = [...asked].filter((text) => text.startsWith('lnbcrt'));
  t.true(bolt11.length > 100);
  for (const text of bolt11) {
    const { payee, ...content } = parseBolt11(text);
    t.is(payee.length, 33);
    const { prefix, words } = bech32.decode(text, false);
    t.deepEqual(readBolt11(prefix, words.slice(0, -104)), content);
  }
});

/** An invoice with other words behind the same human-readable part, its checksum made good again. */
function altered(text: string, change: (words: number[]) => void): string {
  const { prefix, words } = bech32.decode(text, false);
  change(words);
  return bech32.encode(prefix, words, false);
}

const [, coffee] = vectors.valid;

test('an altered word changes the payee or is an error: it never passes for the payee’s own', (t) => {
  const text = coffee?.invoice ?? '';
  const { length } = bech32.decode(text, false).words;
  for (let at = 0; at < length - 1; at += 3) {
    try {
      const { payee } = parseBolt11(altered(text, (words) => words.splice(at, 1, (words[at] ?? 0) ^ 1)));
      t.not(toHex(payee), coffee?.payee, `word ${at}`);
    } catch (error: unknown) {
      t.true(error instanceof InvoiceError, String(error));
    }
  }
});

test('random texts, fields and signatures throw InvoiceError, nothing else', (t) => {
  const harmless = (text: string) => {
    try {
      parseBolt11(text);
    } catch (error: unknown) {
      if (!(error instanceof InvoiceError)) throw error;
    }
  };
  const words = (maxLength: number) => fc.array(fc.nat(31), { maxLength });
  fc.assert(fc.property(fc.string(), harmless));
  fc.assert(
    fc.property(fc.stringMatching(/^ln[a-z]{1,4}[0-9]{0,12}[munpx]?$/), words(300), (prefix, data) =>
      harmless(bech32.encode(prefix, data, false)),
    ),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.nat(10_000), words(3), (at, data) =>
      harmless(altered(coffee?.invoice ?? '', (all) => all.splice(at % all.length, data.length, ...data))),
    ),
    { numRuns: 300 },
  );
  t.pass();
});
