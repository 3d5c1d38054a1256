/** The owner's word where whoever can call the local lightningd is the owner. */

import type { Approver, Purpose } from './purpose.ts';
import type { Settings } from './settings.ts';

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
