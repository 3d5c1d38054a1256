/** What an owner may ask of a running signer over its socket, and the answers, as JSON: amounts are texts of digits. */

import { fromHex } from '../proto/bytes.ts';
import { addressOfScript } from '../signer/bitcoin/address_text.ts';
import type { Network } from '../signer/chain/networks.ts';
import type { Asked, Desk, NumberedLeave, Refused, Terms } from '../signer/policy/desk.ts';
import { askedWish, isAmountless, isWishKind, type Wish, wishKinds } from '../signer/policy/wish.ts';
import { OwnerRequestError } from './approver_socket.ts';

export interface Owned {
  readonly desk: Desk;
  /** Unix seconds. */
  readonly now: () => number;
  /** The network of the node, once it has started. */
  readonly network: () => Network | undefined;
}

/** A wish as people and programs read it; without an amount where an invoice has none. */
export interface WishJson {
  readonly kind: string;
  /** A payment hash, a node id, an address, or a script in hex where it has none. */
  readonly target: string;
  readonly amount_msat?: string;
  readonly amount_sat?: string;
}

export interface AskedJson extends WishJson {
  readonly id: number;
  readonly how?: string;
  readonly payee?: string;
  readonly fee_budget_msat?: string;
  /** Whether nothing is to be paid: what came in for a payment is to go back, and what went out may not have come back. */
  readonly gives_back?: true;
  readonly rule: string;
  readonly times: number;
  readonly first: string;
  readonly last: string;
}

export interface LeaveJson extends WishJson {
  readonly id: number;
  readonly uses_left: number;
  readonly until: string;
}

export interface RefusedJson {
  readonly rule: string;
  readonly request: string;
  readonly message: string;
  readonly times: number;
  readonly last: string;
}

export interface ListJson {
  readonly asked: readonly AskedJson[];
  readonly allowed: readonly LeaveJson[];
  readonly refused: readonly RefusedJson[];
}

export type OwnerRequest =
  | { readonly method: 'list' }
  | {
      readonly method: 'approve';
      readonly id: number;
      /** Msat, where what was asked is an invoice without an amount. */
      readonly amount?: string | undefined;
      readonly uses: number;
      readonly until: number;
    }
  | {
      readonly method: 'allow';
      readonly wish: { readonly kind: string; readonly target: string; readonly amount: string };
      readonly uses: number;
      readonly until: number;
    }
  | { readonly method: 'withdraw'; readonly id: number };

/** Carries out a request. @throws OwnerRequestError */
export function answerOwner(owned: Owned, request: unknown): ListJson | LeaveJson | { readonly withdrawn: number } {
  const { desk, now } = owned;
  const given = tableOf(request);
  switch (given['method']) {
    case 'list':
      return {
        asked: desk.asked.map((asked) => askedJson(owned, asked)),
        allowed: desk.leaves(now()).map((leave) => leaveJson(owned, leave)),
        refused: desk.refused.map(refusedJson),
      };
    case 'approve': {
      const id = wholeOf(given['id'], 'id');
      const leave = desk.allowAsked(id, termsOf(given, now()), amountFor(desk, id, given['amount']));
      if (leave === undefined)
        throw new OwnerRequestError(`nothing with the number ${id} waits: see keyhold approvals`);
      return leaveJson(owned, leave);
    }
    case 'allow':
      return leaveJson(owned, desk.allow(readWish(given['wish']), termsOf(given, now())));
    case 'withdraw': {
      const id = wholeOf(given['id'], 'id');
      if (!desk.withdraw(id)) throw new OwnerRequestError(`nothing has the number ${id}: see keyhold approvals`);
      return { withdrawn: id };
    }
    default:
      throw new OwnerRequestError('method: expected list, approve, allow or withdraw');
  }
}

function tableOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new OwnerRequestError('expected an object');
  return Object.fromEntries(Object.entries(value));
}

function wholeOf(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
    throw new OwnerRequestError(`${name}: expected a whole number above 0`);
  return value;
}

function termsOf(given: Readonly<Record<string, unknown>>, now: number): Terms {
  const expires = wholeOf(given['until'], 'until');
  if (expires <= now) throw new OwnerRequestError('until: expected a time to come');
  return { uses: wholeOf(given['uses'], 'uses'), expires };
}

/** What the owner says an invoice without an amount may cost, msat; undefined where the invoice says it. */
function amountFor(desk: Desk, id: number, given: unknown): bigint | undefined {
  const asked = desk.asked.find((each) => each.id === id);
  const isOpen = asked !== undefined && isAmountless(askedWish(asked.purpose));
  if (asked === undefined || (!isOpen && given === undefined)) return undefined;
  if (!isOpen) throw new OwnerRequestError(`amount: number ${id} has an amount of its own`);
  if (typeof given !== 'string' || !/^[1-9]\d{0,18}$/.test(given))
    throw new OwnerRequestError(`its invoice has no amount: keyhold approve ${id} --amount MSAT says what it may cost`);
  return BigInt(given);
}

function readWish(value: unknown): Wish {
  const { kind, target, amount } = tableOf(value);
  if (typeof kind !== 'string' || !isWishKind(kind))
    throw new OwnerRequestError(`wish.kind: expected one of ${Object.keys(wishKinds).join(', ')}`);
  if (typeof target !== 'string' || !/^([0-9a-f]{2})+$/.test(target))
    throw new OwnerRequestError('wish.target: expected lower-case hex');
  if (typeof amount !== 'string' || !/^\d{1,19}$/.test(amount))
    throw new OwnerRequestError('wish.amount: expected a text of digits');
  return { kind, target, amount: BigInt(amount) };
}

function wishJson({ network }: Owned, wish: Wish): WishJson {
  const { kind, target, amount } = wish;
  const on = network();
  const address =
    wishKinds[kind].target === 'script' && on !== undefined ? addressOfScript(fromHex(target), on) : undefined;
  if (isAmountless(wish)) return { kind, target };
  const unit = wishKinds[kind].unit === 'msat' ? { amount_msat: `${amount}` } : { amount_sat: `${amount}` };
  return { kind, target: address ?? target, ...unit };
}

function askedJson(owned: Owned, { id, purpose, first, last, times }: Asked): AskedJson {
  const wish = askedWish(purpose);
  const payment =
    purpose.kind === 'pay'
      ? {
          how: purpose.how,
          // The owner says the amount, and the fee budget goes by that.
          ...(!isAmountless(wish) && { fee_budget_msat: `${purpose.feeBudgetMsat}` }),
          ...(purpose.givesBack === true && { gives_back: true as const }),
          ...(purpose.payee !== undefined && { payee: purpose.payee }),
        }
      : {};
  const { rule } = wishKinds[purpose.kind];
  return { id, ...wishJson(owned, wish), ...payment, rule, times, first: timeOf(first), last: timeOf(last) };
}

function leaveJson(owned: Owned, { id, wish, usesLeft, expires }: NumberedLeave): LeaveJson {
  return { id, ...wishJson(owned, wish), uses_left: usesLeft, until: timeOf(expires) };
}

function refusedJson({ tag, message, call, last, times }: Refused): RefusedJson {
  return { rule: tag, request: call, message, times, last: timeOf(last) };
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
