/**
 * Approval by the owner's own clients: what they signed on their devices says what may be done. The host only carries
 * these requests, so it may leave some out, repeat old ones, swap URIs, or mix the runes of several devices; each of that
 * ends here.
 *
 * What is accepted, and why: a request whose URI is signed too (Keyhold's clients) means what its method says. From stock
 * clients, which leave the URI open, only bytes that no method reads differently are taken (readings.ts): a `Pay` with an
 * amount or a maximum fee is one, a `Pay` with nothing but an invoice is not, for a client that asked to decode that
 * invoice signed the same bytes. Such payments are left to the owner's limits, or to the owner.
 */

import { toHex } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import type { Secret } from '../../proto/secret.ts';
import type { Network } from '../chain/networks.ts';
import { InvoiceError } from '../lightning/invoice_error.ts';
import { AddressError } from './address.ts';
import { type Approval, approvalOf, type FeeBudget, objection } from './approval.ts';
import type { Approver, Facts } from './approver.ts';
import { type Intent, IntentError, intentsOf } from './intents.ts';
import { type ProtoMessage, readMessage } from './protobuf.ts';
import { keyOfPurpose } from './purpose.ts';
import { readingsOf } from './readings.ts';
import { parseRune, type Rune, RuneError } from './rune.ts';
import { checkRune } from './rune_check.ts';
import type { SeenRequests } from './seen.ts';
import {
  type Freshness,
  RequestError,
  type SignedRequest,
  type VerifiedRequest,
  verifyRequest,
} from './signed_request.ts';

export interface ClientRequestRules {
  /** Our node's id, 33 bytes. */
  readonly nodeId: Uint8Array;
  readonly network: Network;
  /** See `runeSecret`. */
  readonly runeSecret: Secret;
  readonly revoked: ReadonlySet<string>;
  readonly freshness: Freshness;
  /** Whether requests without a signed URI count at all. */
  readonly acceptStock: boolean;
  readonly budget: FeeBudget;
  /** How long such an approval lasts, in milliseconds. */
  readonly lifetime: number;
  readonly seen: SeenRequests;
  /** Milliseconds since a rune's id was last used, for runes with `per` or `rate`; see RuneFacts.idle. */
  readonly idle: (runeId: string, now: number) => number | undefined;
}

/** Yes where a fresh, verified request asks for what is wanted; abstains otherwise. */
export function fromClientRequests(rules: ClientRequestRules): Approver {
  return {
    async approve(wanted, facts, signal) {
      const reasons: string[] = [];
      for (const request of facts.requests) {
        signal.throwIfAborted();
        try {
          const { approvals, verified } = await approvalsOf(rules, request, facts);
          if (!approvals.some((approval) => objection(approval, wanted, facts.now) === undefined)) continue;
          if (facts.checkOnly || (await isFirstUse(rules, verified, facts.now))) return { answer: 'yes', approvals };
          reasons.push(`${verified.method}: it has been approved before`);
        } catch (error: unknown) {
          reasons.push(objectionOf(error));
        }
      }
      return { answer: 'abstain', reason: ['no client request asks for it', ...reasons].join('; ') };
    },
  };
}

function isFirstUse({ seen, freshness }: ClientRequestRules, { id, signedAt }: VerifiedRequest, now: number) {
  return seen.remember(id, signedAt + freshness.maxAge, now);
}

/** What a request approves. Throws RequestError, RuneError and what `meaningOf` throws. */
async function approvalsOf(
  rules: ClientRequestRules,
  request: SignedRequest,
  { now }: Facts,
): Promise<{ readonly approvals: readonly Approval[]; readonly verified: VerifiedRequest }> {
  const verified = await verifyRequest(request, rules.nodeId, now, rules.freshness);
  if (!verified.bound && !rules.acceptStock)
    throw new RequestError(`${verified.uri}: expected a signature over its URI`);
  const intents = meaningOf(verified, rules.network);
  checkRuneOf(rules, parseRune(request.rune), verified, intents, now);
  const expiresAt = now + rules.lifetime;
  const approvals = intents.map((intent, index) =>
    approvalOf(intent, {
      id: `${toHex(verified.id)}/${index}`,
      by: `${verified.method} by a client`,
      expiresAt,
      budget: rules.budget,
    }),
  );
  return { approvals, verified };
}

function checkRuneOf(
  rules: ClientRequestRules,
  rune: Rune,
  { method, pubkey }: VerifiedRequest,
  intents: readonly Intent[],
  now: number,
): void {
  const amounts = intents.map(({ amountMsat }) => amountMsat);
  const amountMsat = amounts.reduce(
    (sum: bigint | 'all', one) => (sum === 'all' || one === 'all' ? 'all' : sum + one),
    0n,
  );
  checkRune(rune, rules.runeSecret, rules.revoked, {
    method,
    pubkey: toHex(pubkey),
    time: Math.floor(now / 1000),
    amountMsat: amountMsat === 'all' || amounts.length === 0 ? undefined : amountMsat,
    idle: rune.id === undefined ? undefined : rules.idle(rune.id, now),
  });
}

/**
 * What a verified request asks for. Throws RequestError where the bytes are no request of that method or, with an
 * unsigned URI, could be another's; IntentError, InvoiceError, AddressError and WireError where it cannot be granted.
 */
export function meaningOf({ uri, payload, bound }: VerifiedRequest, network: Network): readonly Intent[] {
  const readings = readingsOf(payload);
  if (!readings.includes(uri)) throw new RequestError(`the bytes are no request of ${uri} as this signer knows it`);
  const message = readMessage(payload);
  const intents = intentsOf(uri, message, network);
  if (bound || intents.length === 0) return intents;
  for (const other of readings)
    if (other !== uri && !isSame(other, message, network, intents))
      throw new RequestError(`the same bytes could be a request of ${other}: expected a signature over the URI`);
  return intents;
}

/** Whether a request of another method would ask for exactly the same; one that this signer cannot judge would not. */
function isSame(other: string, message: ProtoMessage, network: Network, intents: readonly Intent[]): boolean {
  try {
    return keyOfIntents(intentsOf(other, message, network)) === keyOfIntents(intents);
  } catch (error: unknown) {
    if (isUngranted(error)) return false;
    throw error;
  }
}

function isUngranted(error: unknown): error is Error {
  return (
    error instanceof IntentError ||
    error instanceof InvoiceError ||
    error instanceof AddressError ||
    error instanceof WireError
  );
}

function objectionOf(error: unknown): string {
  if (error instanceof RequestError || error instanceof RuneError || isUngranted(error)) return error.message;
  throw error;
}

function keyOfIntents(intents: readonly Intent[]): string {
  return intents.map(({ purpose, amountMsat, feeMsat }) => `${keyOfPurpose(purpose)} ${amountMsat} ${feeMsat}`).join();
}
