/**
 * The owner's word as their own clients give it: what they signed on their devices says what may be done. The host only
 * carries these requests, so it may leave some out, repeat old ones, swap URIs, or mix the runes of several devices; each
 * of that ends here.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Clock } from '../../proto/clock.ts';
import { errorText, type Log } from '../../proto/log.ts';
import type { Secret } from '../../proto/secret.ts';
import type { SignedRequest } from '../../proto/signed_request.ts';
import type { Network } from '../chain/networks.ts';
import type { Leave } from '../policy/leave.ts';
import type { Approver, Consent, Purpose } from '../policy/purpose.ts';
import type { Settings } from '../policy/settings.ts';
import type { Store } from '../store/store.ts';
import { asksForLeave, type Intent } from './intents.ts';
import { isUngranted, meaningOf } from './meaning.ts';
import { parseRune, RuneError } from './rune.ts';
import { checkRune } from './rune_check.ts';
import { ShownRequests } from './shown.ts';
import { defaultFreshness, RequestError, type VerifiedRequest, verifyRequest } from './signed_request.ts';

export interface ClientRequestParts {
  /** Our node's id, 33 bytes. */
  readonly nodeId: Uint8Array;
  readonly network: Network;
  /** What the node's runes are made with. */
  readonly runes: Secret;
  readonly settings: Pick<Settings, 'stockRequests' | 'revokedRunes'>;
  readonly store: Pick<Store, 'entries' | 'commit'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long a request gives leave, in seconds: for as long as lightningd may try. A close has to wait for the peer. */
const goodFor = { close: 24 * 60 * 60, rest: 60 * 60 } as const;

export class ClientRequests implements Approver {
  readonly name = 'requests of clients';
  readonly #parts: ClientRequestParts;
  readonly #shown: ShownRequests;
  readonly #arriving = new Set<Promise<void>>();

  constructor(parts: ClientRequestParts) {
    this.#parts = parts;
    this.#shown = new ShownRequests(parts.store);
  }

  /** Takes a request that the host shows. Never rejects: what is wrong with it is for the log. */
  async show(request: SignedRequest): Promise<void> {
    if (!asksForLeave(request.uri)) return;
    const arriving = this.#take(request).catch((error: unknown) => this.#complain(request, error));
    this.#arriving.add(arriving);
    await arriving;
    this.#arriving.delete(arriving);
  }

  /** Yes where a request that was shown before asks for it. */
  async approve(purpose: Purpose, now: number): Promise<Consent> {
    await Promise.all(this.#arriving);
    return this.#shown.use(purpose, now);
  }

  async would(purpose: Purpose, now: number): Promise<boolean> {
    await Promise.all(this.#arriving);
    return this.#shown.allows(purpose, now);
  }

  async #take(request: SignedRequest): Promise<void> {
    const { nodeId, network, settings, clock } = this.#parts;
    const verified = await verifyRequest(request, nodeId, clock.now(), defaultFreshness);
    if (!verified.bound && !settings.stockRequests) throw new RequestError('expected a signature over the URI');
    const intents = meaningOf(verified, network);
    // From here to taking it nothing waits: two that arrive at once cannot both use a rune that allows one.
    const now = clock.now();
    const runeId = this.#checkRune(request.rune, verified, intents, now);
    if (intents.length === 0) return;
    const leaves = intents.map((intent) => leaveFor(intent, Math.floor(now / 1000)));
    const until = verified.signedAt + defaultFreshness.maxAge;
    if (!(await this.#shown.take({ id: verified.id, until, runeId, leaves }, now)))
      this.#parts.log('debug', 'a client’s request was shown again', { uri: verified.uri });
  }

  /** The id of the rune. @throws RuneError */
  #checkRune(bytes: Uint8Array, verified: VerifiedRequest, intents: readonly Intent[], now: number): string {
    const { runes, settings } = this.#parts;
    const rune = parseRune(bytes);
    const amounts = intents.map(({ leaves }) => leaves);
    return checkRune(rune, runes, settings.revokedRunes, {
      method: verified.method,
      pubkey: toHex(verified.pubkey),
      time: Math.floor(now / 1000),
      amountMsat: amounts.reduce<bigint | undefined>(
        (sum, one) => (sum === undefined || one === 'all' ? undefined : sum + one),
        amounts.length === 0 ? undefined : 0n,
      ),
      idle: this.#shown.idle(rune.id ?? '', now),
    });
  }

  #complain({ uri }: SignedRequest, error: unknown): void {
    const isBad = error instanceof RequestError || error instanceof RuneError || isUngranted(error);
    const facts = { uri: uri.slice(0, 100), reason: errorText(error) };
    if (isBad) this.#parts.log('warn', 'a client’s request allows nothing', facts);
    else this.#parts.log('error', 'a client’s request could not be taken', facts);
  }
}

function leaveFor({ wish }: Intent, now: number): Leave {
  const seconds = wish.kind === 'closeTo' ? goodFor.close : goodFor.rest;
  return { wish, usesLeft: 1, expires: now + seconds, occasions: [] };
}
