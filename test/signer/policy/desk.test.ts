/** The owner's desk: what was asked lies there, what is allowed counts when it is asked again. */

import test from 'ava';
import { type Asked, Desk } from '../../../signer/policy/desk.ts';
import type { Outgoing } from '../../../signer/policy/purpose.ts';

const now = 1_700_000_000;
const script = `0014${'ab'.repeat(20)}`;
const peer = `02${'cd'.repeat(32)}`;

function pay(change: Partial<Extract<Outgoing, { readonly kind: 'pay' }>> = {}): Outgoing {
  return {
    kind: 'pay',
    how: 'invoice',
    hash: '11'.repeat(32),
    amountMsat: 5_000n,
    feeBudgetMsat: 100n,
    payee: peer,
    invoice: undefined,
    ...change,
  };
}

const spend = (amountSat: bigint): Outgoing => ({ kind: 'spend', script, amountSat });

async function allowed(desk: Desk, purpose: Outgoing, at = now): Promise<boolean> {
  return (await desk.approve(purpose, at)) !== false;
}

test('what is asked is refused and remembered; allowed, it passes when it is asked again', async (t) => {
  const desk = new Desk();
  t.false(await allowed(desk, spend(1000n)));
  t.false(await allowed(desk, spend(1000n), now + 5));
  const [asked] = desk.asked;
  t.like(asked, { purpose: spend(1000n), first: now, last: now + 5, times: 2 });
  const leave = desk.allowAsked(asked?.id ?? 0, { uses: 1, expires: now + 60 });
  t.like(leave, { wish: { kind: 'spend', target: script, amount: 1000n }, usesLeft: 1 });
  t.deepEqual(desk.asked, []);
  t.true(await allowed(desk, spend(1000n)));
  t.false(await allowed(desk, spend(1000n)), 'once means once');
  t.is(desk.allowAsked(99, { uses: 1, expires: now + 60 }), undefined);
});

test('leave is for one thing, an amount and a time', async (t) => {
  const desk = new Desk();
  desk.allow({ kind: 'spend', target: script, amount: 1000n }, { uses: 3, expires: now + 60 });
  t.false(await allowed(desk, spend(1001n)), 'more');
  t.false(await allowed(desk, { kind: 'closeTo', script, amountSat: 1000n }), 'for something else');
  t.false(await allowed(desk, { kind: 'spend', script: `${script}00`, amountSat: 1000n }), 'to somebody else');
  t.false(await allowed(desk, spend(1000n), now + 60), 'later');
  t.true(await allowed(desk, spend(999n), now + 59));
  t.is(desk.leaves(now + 60).length, 0);
});

test('a payment and its attempts are one use, another payment is another', async (t) => {
  const desk = new Desk();
  desk.allow({ kind: 'keysend', target: peer, amount: 5_000n }, { uses: 2, expires: now + 60 });
  for (const hash of ['11', '22'])
    for (let attempt = 0; attempt < 3; attempt++)
      t.true(await allowed(desk, pay({ how: 'keysend', hash: hash.repeat(32) })), `${hash}, attempt ${attempt}`);
  t.false(await allowed(desk, pay({ how: 'keysend', hash: '33'.repeat(32) })));
  t.false(await allowed(desk, pay({ how: 'keysend', payee: script })));
});

test('what lightningd asks with a new payment hash at each attempt is one question, and one yes', async (t) => {
  const offer = 'ee'.repeat(32);
  const rows = [
    { first: pay({ how: 'keysend' }), wish: { kind: 'keysend', target: peer, amount: 5_000n } },
    { first: pay({ offer }), wish: { kind: 'offer', target: offer, amount: 5_000n } },
  ] as const;
  for (const { first, wish } of rows) {
    const desk = new Desk();
    const again = { ...first, hash: '22'.repeat(32) };
    const later = { ...first, hash: '33'.repeat(32) };
    t.false(await allowed(desk, first));
    t.false(await allowed(desk, again));
    t.is(desk.asked.length, 1);
    t.like(desk.asked[0], { times: 2 });
    t.like(desk.allowAsked(desk.asked[0]?.id ?? 0, { uses: 1, expires: now + 60 }), { wish });
    t.true(await allowed(desk, later));
    t.true(await allowed(desk, later), 'its attempts');
    t.false(await allowed(desk, first), 'another payment');
  }
});

test('what is allowed in advance, or passes now, waits no more', async (t) => {
  const desk = new Desk();
  const terms = { uses: 1, expires: now + 60 };
  for (const purpose of [spend(1000n), spend(2000n), pay()]) t.false(await allowed(desk, purpose));
  desk.allow({ kind: 'spend', target: script, amount: 1000n }, terms);
  t.deepEqual(
    desk.asked.map(({ purpose }) => purpose),
    [spend(2000n), pay()],
  );
  t.true(await allowed(desk, spend(1000n)));
  t.false(await allowed(desk, spend(1000n)));
  t.is(desk.asked.length, 3, 'it waits once more');
  desk.allow({ kind: 'pay', target: '11'.repeat(32), amount: 5_000n }, terms);
  t.true(await allowed(desk, pay()));
  t.is(desk.asked.length, 2);
});

test('what was allowed or asked can be taken back', async (t) => {
  const desk = new Desk();
  const { id } = desk.allow({ kind: 'spend', target: script, amount: 1000n }, { uses: 1, expires: now + 60 });
  t.true(desk.withdraw(id));
  t.false(desk.withdraw(id));
  t.false(await allowed(desk, spend(1000n)));
  t.true(desk.withdraw(desk.asked[0]?.id ?? 0));
  t.deepEqual(desk.asked, []);
});

test('who watches is told of everything once, until it looks away', async (t) => {
  const desk = new Desk();
  const told: Asked[] = [];
  const watching = desk.watch((asked) => told.push(asked));
  for (const amount of [1n, 1n, 2n]) await allowed(desk, spend(amount));
  t.deepEqual(
    told.map(({ purpose }) => purpose),
    [spend(1n), spend(2n)],
  );
  watching[Symbol.dispose]();
  await allowed(desk, spend(3n));
  t.is(told.length, 2);
});

test('a host that asks without end does not fill the memory, and the latest stays', async (t) => {
  const desk = new Desk();
  for (let amount = 1n; amount <= 300n; amount++) {
    await allowed(desk, spend(amount));
    desk.note({ tag: 'policy-init', message: `${amount}`, call: 'init' }, now);
  }
  t.is(desk.asked.length, 100);
  t.deepEqual(desk.asked.at(-1)?.purpose, spend(300n));
  t.is(desk.refused.length, 100);
  t.is(desk.refused.at(-1)?.message, '300');
});

test('refusals are counted by what they say', (t) => {
  const desk = new Desk();
  const refusal = { tag: 'policy-funding-max', message: 'too much', call: 'setup_channel' };
  desk.note(refusal, now);
  desk.note(refusal, now + 9);
  t.deepEqual(desk.refused, [{ ...refusal, last: now + 9, times: 2 }]);
});
