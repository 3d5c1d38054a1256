/** Requests of clients and what each of them means, one row each. */

import { readFile } from 'node:fs/promises';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import { scriptOfAddress } from '../../../signer/approvals/address.ts';
import { type Intent, intentsOf } from '../../../signer/approvals/intents.ts';
import { readMessage } from '../../../signer/approvals/protobuf.ts';
import { network } from '../chain/mining.ts';
import { type Fields, msat, nodeId, protobuf } from './clients.ts';

interface Bolt11Vectors {
  readonly valid: readonly { readonly invoice: string }[];
}
interface Bolt12Vectors {
  readonly offers: readonly { readonly description: string; readonly offer: string }[];
}

// The files hold what their names say; wrong ones fail the tests that read them.
const bolt11 = JSON.parse(await readFile('test/vectors/invoices/bolt11.json', 'utf8')) as Bolt11Vectors;
const bolt12 = JSON.parse(await readFile('test/vectors/invoices/bolt12.json', 'utf8')) as Bolt12Vectors;
export const [donation = '', coffee = ''] = bolt11.valid.map(({ invoice }) => invoice);
export const offer = bolt12.offers.find(({ description }) => description === 'with amount')?.offer ?? '';
export const openOffer = bolt12.offers.find(({ description }) => description === 'Minimal bolt12 offer')?.offer ?? '';

const bitcoin = network('bitcoin');
export const address = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
const script = toHex(scriptOfAddress(address, bitcoin));
const hash = '0001020304050607080900010203040506070809000102030405060708090102';
const peer = toHex(nodeId);
const everything = 2_100_000_000_000_000n;
const coffeeMsat = 250_000_000n;

export const meaning = (uri: string, fields: Fields) => intentsOf(uri, readMessage(protobuf(fields)), bitcoin);
const payment = (amount: bigint, feeBudgetMsat?: bigint, isPart = false): Intent => ({
  wish: { kind: 'pay', target: hash, amount, feeBudgetMsat, isPart },
  leaves: amount,
});
const spend = (amount: bigint, leaves: Intent['leaves'] = amount * 1000n): Intent => ({
  wish: { kind: 'spend', target: script, amount },
  leaves,
});

