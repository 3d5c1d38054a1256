import test from 'ava';
import { fromMsat, takeBroken } from '../../../signer/policy/scope.ts';
import { profiles } from '../../../signer/policy/settings.ts';
import { Refusal } from '../../../signer/refusal.ts';

test('a refusal says its amounts with their unit, and numbers as they are', (t) => {
  const broken = takeBroken(profiles.test, () => undefined);
  const refusal = t.throws(
    () =>
      broken('policy-onchain-fee-range', {
        fee: 5000n,
        weight: 400,
        saved: fromMsat(1_500n),
        of: fromMsat(2_000_000n),
      }),
    { instanceOf: Refusal },
  );
  t.regex(refusal.message, /found: fee 5000 sat, weight 400, saved 1\.500 sat, of 2000 sat$/);
});
