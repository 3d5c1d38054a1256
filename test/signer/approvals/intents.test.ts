import { sha256 } from '@noble/hashes/sha2.js';
import test from 'ava';
import fc from 'fast-check';
import { WireError } from '../../../proto/hsmd/codec.ts';
import { AddressError } from '../../../signer/approvals/address.ts';
import { asksForLeave, IntentError } from '../../../signer/approvals/intents.ts';
import { InvoiceError } from '../../../signer/lightning/invoice_error.ts';
import { type Fields, msat } from './clients.ts';

import { address, cases, coffee, donation, meaning, offer, openOffer } from './meant.ts';

for (const [what, uri, fields, intents] of cases)
  test(`${uri} means ${what}`, (t) => {
    t.deepEqual(meaning(uri, fields), intents);
    if (intents.length > 0) t.true(asksForLeave(uri));
  });

test('an offer is meant with its price, or with the amount beside it', (t) => {
  const [priced] = meaning('/cln.Node/Xpay', [[1, offer]]);
  t.like(priced, { wish: { kind: 'offer', amount: 10_000n }, leaves: 10_000n });
  t.is(
    meaning('/cln.Node/Xpay', [
      [1, openOffer],
      [2, msat(77)],
    ])[0]?.leaves,
    77n,
  );
  t.throws(() => meaning('/cln.Node/Xpay', [[1, openOffer]]), { instanceOf: IntentError });
});

test('an invoice to issue is meant with all its terms', (t) => {
  const preimage = new Uint8Array(32).fill(4);
  const terms = {
    amountMsat: 5n,
    description: 'tea',
    hashOnly: true,
    expirySeconds: 60,
    paymentHash: sha256(preimage),
  };
  const fields: Fields = [
    [2, 'tea'],
    [3, 'l'],
    [5, preimage],
    [7, 60],
    [9, 1],
    [10, [[1, msat(5)]]],
  ];
  t.deepEqual(meaning('/cln.Node/Invoice', fields)[0]?.wish, { kind: 'issue', ...terms });
  const any = {
    amountMsat: undefined,
    description: '',
    hashOnly: false,
    expirySeconds: 604_800,
    paymentHash: undefined,
  };
  t.deepEqual(
    meaning('/cln.Node/Invoice', [
      [3, 'l'],
      [10, [[2, 1]]],
    ])[0]?.wish,
    { kind: 'issue', ...any },
  );
});

test('what cannot be granted as it stands is refused', (t) => {
  const refused = (uri: string, fields: Fields, type: typeof IntentError | typeof InvoiceError | typeof AddressError) =>
    t.throws(() => meaning(uri, fields), { instanceOf: type });
  refused('/cln.Node/Pay', [[1, donation]], IntentError);
  refused(
    '/cln.Node/Pay',
    [
      [1, coffee],
      [13, msat(1)],
    ],
    IntentError,
  );
  refused(
    '/cln.Node/Pay',
    [
      [1, coffee],
      [4, { double: Number.NaN }],
    ],
    IntentError,
  );
  refused(
    '/cln.Node/Pay',
    [
      [1, coffee],
      [4, { double: 101 }],
    ],
    IntentError,
  );
  refused('/cln.Node/Pay', [], IntentError);
  refused('/cln.Node/Pay', [[1, 'lnbc1garbage']], InvoiceError);
  refused(
    '/cln.Node/Withdraw',
    [
      [1, 'elsewhere'],
      [2, [[2, 1]]],
    ],
    AddressError,
  );
  refused('/cln.Node/Withdraw', [[1, address]], IntentError);
  refused(
    '/cln.Node/Close',
    [
      [1, '1x2x3'],
      [3, address],
    ],
    IntentError,
  );
  refused(
    '/cln.Node/Withdraw',
    [
      [1, address],
      [2, [[2, 0]]],
    ],
    IntentError,
  );
  refused(
    '/cln.Node/SpliceOut',
    [
      [1, 'ab'],
      [2, '50%'],
      [3, address],
    ],
    IntentError,
  );
  refused(
    '/cln.Node/MultiFundChannel',
    [
      [
        1,
        [
          [1, 'somebody'],
          [2, [[1, msat(1)]]],
        ],
      ],
    ],
    IntentError,
  );
});

test('random messages throw only what is declared, whatever the method', (t) => {
  const uris = cases.map(([, uri]) => uri);
  const value = fc.oneof(
    fc.bigInt(0n, 2n ** 64n - 1n),
    fc.constantFrom(coffee, donation, offer, address, '5'),
    fc.string(),
    fc.uint8Array({ maxLength: 40 }),
    fc.double().map((double) => ({ double })),
    fc.constant(msat(5)),
  );
  fc.assert(
    fc.property(fc.constantFrom(...uris), fc.array(fc.tuple(fc.integer({ min: 1, max: 16 }), value)), (uri, fields) => {
      try {
        meaning(uri, fields);
      } catch (error: unknown) {
        const declared = [IntentError, InvoiceError, AddressError, WireError];
        if (!declared.some((type) => error instanceof type)) throw error;
      }
    }),
    { numRuns: 1000 },
  );
  t.pass();
});
