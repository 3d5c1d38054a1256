import test from 'ava';
import {
  type Approval,
  allowanceFor,
  approvalOf,
  defaultFeeBudget,
  feeBudgetOf,
  findApproval,
  objection,
  used,
  type Wanted,
} from '../../../signer/approvals/approval.ts';
import type { Intent } from '../../../signer/approvals/intents.ts';
import { type InvoiceTerms, keyOfPurpose, type Purpose, serves } from '../../../signer/approvals/purpose.ts';
import { sha256Of } from '../../../signer/crypto/hash.ts';

const bytes = (fill: number, length = 32) => new Uint8Array(length).fill(fill);
const hash = bytes(1);
const payment: Purpose = { kind: 'payment', paymentHash: hash };
const terms = { id: 'a/0', by: 'a test', expiresAt: 1000, budget: defaultFeeBudget };
const approval = (intent: Partial<Intent> = {}): Approval =>
  approvalOf({ purpose: payment, amountMsat: 5000n, feeMsat: undefined, ...intent }, terms);
const wanted = (purpose: Purpose, amountMsat: bigint | undefined = 5000n): Wanted => ({ purpose, amountMsat });

test('an approval covers its purpose, up to its amount, until it expires, once', (t) => {
  const one = approval();
  t.is(objection(one, wanted(payment), 999), undefined);
  t.is(objection(one, wanted(payment, 4999n), 999), undefined);
  t.is(objection(one, { purpose: payment, amountMsat: undefined }, 999), undefined);
  t.is(objection(one, wanted(payment, 5001n), 999), 'it is for 5000 msat, not 5001');
  t.is(objection(one, wanted({ ...payment, paymentHash: bytes(2) }), 999), 'it is for something else');
  t.is(objection(one, wanted(payment), 1000), 'it has expired');
  t.is(objection(used(one, wanted(payment)), wanted(payment), 999), 'it has been used');
  t.is(objection(approval({ amountMsat: 'all' }), wanted(payment, 10n ** 18n), 999), undefined);
});

test('the first approval that covers is found', (t) => {
  const small = approval({ amountMsat: 10n });
  const large = approval({ amountMsat: 9000n });
  t.is(findApproval([small, large], wanted(payment), 0), large);
  t.is(findApproval([small], wanted(payment), 0), undefined);
});

test('an approval for an offer or a keysend is bound to the first payment it is used for', (t) => {
  const offered = approval({ purpose: { kind: 'offer', offerId: bytes(7) } });
  const answer = (paymentHash: Uint8Array) => wanted({ kind: 'payment', paymentHash, offerId: bytes(7) });
  const sent = approval({ purpose: { kind: 'keysend', destination: bytes(2, 33) } });
  const keysend = (paymentHash: Uint8Array) => wanted({ kind: 'keysend', destination: bytes(2, 33), paymentHash });
  for (const [start, ask] of [
    [offered, answer],
    [sent, keysend],
  ] as const) {
    t.is(objection(start, ask(hash), 0), undefined);
    const bound = { ...used(start, ask(hash)), usesLeft: 1 };
    t.deepEqual(bound.boundTo, hash);
    t.is(objection(bound, wanted(payment), 0), undefined, 'the HTLC itself');
    t.is(objection(bound, ask(bytes(3)), 0), 'it is for something else');
    t.deepEqual(allowanceFor([bound], hash), { amountMsat: 5000n, feeBudgetMsat: 5000n });
  }
});

test('a second approval of the same invoice allows no second payment; parts add up', (t) => {
  const whole = approval({ feeMsat: 10n });
  t.deepEqual(allowanceFor([whole, { ...whole, id: 'b/0' }], hash), { amountMsat: 5000n, feeBudgetMsat: 10n });
  const part = approval({ feeMsat: 0n, isPart: true });
  t.deepEqual(allowanceFor([part, part, part], hash), { amountMsat: 15_000n, feeBudgetMsat: 0n });
  t.deepEqual(allowanceFor([part, whole], hash), { amountMsat: 5000n, feeBudgetMsat: 10n });
  t.deepEqual(allowanceFor([whole], bytes(2)), { amountMsat: 0n, feeBudgetMsat: 0n });
});

