import test from 'ava';
import fc from 'fast-check';
import { effectiveSettings } from '../../../signer/policy/effective.ts';
import { inactiveRules } from '../../../signer/policy/report.ts';
import { profiles } from '../../../signer/policy/settings.ts';

const now = 1_700_000_000_000;
const settings = { ...profiles.mainnet, minFeeratePerkw: 253, maxFeeratePerkw: 75_000, ceilingFeeratePerkw: 250_000 };
const most = (feerate: number, age = 0) => effectiveSettings(settings, { feerate, at: now - age }, now).maxFeeratePerkw;

test('an estimate raises the upper bound of feerates, as far as the ceiling', (t) => {
  t.is(most(20_000), 100_000);
  t.is(most(40_000), 200_000);
  t.is(most(60_000), 250_000);
  t.is(most(4_000_000_000), 250_000);
});

test('no estimate lowers a bound or touches anything else', (t) => {
  t.is(most(300), 75_000);
  t.is(effectiveSettings(settings, undefined, now), settings);
  fc.assert(
    fc.property(fc.double(), fc.integer(), (feerate, age) => {
      const { maxFeeratePerkw, ...rest } = effectiveSettings(settings, { feerate, at: now - age }, now);
      if (!(maxFeeratePerkw >= 75_000 && maxFeeratePerkw <= 250_000)) throw new Error(`${maxFeeratePerkw}`);
      t.deepEqual({ ...rest, maxFeeratePerkw: 75_000 }, settings);
    }),
  );
});

test('an old estimate counts for nothing', (t) => {
  t.is(most(40_000, 4 * 3_600_000), 75_000);
});

test('rules that need the chain are reported while they are not in force', (t) => {
  const height = ['policy-commitment-htlc-cltv-range'];
  const buried = ['policy-chain-outpoint-buried'];
  t.deepEqual(inactiveRules(undefined), [...height, ...buried]);
  t.deepEqual(inactiveRules({ inForce: false, height: () => undefined }), [...height, ...buried]);
  t.deepEqual(inactiveRules({ inForce: true, height: () => undefined }), height);
  t.deepEqual(inactiveRules({ inForce: true, height: () => 5 }), []);
});
