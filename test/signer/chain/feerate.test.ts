import test from 'ava';
import fc from 'fast-check';
import { checkFeeLimits, defaultFeeLimits, feeBounds, relayFloor } from '../../../signer/chain/feerate.ts';

const now = 1_700_000_000_000;
const bounds = (feerate: number, age = 0) => feeBounds(defaultFeeLimits, { feerate, at: now - age }, now);

test('without an estimate the bounds are the floor and the usual ceiling', (t) => {
  t.deepEqual(feeBounds(defaultFeeLimits, undefined, now), { min: 253, max: 75_000, estimated: false });
});

test('an estimate moves both bounds', (t) => {
  t.deepEqual(bounds(10_000), { min: 2_000, max: 50_000, estimated: true });
  t.deepEqual(bounds(40_000), { min: 8_000, max: 200_000, estimated: true });
});

test('no estimate moves a bound beyond the absolute floor and ceiling', (t) => {
  t.deepEqual(bounds(1), { min: 253, max: 253, estimated: true });
  t.deepEqual(bounds(1e12), { min: 250_000, max: 250_000, estimated: true });
  fc.assert(
    fc.property(fc.double(), fc.integer(), (feerate, age) => {
      const { min, max } = bounds(feerate, age);
      if (!(relayFloor <= min && min <= max && max <= defaultFeeLimits.ceiling)) throw new Error(`${min} ${max}`);
    }),
  );
});

test('an estimate that is old, from the future or no number counts for nothing', (t) => {
  const unmoved = feeBounds(defaultFeeLimits, undefined, now);
  t.deepEqual(bounds(10_000, defaultFeeLimits.maxAge + 1), unmoved);
  t.deepEqual(bounds(10_000, -1), unmoved);
  for (const feerate of [0, -5, Number.NaN, Number.POSITIVE_INFINITY]) t.deepEqual(bounds(feerate), unmoved);
});

test('limits out of order are refused', (t) => {
  t.notThrows(() => checkFeeLimits(defaultFeeLimits));
  for (const wrong of [
    { floor: 252 },
    { floor: 80_000 },
    { ceiling: 70_000 },
    { leeway: 0.5 },
    { ceiling: Number.NaN },
  ])
    t.throws(() => checkFeeLimits({ ...defaultFeeLimits, ...wrong }), { instanceOf: RangeError });
});