test('the fee budget is the larger of a fixed one and a share', (t) => {
  t.is(feeBudgetOf(1000n, defaultFeeBudget), 5000n);
  t.is(feeBudgetOf(1_000_000n, defaultFeeBudget), 10_000n);
  t.is(feeBudgetOf('all', defaultFeeBudget), 5000n);
  t.is(approval({ feeMsat: 0n }).feeBudgetMsat, 0n);
});

const peer = bytes(2, 33);
const script = bytes(5, 22);
const content = {
  prefix: 'bc',
  amountMsat: 5n,
  createdAt: 1,
  expirySeconds: 60,
  paymentHash: hash,
  paymentSecret: bytes(2),
  description: 'tea',
  descriptionHash: undefined,
  minFinalCltv: 18,
  statedPayee: undefined,
};
const tea = { amountMsat: 5n, description: 'tea', hashOnly: false, expirySeconds: 60, paymentHash: undefined };
const hashed = { ...content, description: undefined, descriptionHash: sha256Of('tea') };
const channel = (pushMsat: bigint): Purpose => ({ kind: 'channel', peer, pushMsat });
const close = (names: readonly string[], to: Uint8Array | undefined): Purpose => ({ kind: 'close', names, script: to });
const issue = (changes: Partial<InvoiceTerms>): Purpose => ({
  kind: 'issue',
  terms: { ...tea, ...changes },
});
const signing: Purpose = { kind: 'sign invoice', content };

const pairs: readonly (readonly [what: string, given: Purpose, wanted: Purpose, serves: boolean])[] = [
  ['an output to its script', { kind: 'output', script }, { kind: 'output', script }, true],
  ['an output to another script', { kind: 'output', script }, { kind: 'output', script: bytes(6, 22) }, false],
  ['a payment for an output', payment, { kind: 'output', script: hash }, false],
  [
    'a keysend to another node',
    { kind: 'keysend', destination: peer },
    { kind: 'keysend', destination: bytes(3, 33) },
    false,
  ],
  [
    'a keysend of another hash',
    { kind: 'keysend', destination: peer, paymentHash: hash },
    { kind: 'keysend', destination: peer, paymentHash: bytes(9) },
    false,
  ],
  ['an offer for an invoice of none', { kind: 'offer', offerId: hash }, payment, false],
  ['a channel with its peer', channel(0n), channel(0n), true],
  ['a channel with a larger gift', channel(0n), channel(1n), false],
  ['a channel with a smaller gift', channel(2n), channel(1n), true],
  ['a close by one of its names', close(['1x1x1'], script), close(['ab', '1x1x1'], script), true],
  ['a close to our wallet instead', close(['ab'], script), close(['ab'], undefined), true],
  ['a close to a script nobody named', close(['ab'], undefined), close(['ab'], script), false],
  ['a close of another channel', close(['ab'], script), close(['cd'], script), false],
  ['an invoice with its terms', issue({}), signing, true],
  ['an invoice of another amount', issue({ amountMsat: 6n }), signing, false],
  ['an invoice of another text', issue({ description: 'tee' }), signing, false],
  ['an invoice with another expiry', issue({ expirySeconds: 61 }), signing, false],
  ['an invoice of another hash', issue({ paymentHash: bytes(3) }), signing, false],
  ['an invoice of its hash', issue({ paymentHash: hash }), signing, true],
  ['a hashed text for a plain one', issue({ hashOnly: true }), signing, false],
  ['a hashed text', issue({ hashOnly: true }), { kind: 'sign invoice', content: hashed }, true],
  ['a message', { kind: 'message', text: hash }, { kind: 'message', text: hash }, true],
  ['another message', { kind: 'message', text: hash }, { kind: 'message', text: script }, false],
];

for (const [what, given, asked, expected] of pairs)
  test(`a purpose ${expected ? 'serves' : 'does not serve'}: ${what}`, (t) => {
    t.is(serves(given, asked), expected);
  });

test('purposes have the same key exactly where they are equal', (t) => {
  const all = pairs.flatMap(([, given, asked]) => [given, asked]);
  for (const a of all)
    for (const b of all) {
      t.is(keyOfPurpose(a) === keyOfPurpose(b), JSON.stringify(plain(a)) === JSON.stringify(plain(b)));
    }
});

/** Byte strings told apart from texts and numbers. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (typeof value === 'bigint') return { integer: value.toString() };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
  return value;
}
