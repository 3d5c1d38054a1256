import test from 'ava';
import fc from 'fast-check';
import { WireError } from '../../../proto/hsmd/codec.ts';
import { readingsOf } from '../../../signer/approvals/readings.ts';
import { type Fields, msat, nodeId, protobuf } from './clients.ts';

const invoice = 'lnbc2500u1pvjluezsp5zyg3zyg3';
const hash = new Uint8Array(32).fill(3);

/** Methods by the names in them, without their services. */
const methods = (fields: Fields) => readingsOf(protobuf(fields)).map((uri) => uri.split('/').at(-1));

test('an invoice alone could be meant for many methods, decode among them', (t) => {
  const readings = methods([[1, invoice]]);
  for (const method of ['Pay', 'Xpay', 'Decode', 'PreApproveInvoice', 'ListPays', 'SignMessage'])
    t.true(readings.includes(method), method);
  for (const method of ['ListPeers', 'Close', 'TxSend', 'Invoice', 'FundChannel'])
    t.false(readings.includes(method), method);
});

const single: readonly (readonly [method: string, fields: Fields])[] = [
  [
    'Pay',
    [
      [1, invoice],
      [13, msat(5)],
    ],
  ],
  [
    'Pay',
    [
      [1, invoice],
      [11, msat(5)],
    ],
  ],
  [
    'Pay',
    [
      [1, invoice],
      [4, { double: 0.5 }],
    ],
  ],
  [
    'KeySend',
    [
      [1, nodeId],
      [10, msat(5)],
    ],
  ],
  [
    'Xkeysend',
    [
      [1, nodeId],
      [2, msat(5)],
      [4, msat(1)],
    ],
  ],
  [
    'PreApproveKeysend',
    [
      [1, nodeId],
      [2, hash],
      [3, msat(5)],
    ],
  ],
  [
    'SendPay',
    [
      [
        1,
        [
          [2, nodeId],
          [5, msat(5)],
        ],
      ],
      [2, hash],
    ],
  ],
  [
    'Withdraw',
    [
      [1, 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'],
      [2, [[1, msat(5000)]]],
    ],
  ],
  [
    'Withdraw',
    [
      [1, 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'],
      [2, [[2, 1]]],
    ],
  ],
  [
    'FundChannel',
    [
      [1, [[1, msat(5)]]],
      [9, nodeId],
    ],
  ],
  [
    'Invoice',
    [
      [2, 'coffee'],
      [3, 'label'],
      [10, [[1, msat(5)]]],
    ],
  ],
  [
    'LspInvoice',
    [
      [3, 5000],
      [4, 'coffee'],
      [5, 'label'],
    ],
  ],
];

for (const [i, [method, fields]] of single.entries())
  test(`only ${method} is written like request ${i + 1}, with fields ${fields.map(([number]) => number).join(', ')}`, (t) => {
    t.deepEqual(methods(fields), [method]);
  });

test('a keysend in its newer form is written as the start of a channel, or a message to a peer, is', (t) => {
  const readings = methods([
    [1, nodeId],
    [2, msat(5)],
  ]);
  t.deepEqual(readings, ['FundChannelStart', 'InjectOnionMessage', 'SendCustomMsg', 'Xkeysend']);
});

test('fields that are unknown, repeated, of a wrong kind, or missing make it no request', (t) => {
  const keysend: Fields = [
    [1, nodeId],
    [10, msat(5)],
  ];
  t.deepEqual(methods(keysend), ['KeySend']);
  t.deepEqual(methods([...keysend, [99, 1]]), []);
  t.deepEqual(methods([...keysend, [10, msat(6)]]), []);
  t.deepEqual(methods([...keysend, [10, 5]]), []);
  t.deepEqual(
    methods([
      [1, nodeId.subarray(1)],
      [10, msat(5)],
    ]),
    [],
  );
  t.deepEqual(
    methods([
      [1, nodeId],
      [
        10,
        [
          [1, 5],
          [2, 1],
        ],
      ],
    ]),
    [],
  );
  t.false(methods([[1, nodeId]]).includes('KeySend'));
});

test('random bytes throw WireError, nothing else', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        readingsOf(bytes);
      } catch (error: unknown) {
        if (!(error instanceof WireError)) throw error;
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});
