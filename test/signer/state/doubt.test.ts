import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { type Doubt, doubtsOf, mostDoubted, moved, newest, sharedDoubts } from '../../../signer/state/doubt.ts';
import type { Settlement } from '../../../signer/state/settlement.ts';

function htlc(n: number, side: Htlc['side'], amount: bigint): Htlc {
  return { side, amount, paymentHash: new Uint8Array(32).fill(n), cltvExpiry: 500 };
}

const name = ({ paymentHash }: Htlc) => toHex(paymentHash);
const [a, b, c] = [htlc(1, 'local', 5000n), htlc(2, 'local', 3000n), htlc(3, 'local', 2000n)];
const all = [a, b, c];

/** What is counted, without the HTLCs it is about. */
const counts = (doubt: Doubt) => new Map([...doubt].map(([hash, { paid, failed }]) => [hash, { paid, failed }]));

test('what each way tells alike is not in doubt', (t) => {
  t.deepEqual(doubtsOf(all, { paid: [a], moved: 5000n }, [{ paid: [a], moved: 5000n }]), []);
  t.deepEqual(doubtsOf([a], { paid: [a], moved: 0n }, [{ paid: [], moved: 5000n }]), []);
});

test('what another way tells otherwise is, by how much', (t) => {
  const doubts = doubtsOf(all, { paid: [a], moved: 5000n }, [{ paid: [b, c], moved: 5000n }]);
  const expected = new Map([
    [name(a), { paid: 5000n, failed: 0n }],
    [name(b), { paid: 0n, failed: 3000n }],
    [name(c), { paid: 0n, failed: 2000n }],
  ]);
  t.deepEqual(doubts.map(counts), [expected]);
});

test('equal ones are in doubt with one another, whether or not a way was tried with them', (t) => {
  const [same, twin] = [htlc(4, 'local', 5000n), htlc(5, 'local', 5000n)];
  const [doubt] = doubtsOf([a, same, twin], { paid: [a], moved: 0n }, []);
  t.deepEqual([...(doubt?.keys() ?? [])], [name(a), name(same), name(twin)]);
});

test('what came in is not in doubt', (t) => {
  const [came, other] = [htlc(6, 'remote', 5000n), htlc(7, 'remote', 5000n)];
  t.deepEqual(doubtsOf([came, other], { paid: [came], moved: 5000n }, [{ paid: [other], moved: 5000n }]), []);
  t.deepEqual(doubtsOf([a, came], { paid: [a, came], moved: 0n }, [{ paid: [], moved: 0n }]), []);
});

test('two pairs that leave together are two doubts, unless a way mixes them', (t) => {
  const [twin, other] = [htlc(8, 'local', 5000n), htlc(9, 'local', 3000n)];
  const chosen = { paid: [a, b], moved: 0n };
  const both = { paid: [twin, other], moved: 0n };
  const sizes = (ways: readonly Settlement[]) => doubtsOf([a, twin, b, other, c], chosen, ways).map(({ size }) => size);
  t.deepEqual(sizes([both, { paid: [twin, b], moved: 0n }]), [2, 2]);
  t.deepEqual(sizes([{ paid: [b, other, c], moved: 0n }]), [5]);
});

test('sides share what both leave open of the same payments, the less of it', (t) => {
  const [whole] = doubtsOf(all, { paid: [a], moved: 5000n }, [{ paid: [b, c], moved: 5000n }]);
  if (whole === undefined) throw new Error('no doubt');
  const known = whole.get(name(a));
  if (known === undefined) throw new Error('no reading');
  const part = new Map([...whole].filter(([hash]) => hash !== name(c)));
  part.set(name(a), { ...known, paid: 4000n, failed: 1000n });
  const expected = new Map([
    [name(a), { paid: 4000n, failed: 0n }],
    [name(b), { paid: 0n, failed: 3000n }],
  ]);
  t.deepEqual(sharedDoubts([whole], [part]), [expected]);
  const another = new Map(part).set(name(a), { ...known, htlcs: ['5000/501'] });
  t.deepEqual(sharedDoubts([whole], [another]), [], 'another HTLC of the payment');
  t.deepEqual(sharedDoubts([whole], []), []);
  const asWhole = new Map([...whole].map(([hash, { paid, failed }]) => [hash, { paid, failed }]));
  t.deepEqual(sharedDoubts([whole], [part, whole]), [asWhole], 'with the one that is most like it, and once');
});

test('parts of one payment count together, and moving what was paid neither adds nor takes any', (t) => {
  const part = { ...b, cltvExpiry: 501 };
  const [doubt] = doubtsOf([a, b, part], { paid: [b, part], moved: 0n }, [{ paid: [a], moved: 0n }]);
  if (doubt === undefined) throw new Error('no doubt');
  t.deepEqual(counts(doubt).get(name(b)), { paid: 6000n, failed: 0n });
  const after = counts(moved(doubt, name(b), name(a), 4500n));
  t.deepEqual(after.get(name(b)), { paid: 1500n, failed: 4500n });
  t.deepEqual(after.get(name(a)), { paid: 4500n, failed: 500n });
  t.is(moved(doubt, name(b), undefined, 500n).get(name(a)), doubt.get(name(a)));
});

test('only so many payments are doubted', (t) => {
  const [doubt] = doubtsOf(all, { paid: [a], moved: 5000n }, [{ paid: [b, c], moved: 5000n }]);
  if (doubt === undefined) throw new Error('no doubt');
  const many = Array.from({ length: mostDoubted }, () => new Map(doubt));
  t.deepEqual(newest(many), many.slice(-Math.floor(mostDoubted / doubt.size)));
});
