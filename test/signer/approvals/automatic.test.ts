import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import { defaultFeeBudget } from '../../../signer/approvals/approval.ts';
import { type Approver, type Decision, type Facts, firstOf } from '../../../signer/approvals/approver.ts';
import { acceptAll, withinLimits } from '../../../signer/approvals/automatic.ts';
import type { Purpose } from '../../../signer/approvals/purpose.ts';

const bytes = (fill: number, length = 32) => new Uint8Array(length).fill(fill);
const friend = bytes(2, 33);
const ownScript = bytes(4, 22);
const limits = withinLimits({
  payments: { eachMsat: 1000n, windowMsat: 2500n },
  onchain: { eachMsat: 50_000n, windowMsat: 50_000n },
  nodes: new Set([toHex(friend)]),
  scripts: new Set([toHex(ownScript)]),
  budget: defaultFeeBudget,
  lifetime: 60,
});
const idle: Facts = { now: 10, requests: [], spent: { paymentsMsat: 0n, onchainMsat: 0n }, checkOnly: false };
const { signal } = new AbortController();
const payment: Purpose = { kind: 'payment', paymentHash: bytes(1) };

const ask = (purpose: Purpose, amountMsat: bigint | undefined, facts: Facts = idle) =>
  limits.approve({ purpose, amountMsat }, facts, signal);
const spent = (paymentsMsat: bigint, onchainMsat = 0n): Facts => ({ ...idle, spent: { paymentsMsat, onchainMsat } });

test('a payment within the limits is approved for its amount, its time and one use', async (t) => {
  const decision = await ask(payment, 1000n);
  if (decision.answer !== 'yes') return t.fail();
  const [approval] = decision.approvals;
  t.like(approval, {
    purpose: payment,
    amountMsat: 1000n,
    feeBudgetMsat: 5000n,
    expiresAt: 70,
    usesLeft: 1,
    isPart: false,
  });
  return undefined;
});

test('a payment above what one, or all within the window, may cost is left to others', async (t) => {
  t.is((await ask(payment, 1001n)).answer, 'abstain');
  t.is((await ask(payment, 1000n, spent(1500n))).answer, 'yes');
  t.is((await ask(payment, 1000n, spent(1501n))).answer, 'abstain');
  t.is((await ask(payment, undefined, spent(2500n))).answer, 'abstain');
  t.is((await ask(payment, 1n, spent(10n ** 12n))).answer, 'abstain');
});

test('an amount that is open is approved up to what is left', async (t) => {
  const amount = (decision: Decision) => (decision.answer === 'yes' ? decision.approvals[0]?.amountMsat : undefined);
  t.is(amount(await ask(payment, undefined)), 1000n);
  t.is(amount(await ask(payment, undefined, spent(2000n))), 500n);
});

test('on-chain spends have limits of their own', async (t) => {
  const stranger: Purpose = { kind: 'output', script: bytes(9, 22) };
  t.is((await ask(stranger, 50_000n, spent(2500n))).answer, 'yes');
  t.is((await ask(stranger, 50_000n, spent(0n, 1n))).answer, 'abstain');
  t.is((await ask({ kind: 'channel', peer: bytes(3, 33), pushMsat: 0n }, 50_000n)).answer, 'yes');
  t.is((await ask({ kind: 'channel', peer: friend, pushMsat: 1n }, 50_000n)).answer, 'abstain');
});

test('the allowlist has no limit', async (t) => {
  t.is((await ask({ ...payment, payee: friend }, 10n ** 12n)).answer, 'yes');
  t.is((await ask({ ...payment, payee: bytes(3, 33) }, 10n ** 12n)).answer, 'abstain');
  t.is((await ask({ kind: 'keysend', destination: friend }, 10n ** 12n)).answer, 'yes');
  t.is((await ask({ kind: 'output', script: ownScript }, 10n ** 12n)).answer, 'yes');
  t.is((await ask({ kind: 'channel', peer: friend, pushMsat: 0n }, 10n ** 12n)).answer, 'yes');
  t.is((await ask({ kind: 'close', names: ['a'], script: ownScript }, undefined)).answer, 'yes');
  t.is((await ask({ kind: 'close', names: ['a'], script: bytes(8, 22) }, undefined)).answer, 'abstain');
  t.is((await ask({ kind: 'message', text: bytes(1) }, 0n)).answer, 'abstain');
});

test('to accept all is to accept anything', async (t) => {
  for (const purpose of [
    payment,
    { kind: 'output', script: ownScript } as const,
    { kind: 'message', text: bytes(1) } as const,
  ])
    t.is((await acceptAll.approve({ purpose, amountMsat: undefined }, idle, signal)).answer, 'yes');
});

const saying = (decision: Decision): Approver => ({ approve: () => Promise.resolve(decision) });
const abstaining = (reason: string) => saying({ answer: 'abstain', reason });

test('of several the first that does not abstain decides', async (t) => {
  const no = saying({ answer: 'no', reason: 'the owner declined' });
  const wanted = { purpose: payment, amountMsat: 5n };
  const answer = async (...approvers: Approver[]) => firstOf(...approvers).approve(wanted, idle, signal);
  t.is((await answer(abstaining('a'), acceptAll, no)).answer, 'yes');
  t.deepEqual(await answer(abstaining('a'), no, acceptAll), { answer: 'no', reason: 'the owner declined' });
  t.deepEqual(await answer(abstaining('a'), abstaining('b')), { answer: 'abstain', reason: 'a; b' });
  await t.throwsAsync(firstOf(acceptAll).approve(wanted, idle, AbortSignal.abort(new Error('gone'))), {
    message: 'gone',
  });
});
