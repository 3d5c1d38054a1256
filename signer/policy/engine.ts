/**
 * The policy at work: for each request the state is read, its check decides, the reply is computed, what changed is made
 * durable, and only then the reply leaves. All checks and all changes go through here, so this is where they are one step.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Clock } from '../../proto/clock.ts';
import type { Call, ReplyOf, Request, RequestOf } from '../../proto/hsmd/calls.ts';
import { hsmdName } from '../../proto/hsmd/calls.ts';
import { encodeReply } from '../../proto/hsmd/message.ts';
import type { Log } from '../../proto/log.ts';
import type { ChainView } from '../chain/view.ts';
import type { Context } from '../context.ts';
import type { InvoiceNetwork } from '../lightning/invoice.ts';
import type { Refusal } from '../refusal.ts';
import type { ChannelState } from '../state/channel_state.ts';
import { SignerState } from '../state/state.ts';
import type { Store } from '../store/store.ts';
import { checks } from './checks.ts';
import { effectiveSettings } from './effective.ts';
import { checkNotFrozen } from './frozen.ts';
import { type Approver, type Consent, type Purpose, wouldApprove } from './purpose.ts';
import type { Check, Scope, Verdict } from './scope.ts';
import { takeBroken } from './scope.ts';
import type { Settings } from './settings.ts';

export interface EngineParts {
  readonly settings: Settings;
  readonly approver: Approver;
  readonly store: Store;
  readonly network: InvoiceNetwork;
  readonly clock: Clock;
  readonly log: Log;
  /** The chain's height, where a feed proves one. */
  readonly height: () => number | undefined;
  /** What else a feed proves; undefined where there is no feed. */
  readonly chain?: ChainView | undefined;
  /** Told of refusals that are answered in a form of the protocol's own, and are thrown to nobody. */
  readonly noted?: ((refusal: Refusal, call: Call) => void) | undefined;
}

export class PolicyEngine {
  readonly #parts: EngineParts;
  readonly #state: SignerState;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#state = new SignerState(parts.store.entries);
  }

  get channels(): ReadonlyMap<string, ChannelState> {
    return this.#state.channels;
  }

  /**
   * Decides on a request; `sign` computes lightning_hsmd's reply. A verdict counts only for the state it was reached on:
   * where that moved on during a wait, yes and no are both judged again, and nothing waits between the last look at it and
   * the change. So lanes need not wait for each other, and no two of them spend the same money. @throws Refusal
   */
  async decide(context: Context, request: Request, sign: () => Uint8Array): Promise<Uint8Array> {
    const waited: Waited = { consents: new Map(), confirmations: new Map() };
    for (;;) {
      const { version } = this.#state;
      const outcome = await this.#judge(this.#scope(context, request.call, waited), request);
      if (this.#state.version !== version) continue;
      if ('refused' in outcome) throw outcome.refused;
      return this.#carryOut(request, outcome, sign);
    }
  }

  async #judge(scope: Scope, request: Request): Promise<Verdict<Call> | { readonly refused: unknown }> {
    // A request's fields go to the check of the same call; TypeScript cannot follow the pairing through the union.
    const check = checks[request.call] as Check<Call> | undefined;
    if (check === undefined) return {};
    try {
      checkNotFrozen(scope, request.call);
      return await check(scope, request.fields as RequestOf<Call>);
    } catch (refused: unknown) {
      return { refused };
    }
  }

  /** Takes the changes over before it waits for anything, then for them to be durable. */
  async #carryOut(
    { call }: Request,
    { changes, refusal, reply }: Verdict<Call>,
    sign: () => Uint8Array,
  ): Promise<Uint8Array> {
    const bytes =
      refusal !== undefined
        ? undefined
        : reply === undefined
          ? sign()
          : encodeReply(call, reply as ReplyOf<typeof call>);
    // Without changes of its own a reply still waits for those it was decided upon.
    await this.#parts.store.commit(changes === undefined ? [] : this.#state.apply(changes));
    if (bytes === undefined) throw refusal;
    return bytes;
  }

  #scope(context: Context, call: Call, waited: Waited): Scope {
    const { approver, clock, log, network, height, chain, noted } = this.#parts;
    const settings = effectiveSettings(this.#parts.settings, chain?.estimate, clock.now());
    const now = Math.floor(clock.now() / 1000);
    const { dbid } = context.client;
    const approved = (purpose: Purpose) => once(waited.consents, purpose, () => approver.approve(purpose, now));
    return {
      context,
      settings,
      state: this.#state,
      now,
      network,
      height: height(),
      chain: chain && remembering(chain, waited.confirmations),
      broken: takeBroken(settings, (tag, message) =>
        log('warn', 'a rule that only warns is broken', { tag, message, call: hsmdName(call), dbid }),
      ),
      note(refusal: Refusal) {
        const { tag, message } = refusal;
        log('warn', 'not approved', { tag, message, call: hsmdName(call), dbid });
        noted?.(refusal, call);
      },
      approved,
      refusedOf: (purposes) => refusedOf(purposes, (each) => wouldApprove(approver, each, now), approved),
    };
  }
}

/** What a request waited for: judged again, it waits for none of it a second time. */
interface Waited {
  readonly consents: Map<string, Promise<Consent>>;
  readonly confirmations: Map<string, Promise<number>>;
}

/** Asks first about what would be refused: leave that was given for the rest is not used up for nothing. */
async function refusedOf(
  purposes: readonly Purpose[],
  would: (purpose: Purpose) => Promise<boolean>,
  approved: (purpose: Purpose) => Promise<Consent>,
): Promise<readonly Purpose[]> {
  const isSure = await Promise.all(purposes.map(would));
  const refused: Purpose[] = [];
  for (const sure of [false, true]) {
    for (const purpose of purposes.filter((_, i) => isSure[i] === sure))
      if ((await approved(purpose)) === false) refused.push(purpose);
    if (refused.length > 0) return refused;
  }
  return refused;
}

function once<T>(answers: Map<string, Promise<T>>, question: object, ask: () => Promise<T>): Promise<T> {
  const key = textOf(question);
  const answer = answers.get(key) ?? ask();
  answers.set(key, answer);
  return answer;
}

function textOf(question: object): string {
  return JSON.stringify(question, (_name, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value instanceof Uint8Array ? toHex(value) : value,
  );
}

function remembering(chain: ChainView, answers: Waited['confirmations']): ChainView {
  return {
    inForce: chain.inForce,
    height: () => chain.height(),
    estimate: chain.estimate,
    confirmations: (output) => once(answers, output, () => chain.confirmations(output)),
  };
}
