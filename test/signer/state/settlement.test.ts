import test from 'ava';
import fc from 'fast-check';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { settlements } from '../../../signer/state/settlement.ts';
import { seed } from '../../fuzz_budget.ts';

const exact = (msat: bigint) => ({ least: msat, most: msat });
const none = { gain: 999n, loss: 999n };

function htlc(n: number, side: Htlc['side'], amount: bigint): Htlc {
  return { side, amount, paymentHash: new Uint8Array(32).fill(n), cltvExpiry: 500 };
}

const [a, b, c] = [htlc(1, 'local', 5_000_000n), htlc(2, 'local', 3_000_000n), htlc(3, 'remote', 1_500_000n)];

test('what was paid follows from our balance', (t) => {
  const before = { balance: exact(10_000_000n), htlcs: [a, b, c] };
  const of = (msat: bigint) => [...settlements(before, { balance: exact(msat), htlcs: [] }, none)][0]?.paid;
  t.deepEqual(of(15_000_000n), [b]);
  t.deepEqual(of(13_000_000n), [a]);
  t.deepEqual(of(19_500_000n), [c]);
  t.deepEqual(of(10_000_000n), [a, b]);
  t.is(of(11_000_000n), undefined);
});

test('dust that was in flight may come back, and no more than that', (t) => {
  const before = { balance: exact(10_000_000n), htlcs: [a] };
  const after = { balance: exact(15_400_000n), htlcs: [] };
  const [first] = settlements(before, after, { gain: 400_000n, loss: 0n });
  t.like(first, { paid: [], moved: 5_000_000n });
  t.deepEqual([...settlements(before, after, { gain: 399_999n, loss: 0n })], []);
});

test('of two ways the one that the other side’s commitments tell of comes first', (t) => {
  const [same, twin] = [htlc(4, 'local', 3_000_000n), htlc(5, 'local', 3_000_000n)];
  const before = { balance: exact(0n), htlcs: [same, twin] };
  const after = { balance: exact(3_000_000n), htlcs: [] };
  for (const paid of [same, twin]) {
    const isPaid = (each: Htlc) => (each === twin ? paid === twin : undefined);
    t.deepEqual([...settlements(before, after, none, isPaid)][0]?.paid, [paid]);
  }
});

test('the truth is among the ways, whatever happened to a dozen HTLCs', (t) => {
  const each = fc.record({
    side: fc.constantFrom('local', 'remote'),
    amount: fc.bigInt(1n, 10n ** 9n),
    paid: fc.boolean(),
  });
  const property = fc.property(fc.array(each, { maxLength: 12 }), (list) => {
    const htlcs = list.map(({ side, amount }, n) => htlc(n, side, amount));
    const paid = htlcs.filter((_, n) => list[n]?.paid);
    const moved = htlcs.reduce((sum, h) => sum + (paid.includes(h) === (h.side === 'remote') ? h.amount : 0n), 0n);
    const ways = settlements({ balance: exact(0n), htlcs }, { balance: exact(moved), htlcs: [] }, none);
    const isTruth = (way: readonly Htlc[]) => way.length === paid.length && way.every((h) => paid.includes(h));
    return [...ways].some((way) => isTruth(way.paid) || way.moved === moved);
  });
  t.notThrows(() => fc.assert(property, { seed, numRuns: 300 }));
});

for (const [what, amountOf] of [
  ['of many sizes', (n: number) => 1_000_000n + BigInt(n * n)],
  ['of one size', () => 1_000_000n],
  ['of which few are large', (n: number) => (n % 40 === 0 ? 10n ** 12n : 400_000n) + 2n * BigInt(n)],
] as const)
  test(`a thousand HTLCs at once ${what} keep nobody busy`, (t) => {
    const htlcs = Array.from({ length: 966 }, (_, n) => ({
      ...htlc(n % 250, n % 2 === 0 ? 'local' : 'remote', amountOf(n)),
      cltvExpiry: n,
    }));
    for (const slack of [
      { gain: 0n, loss: 0n },
      { gain: 10n ** 8n, loss: 10n ** 8n },
    ]) {
      const after = { balance: exact(htlcs.reduce((sum, { amount }) => sum + amount, 1n) / 2n), htlcs: [] };
      const began = performance.now();
      const ways = [...settlements({ balance: exact(0n), htlcs }, after, slack)];
      t.true(ways.length <= 250, `${ways.length} ways`);
      const took = performance.now() - began;
      t.true(took < 10_000, `${took} ms`);
      t.log(`${Math.round(took)} ms`);
    }
  });
