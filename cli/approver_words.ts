/** What a signer asked of its owner, in words for a terminal. */

import { isWishKind, wishKinds } from '../signer/policy/wish.ts';
import type { AskedJson, LeaveJson, ListJson, RefusedJson, WishJson } from './approver_requests.ts';

/** `5 sat`, `5.021 sat`. */
export function sat(msat: bigint): string {
  const rest = msat % 1000n;
  return `${msat / 1000n}${rest === 0n ? '' : `.${String(rest).padStart(3, '0')}`} sat`;
}

/** Texts may come from a hostile host: nothing in them may steer the terminal. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

function wishWords({ kind, target, amount_msat: msat, amount_sat: satoshi }: WishJson): string {
  const verb = isWishKind(kind) ? wishKinds[kind].verb : kind;
  const amount =
    msat !== undefined ? sat(BigInt(msat)) : satoshi !== undefined ? `${satoshi} sat` : 'as much as --amount says';
  // What a fee has above the feerate is asked about as a spend to nobody.
  if (kind === 'spend' && target === '') return `pay a fee above the feerate allowed: ${amount}`;
  const where = isWishKind(kind) && wishKinds[kind].target === 'payment hash' ? `(payment hash ${target})` : target;
  return plain(`${verb} ${where}: ${amount}`);
}

function givesBackWords({ target, amount_msat: msat }: WishJson): string {
  return `give an incoming payment back (payment hash ${target}): ${sat(BigInt(msat ?? '0'))} went out for it, and nothing proves that they came back`;
}

/** One thing asked, in a line. */
export function askedWords(asked: AskedJson): string {
  const { how, payee, fee_budget_msat: fee, gives_back: givesBack, times, last } = asked;
  const to = payee === undefined ? '' : ` to ${payee}`;
  const means = how === 'uninvoiced' ? 'without an invoice for that much' : `by ${how}`;
  const budget = fee === undefined ? '' : `, fee up to ${sat(BigInt(fee))}`;
  const details = how === undefined ? '' : ` ${means}${to}${budget}`;
  const words = givesBack === true ? givesBackWords(asked) : `${wishWords(asked)}${details}`;
  return plain(`${words}; asked ${times === 1 ? 'once' : `${times} times`}, last ${last}`);
}

export function leaveWords(leave: LeaveJson): string {
  const { uses_left: uses, until } = leave;
  const left = uses === 0 ? 'used' : uses === 1 ? 'once' : `${uses} times`;
  return plain(`${wishWords(leave)}; ${left}, until ${until}`);
}

function refusedWords({ rule, request, message, times, last }: RefusedJson): string {
  return plain(`${last}  ${rule} (${request}${times === 1 ? '' : `, ${times} times`}): ${message}`);
}

/** All that lies on the owner's desk. */
export function listWords({ asked, allowed, refused }: ListJson): string {
  const numbered = (id: number, words: string) => `  ${String(id).padStart(3)}  ${words}`;
  const none = ['  nothing'];
  return [
    'waits for your word (keyhold approve NUMBER, then have lightningd try again):',
    ...(asked.length > 0 ? asked.map((each) => numbered(each.id, askedWords(each))) : none),
    'allowed:',
    ...(allowed.length > 0 ? allowed.map((each) => numbered(each.id, leaveWords(each))) : none),
    'refused by a rule (keyhold policy explain RULE):',
    ...(refused.length > 0 ? refused.map((each) => `  ${refusedWords(each)}`) : none),
  ].join('\n');
}
