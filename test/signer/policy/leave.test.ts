import test from 'ava';
import { sha256Of } from '../../../signer/crypto/hash.ts';
import type { Bolt11Content } from '../../../signer/lightning/bolt11.ts';
import { type Leave, useOf } from '../../../signer/policy/leave.ts';
import type { Consent, Purpose } from '../../../signer/policy/purpose.ts';
import type { InvoiceWish, Wish } from '../../../signer/policy/wish.ts';

const hash = '01'.repeat(32);
const other = '09'.repeat(32);
const peer = `02${'03'.repeat(32)}`;
const script = '0014';
const now = 1000;

const leave = (wish: Leave['wish'], more: Partial<Leave> = {}): Leave => ({
  wish,
  usesLeft: 1,
  expires: now + 1,
  occasions: [],
  ...more,
});
const pay = (amount: bigint, more: Partial<Wish> = {}): Wish => ({ kind: 'pay', target: hash, amount, ...more });
const paying = (amountMsat: bigint, more: Partial<Extract<Purpose, { kind: 'pay' }>> = {}): Purpose => ({
  kind: 'pay',
  how: 'invoice',
  hash,
  amountMsat,
  feeBudgetMsat: 50n,
  payee: undefined,
  invoice: undefined,
  ...more,
});

/** What leaves say to purposes asked one after the other. */
function asked(leaves: readonly Leave[], ...purposes: readonly Purpose[]): readonly Consent[] {
  let left = leaves;
  return purposes.map((purpose) => {
    const use = useOf(left, purpose, now);
    left = left.map((each) => use?.changed.get(each) ?? each);
    return use?.consent ?? false;
  });
}

const terms = (amountMsat: bigint, feeBudgetMsat = 50n) => ({ amountMsat, feeBudgetMsat, until: now + 1 });

test('leave covers its payment, up to its amount, until it expires', (t) => {
  t.deepEqual(asked([leave(pay(5000n))], paying(5000n)), [terms(5000n)]);
  t.deepEqual(asked([leave(pay(5000n))], paying(4999n)), [terms(4999n)]);
  t.deepEqual(asked([leave(pay(5000n))], paying(5001n)), [false]);
  t.deepEqual(asked([leave(pay(5000n))], paying(5000n, { hash: other })), [false]);
  t.deepEqual(asked([leave(pay(5000n), { expires: now })], paying(5000n)), [false]);
  t.deepEqual(asked([leave(pay(5000n), { usesLeft: 0 })], paying(5000n)), [false]);
});

test('a payment with a fee of its own keeps to that', (t) => {
  t.deepEqual(asked([leave(pay(5000n, { feeBudgetMsat: 7n }))], paying(5000n)), [terms(5000n, 7n)]);
  t.deepEqual(asked([leave(pay(5000n, { feeBudgetMsat: 700n }))], paying(5000n)), [terms(5000n, 700n)]);
});

test('HTLCs without an invoice have their fees in them: in all no more leaves than amount and fee', (t) => {
  const uninvoiced = (amountMsat: bigint) => paying(amountMsat, { how: 'uninvoiced' });
  const leaves = [leave(pay(5000n))];
  t.deepEqual(asked(leaves, uninvoiced(5000n), uninvoiced(5020n), uninvoiced(5050n), uninvoiced(5051n)), [
    terms(5000n, 50n),
    terms(5020n, 30n),
    terms(5050n, 0n),
    false,
  ]);
});

test('attempts of a payment are one use of a leave; another payment is another', (t) => {
  const keysend: Wish = { kind: 'keysend', target: peer, amount: 5n };
  const sending = (to: string) => paying(5n, { how: 'keysend', payee: peer, hash: to });
  t.deepEqual(asked([leave(keysend)], sending(hash), sending(hash), sending(other)), [terms(5n), terms(5n), false]);
  t.deepEqual(asked([leave(keysend, { usesLeft: 2 })], sending(hash), sending(other)), [terms(5n), terms(5n)]);
  t.deepEqual(asked([leave(keysend)], paying(5n, { payee: peer })), [false]);
});

test('an offer is paid once, by whatever invoice answers it', (t) => {
  const offer: Wish = { kind: 'offer', target: 'ab', amount: 5n };
  const answer = (to: string, id = 'ab') => paying(5n, { hash: to, offer: id });
  t.deepEqual(asked([leave(offer)], answer(hash), answer(other), answer(hash)), [terms(5n), false, terms(5n)]);
  t.deepEqual(asked([leave(offer)], answer(hash, 'cd'), paying(5n)), [false, false]);
});

