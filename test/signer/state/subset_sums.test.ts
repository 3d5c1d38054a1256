import test from 'ava';
import fc from 'fast-check';
import { subsetsNear } from '../../../signer/state/subset_sums.ts';
import { randomFrom, seed } from '../../fuzz_budget.ts';

const sum = (amounts: readonly bigint[], chosen: readonly boolean[]) =>
  amounts.reduce((total, amount, i) => total + (chosen[i] ? amount : 0n), 0n);

const exactly = { below: 0n, above: 0n };

test('finds each subset of a few amounts, and nothing else', (t) => {
  const amounts = fc.array(fc.bigInt(0n, 30n), { maxLength: 6 });
  const property = fc.property(amounts, fc.bigInt(-5n, 150n), fc.bigInt(0n, 10n), (list, least, width) => {
    const most = least + width;
    const asText = (chosen: readonly boolean[]) => chosen.map(Number).join('');
    const found = new Set(
      [...subsetsNear(list, { least, most }, exactly)].map((subset) => asText(list.map((_, i) => subset.has(i)))),
    );
    for (let bits = 0; bits < 1 << list.length; bits++) {
      const chosen = list.map((_, i) => ((bits >> i) & 1) === 1);
      const total = sum(list, chosen);
      if (found.has(asText(chosen)) !== (total >= least && total <= most)) return false;
    }
    return true;
  });
  t.notThrows(() => fc.assert(property, { seed, numRuns: 300 }));
});

for (const [what, amountOf] of [
  ['amounts', (random: (limit: number) => number) => BigInt(354_000 + random(100_000_000))],
  [
    'amounts, most of them the same',
    (random: (limit: number) => number) => BigInt(1_000_000 + (random(8) === 0 ? random(9_000_000) : 0)),
  ],
  [
    'amounts of all sizes',
    (random: (limit: number) => number) => BigInt(Math.round(354_000 * 2 ** (random(1400) / 100))),
  ],
] as const)
  test(`finds some subset of hundreds of ${what}`, (t) => {
    const random = randomFrom(seed);
    let missed = 0;
    for (let n = 0; n < 40; n++) {
      const list = Array.from({ length: 40 + random(440) }, () => amountOf(random));
      const least = sum(
        list,
        list.map(() => random(2) === 0),
      );
      const most = least + 1998n;
      const [chosen] = subsetsNear(list, { least, most }, exactly);
      const total =
        chosen === undefined
          ? -1n
          : sum(
              list,
              list.map((_, i) => chosen.has(i)),
            );
      if (total < least || total > most) missed += 1;
    }
    t.true(missed <= 4, `${missed} of 40, seed ${seed}`);
  });
