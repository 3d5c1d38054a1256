/** The owner's word where whoever can call the local lightningd is the owner. */

import type { Approver, Purpose } from './purpose.ts';
import type { Settings } from './settings.ts';

/** What needs `keyhold approve` although the caller of the local lightningd is the owner, one sentence each. */
export function localLimits({ autoPayMsat, paymentsMsatPerDay, onchainSatPerDay }: Settings): readonly string[] {
  const payments =
    autoPayMsat === 0n
      ? 'payments: all need keyhold approve, for auto_pay_msat is 0'
      : `payments: keyhold approve is needed above ${autoPayMsat} msat each and ${paymentsMsatPerDay} msat a day`;
  return [
    ...(paymentsMsatPerDay > 0n ? [payments] : []),
    ...(onchainSatPerDay > 0n ? [`on-chain: keyhold approve is needed above ${onchainSatPerDay} sat a day`] : []),
  ];
}

/** Says yes for whoever calls the local lightningd, but where the file limits what needs no approval. */
export function localOwner({ paymentsMsatPerDay, onchainSatPerDay }: Settings): Approver {
  const onchain = onchainSatPerDay === 0n;
  const yes: Readonly<Record<Purpose['kind'], boolean>> = {
    pay: paymentsMsatPerDay === 0n,
    spend: onchain,
    open: onchain,
    push: true,
    spliceOut: onchain,
    closeTo: true,
    issue: true,
  };
  return { name: 'whoever calls lightningd', approve: ({ kind }) => Promise.resolve(yes[kind]) };
}