export const cases: readonly (readonly [what: string, uri: string, fields: Fields, intents: readonly Intent[]])[] = [
  ['an invoice', '/cln.Node/Pay', [[1, coffee]], [payment(coffeeMsat)]],
  [
    'an invoice in capitals with its scheme',
    '/cln.Node/Pay',
    [[1, `LIGHTNING:${coffee.toUpperCase()}`]],
    [payment(coffeeMsat)],
  ],
  [
    'an invoice and its own amount',
    '/cln.Node/Pay',
    [
      [1, coffee],
      [13, msat(250_000_000)],
    ],
    [payment(coffeeMsat)],
  ],
  [
    'an amountless invoice and an amount',
    '/cln.Node/Pay',
    [
      [1, donation],
      [13, msat(7000)],
    ],
    [payment(7000n)],
  ],
  [
    'a part of an invoice',
    '/cln.Node/Pay',
    [
      [1, coffee],
      [15, msat(1000)],
    ],
    [payment(1000n, undefined, true)],
  ],
  [
    'a maximum fee',
    '/cln.Node/Pay',
    [
      [1, coffee],
      [11, msat(1234)],
    ],
    [payment(coffeeMsat, 1234n)],
  ],
  [
    'a fee in percent',
    '/cln.Node/Pay',
    [
      [1, coffee],
      [4, { double: 0.5 }],
    ],
    [payment(coffeeMsat, 1_250_000n)],
  ],
  [
    'a fee in percent of little',
    '/cln.Node/Pay',
    [
      [1, donation],
      [4, { double: 0.5 }],
      [13, msat(1000)],
    ],
    [payment(1000n, 5000n)],
  ],
  [
    'xpay of an invoice',
    '/cln.Node/Xpay',
    [
      [1, coffee],
      [3, msat(10)],
    ],
    [payment(coffeeMsat, 10n)],
  ],
  ['renepay of an invoice', '/cln.Node/RenePay', [[1, coffee]], [payment(coffeeMsat)]],
  [
    'a trampoline payment',
    '/greenlight.Node/TrampolinePay',
    [
      [1, donation],
      [3, 4000],
      [5, { float: 50 }],
    ],
    [payment(4000n, 2000n)],
  ],
  ['a preapproval', '/cln.Node/PreApproveInvoice', [[1, coffee]], [payment(coffeeMsat)]],
  [
    'a keysend',
    '/cln.Node/KeySend',
    [
      [1, nodeId],
      [10, msat(9)],
    ],
    [
      {
        wish: { kind: 'keysend', target: peer, amount: 9n, feeBudgetMsat: undefined, isPart: false },
        leaves: 9n,
      },
    ],
  ],
  [
    'the first hop of a route',
    '/cln.Node/SendPay',
    [
      [1, [[5, msat(70)]]],
      [1, [[5, msat(60)]]],
      [2, fromHex(hash)],
    ],
    [payment(70n, 0n, true)],
  ],
  [
    'the first hop of an onion',
    '/cln.Node/SendOnion',
    [
      [1, new Uint8Array(1366)],
      [
        2,
        [
          [1, nodeId],
          [2, msat(70)],
        ],
      ],
      [3, fromHex(hash)],
    ],
    [payment(70n, 0n, true)],
  ],
  [
    'a withdrawal',
    '/cln.Node/Withdraw',
    [
      [1, address],
      [2, [[1, msat(5000)]]],
    ],
    [spend(5n)],
  ],
  [
    'a withdrawal of all',
    '/cln.Node/Withdraw',
    [
      [1, address],
      [2, [[2, 1]]],
    ],
    [spend(everything, 'all')],
  ],
  [
    'several withdrawals, those to one address as one',
    '/cln.Node/MultiWithdraw',
    [
      [
        1,
        [
          [1, address],
          [2, msat(1000)],
        ],
      ],
      [
        1,
        [
          [1, address],
          [2, msat(2000)],
        ],
      ],
    ],
    [spend(3n)],
  ],
  [
    'a channel',
    '/cln.Node/FundChannel',
    [
      [1, [[1, msat(9000)]]],
      [9, nodeId],
    ],
    [{ wish: { kind: 'open', target: peer, amount: 9n }, leaves: 9000n }],
  ],
  [
    'a channel with a gift, and where it is to be closed to',
    '/cln.Node/FundChannel',
    [
      [1, [[2, 1]]],
      [5, msat(3)],
      [6, address],
      [9, nodeId],
    ],
    [
      { wish: { kind: 'open', target: peer, amount: everything }, leaves: 'all' },
      { wish: { kind: 'push', target: peer, amount: 3n }, leaves: 0n },
      { wish: { kind: 'closeTo', target: script, amount: everything, channel: peer }, leaves: 0n },
    ],
  ],
  [
    'several channels',
    '/cln.Node/MultiFundChannel',
    [
      [
        1,
        [
          [1, `${toHex(nodeId)}@host:9735`],
          [2, [[1, msat(1999)]]],
        ],
      ],
    ],
    [{ wish: { kind: 'open', target: peer, amount: 1n }, leaves: 1999n }],
  ],
  [
    'a splice-out',
    '/cln.Node/SpliceOut',
    [
      [1, 'ab'],
      [2, '700sat'],
      [3, address],
    ],
    [{ wish: { kind: 'spliceTo', target: script, amount: 700n }, leaves: 700_000n }],
  ],
  [
    'a close',
    '/cln.Node/Close',
    [
      [1, 'AB'.repeat(32)],
      [3, address],
    ],
    [{ wish: { kind: 'closeTo', target: script, amount: everything, channel: 'ab'.repeat(32) }, leaves: 'all' }],
  ],
  ['nothing that needs leave, to our wallet', '/cln.Node/Close', [[1, '1x2x3']], []],
  ['nothing yet', '/cln.Node/SignMessage', [[1, 'hello']], []],
  ['a decoding', '/cln.Node/Decode', [[1, coffee]], []],
  ['a method nobody knows', '/cln.Node/toString', [[1, coffee]], []],
];