test('a second leave for the same invoice allows no more than the first; parts add up', (t) => {
  const whole = () => leave(pay(5000n, { feeBudgetMsat: 0n }));
  t.deepEqual(asked([whole(), whole()], paying(5001n, { how: 'uninvoiced' })), [false]);
  const part = () => leave(pay(5000n, { feeBudgetMsat: 0n, isPart: true }));
  const uninvoiced = (amountMsat: bigint) => paying(amountMsat, { how: 'uninvoiced' });
  t.deepEqual(asked([part(), part(), part()], uninvoiced(5000n), uninvoiced(15_000n), uninvoiced(15_001n)), [
    terms(5000n, 10_000n),
    terms(15_000n, 0n),
    false,
  ]);
  t.deepEqual(asked([part()], uninvoiced(5000n), paying(5000n, { hash: other })), [terms(5000n, 0n), false]);
});

test('of an invoice that is paid in part from here only the part may leave', (t) => {
  const part = leave(pay(2000n, { isPart: true }));
  t.deepEqual(asked([part], paying(5000n)), [terms(2000n)]);
});

test('leave for an output is used by one transaction', (t) => {
  const spending: Purpose = { kind: 'spend', script, amountSat: 5n };
  const wish: Wish = { kind: 'spend', target: script, amount: 5n };
  t.deepEqual(asked([leave(wish)], spending, spending), [true, false]);
  t.deepEqual(asked([leave(wish)], { ...spending, amountSat: 6n }), [false]);
  t.deepEqual(asked([leave(wish)], { ...spending, script: '0015' }), [false]);
});

test('a splice-out is allowed to where it goes, the same transaction any number of times', (t) => {
  const wish: Wish = { kind: 'spliceTo', target: script, amount: 5n };
  const splice = (txid: string, amountSat = 5n, to = script, leaves = amountSat): Purpose => ({
    kind: 'spliceOut',
    peer,
    amountSat: leaves,
    txid,
    outputs: [
      { script: '00', amountSat: 90n },
      { script: to, amountSat },
    ],
  });
  t.deepEqual(asked([leave(wish)], splice('a'), splice('a'), splice('b')), [true, true, false]);
  t.deepEqual(asked([leave(wish)], splice('a', 6n)), [false]);
  t.deepEqual(asked([leave(wish)], splice('a', 5n, '0015')), [false]);
  t.deepEqual(asked([leave(wish)], splice('a', 4n, script, 5n)), [false], 'the rest goes elsewhere');
});

test('a close is allowed in all its rounds, of the one channel', (t) => {
  const names = [peer, 'ab'];
  const closing = (channel?: readonly string[]): Purpose => ({ kind: 'closeTo', script, amountSat: 5n, channel });
  const wish = (channel?: string): Wish => ({ kind: 'closeTo', target: script, amount: 5n, channel });
  t.deepEqual(asked([leave(wish('ab'))], closing(names), closing(names), closing([peer, 'cd'])), [true, true, false]);
  t.deepEqual(asked([leave(wish(peer))], closing(names), closing([peer, 'cd'])), [true, false]);
  t.deepEqual(asked([leave(wish('ab'))], closing(undefined)), [false]);
  t.deepEqual(asked([leave(wish())], closing(names), closing(['cd'])), [true, false]);
});

const content: Bolt11Content = {
  prefix: 'bc',
  amountMsat: 5n,
  createdAt: 1,
  expirySeconds: 60,
  paymentHash: new Uint8Array(32).fill(1),
  paymentSecret: new Uint8Array(32).fill(2),
  description: 'tea',
  descriptionHash: undefined,
  minFinalCltv: 18,
  statedPayee: undefined,
};
const tea: InvoiceWish = {
  kind: 'issue',
  amountMsat: 5n,
  description: 'tea',
  hashOnly: false,
  expirySeconds: 60,
  paymentHash: undefined,
};
const issuing = (changes: Partial<Bolt11Content> = {}): Purpose => ({
  kind: 'issue',
  content: { ...content, ...changes },
});

const invoices: readonly (readonly [what: string, wish: Partial<InvoiceWish>, isAllowed: boolean])[] = [
  ['its terms', {}, true],
  ['another amount', { amountMsat: 6n }, false],
  ['another text', { description: 'tee' }, false],
  ['another expiry', { expirySeconds: 61 }, false],
  ['another hash', { paymentHash: new Uint8Array(32).fill(3) }, false],
  ['its hash', { paymentHash: content.paymentHash }, true],
  ['a hashed text for a plain one', { hashOnly: true }, false],
];
for (const [what, changes, isAllowed] of invoices)
  test(`an invoice asked for with ${what} is ${isAllowed ? '' : 'not '}the owner's`, (t) => {
    t.deepEqual(asked([leave({ ...tea, ...changes })], issuing()), [isAllowed]);
  });

test('an invoice is asked for once, and may have its text hashed', (t) => {
  const hashed = issuing({ description: undefined, descriptionHash: sha256Of('tea') });
  t.deepEqual(asked([leave({ ...tea, hashOnly: true })], hashed), [true]);
  const second = issuing({ paymentHash: new Uint8Array(32).fill(4) });
  t.deepEqual(asked([leave(tea)], issuing(), issuing(), second), [true, true, false]);
  t.deepEqual(asked([leave(pay(5n))], issuing()), [false]);
});
