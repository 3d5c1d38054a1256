/** Every call's check. A call that is missing here does not compile: what needs none says so. */

import type { Call } from '../../proto/hsmd/calls.ts';
import { commitmentChecks } from './commitment.ts';
import { paymentChecks } from './payment.ts';
import { revocationChecks } from './revocation.ts';
import type { Checks } from './scope.ts';

export const checks: Partial<Checks<Call>> = {
  ...commitmentChecks,
  ...paymentChecks,
  ...revocationChecks,
};
