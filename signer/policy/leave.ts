/** Leave that an owner gave: a wish, for a time and a number of uses. Pure: whoever keeps leaves puts the changed ones in. */

import { toHex } from '../../proto/bytes.ts';
import type { Consent, Purpose } from './purpose.ts';
import { consentOf, type InvoiceWish, type Wish } from './wish.ts';

export interface Leave<W extends Wish | InvoiceWish = Wish | InvoiceWish> {
  readonly wish: W;
  readonly usesLeft: number;
  /** Unix seconds. */
  readonly expires: number;
  /** What it was used for: the same again is no other use. */
  readonly occasions: readonly string[];
}

export interface Use<L> {
  readonly consent: Exclude<Consent, false>;
  /** The leaves that are used by it for the first time, each with what is left of it. */
  readonly changed: ReadonlyMap<L, L>;
}

/** How these leaves allow a purpose; undefined where they do not. Leaves for parts of a payment count together. */
export function useOf<L extends Leave>(leaves: readonly L[], purpose: Purpose, now: number): Use<L> | undefined {
  const occasion = occasionOf(purpose);
  const isKnown = ({ occasions }: L) => occasion !== undefined && occasions.includes(occasion);
  const valid = leaves.filter((leave) => leave.expires > now && (isKnown(leave) || leave.usesLeft > 0));
  const wholes = valid.filter(({ wish }) => wish.kind === 'issue' || wish.isPart !== true);
  const known = wholes.filter(isKnown);
  const fresh = wholes.filter((leave) => !known.includes(leave));
  const parts = valid.filter(({ wish }) => purpose.kind === 'pay' && isPartOf(wish, purpose.hash));
  for (const together of [...[...known, ...fresh].map((leave) => [leave]), parts]) {
    const wish = sumOf(together.map((leave) => leave.wish));
    const consent = wish !== undefined && consentOf(wish, purpose);
    if (consent === false) continue;
    const first = together.filter((leave) => !isKnown(leave));
    return {
      consent: untilExpiry(consent, together),
      changed: new Map(first.map((leave) => [leave, usedFor(leave, occasion)])),
    };
  }
  return undefined;
}

/** As long as the leaves last, the same occasion is no other use. */
function untilExpiry(consent: Exclude<Consent, false>, leaves: readonly Leave[]): Exclude<Consent, false> {
  if (consent === true) return true;
  return { ...consent, until: Math.max(...leaves.map(({ expires }) => expires)) };
}

/** What counts as one use however often it is asked: a payment and its attempts, a close and its rounds. */
function occasionOf(purpose: Purpose): string | undefined {
  switch (purpose.kind) {
    case 'pay':
      return purpose.hash;
    case 'closeTo':
      return [purpose.script, ...(purpose.channel ?? [])].join(' ');
    case 'spliceOut':
      return purpose.txid;
    case 'issue':
      return toHex(purpose.content.paymentHash);
    default:
      return undefined;
  }
}

function isPartOf(wish: Leave['wish'], hash: string): boolean {
  return wish.kind === 'pay' && wish.isPart === true && wish.target === hash;
}

/** Wishes of one kind and target as one; each amount and fee is on top of the others. */
function sumOf(wishes: readonly Leave['wish'][]): Leave['wish'] | undefined {
  const [first] = wishes;
  if (first === undefined || first.kind === 'issue') return first;
  let amount = 0n;
  let feeBudgetMsat: bigint | undefined = 0n;
  for (const wish of wishes) {
    if (wish.kind === 'issue') continue;
    const { feeBudgetMsat: fee } = wish;
    amount += wish.amount;
    feeBudgetMsat = fee === undefined || feeBudgetMsat === undefined ? undefined : feeBudgetMsat + fee;
  }
  return { ...first, amount, feeBudgetMsat };
}

function usedFor<L extends Leave>(leave: L, occasion: string | undefined): L {
  const occasions = occasion === undefined ? leave.occasions : [...leave.occasions, occasion];
  return { ...leave, usesLeft: leave.usesLeft - 1, occasions };
}
