import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { doubtOf, doubtsAbout, moved } from '../../../signer/state/doubt.ts';

function htlc(n: number, side: Htlc['side'], amount: bigint): Htlc {
  return { side, amount, paymentHash: new Uint8Array(32).fill(n), cltvExpiry: 500 };
}

const name = ({ paymentHash }: Htlc) => toHex(paymentHash);
const [a, b, c] = [htlc(1, 'local', 5000n), htlc(2, 'local', 3000n), htlc(3, 'local', 2000n)];
const all = [a, b, c];

test('what each way tells alike is not in doubt', (t) => {
  t.is(doubtOf(all, { paid: [a], moved: 5000n }, [{ paid: [a], moved: 5000n }]), undefined);
  t.is(doubtOf([a], { paid: [a], moved: 0n }, [{ paid: [], moved: 5000n }]), undefined);
});

test('what another way tells otherwise is, by how much', (t) => {
  const doubt = doubtOf(all, { paid: [a], moved: 5000n }, [{ paid: [b, c], moved: 5000n }]);
  t.deepEqual(
    doubt,
    new Map([
      [name(a), { paid: 5000n, failed: 0n }],
      [name(b), { paid: 0n, failed: 3000n }],
      [name(c), { paid: 0n, failed: 2000n }],
    ]),
  );
});

test('equal ones are in doubt with the one that is, whether or not a way was tried with them', (t) => {
  const [same, twin] = [htlc(4, 'local', 5000n), htlc(5, 'local', 5000n)];
  const doubt = doubtOf([a, same, twin], { paid: [a], moved: 0n }, [{ paid: [same], moved: 0n }]);
  t.deepEqual([...(doubt?.keys() ?? [])], [name(a), name(same), name(twin)]);
});

test('what came in is not in doubt', (t) => {
  const [came, other] = [htlc(6, 'remote', 5000n), htlc(7, 'remote', 5000n)];
  t.is(doubtOf([came, other], { paid: [came], moved: 5000n }, [{ paid: [other], moved: 5000n }]), undefined);
  t.is(doubtOf([a, came], { paid: [a, came], moved: 0n }, [{ paid: [], moved: 0n }]), undefined);
});

test('parts of one payment count together, and moving what was paid neither adds nor takes any', (t) => {
  const part = { ...b, cltvExpiry: 501 };
  const doubt = doubtOf([a, b, part], { paid: [b, part], moved: 0n }, [{ paid: [a], moved: 0n }]) ?? new Map();
  t.deepEqual(doubt.get(name(b)), { paid: 6000n, failed: 0n });
  const after = moved(doubt, name(b), name(a), 4500n);
  t.deepEqual(after.get(name(b)), { paid: 1500n, failed: 4500n });
  t.deepEqual(after.get(name(a)), { paid: 4500n, failed: 500n });
  t.is(moved(doubt, name(b), undefined, 500n).get(name(a)), doubt.get(name(a)));
});

test('a doubt about which nothing is left to mistake is none', (t) => {
  const doubt = doubtOf(all, { paid: [a], moved: 5000n }, [{ paid: [b, c], moved: 5000n }]) ?? new Map();
  t.is(doubtsAbout([doubt], (hash) => hash !== name(c)).length, 1);
  t.deepEqual(
    doubtsAbout([doubt], (hash) => hash !== name(a)),
    [],
  );
  t.deepEqual(
    doubtsAbout([doubt], (hash) => hash === name(a)),
    [],
  );
});
