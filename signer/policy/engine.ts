/**
 * The policy at work: for each request the state is read, its check decides, the reply is computed, what changed is made
 * durable, and only then the reply leaves. A check that waited (for an approval) while the state moved on is run again.
 */

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
import type { Approver, Consent, Purpose } from './purpose.ts';
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

  /** Decides on a request; `sign` computes lightning_hsmd's reply. @throws Refusal */
  async decide(context: Context, request: Request, sign: () => Uint8Array): Promise<Uint8Array> {
    const verdict = await this.#judge(context, request);
    if (verdict.refusal !== undefined) {
      await this.#parts.store.commit(verdict.changes === undefined ? [] : this.#state.apply(verdict.changes));
      throw verdict.refusal;
    }
    const reply =
      verdict.reply === undefined ? sign() : encodeReply(request.call, verdict.reply as ReplyOf<typeof request.call>);
    const changes = verdict.changes === undefined ? [] : this.#state.apply(verdict.changes);
    // Without changes of its own a reply still waits for those it was decided upon.
    await this.#parts.store.commit(changes);
    return reply;
  }

  async #judge(context: Context, request: Request): Promise<Verdict<Call>> {
    const answers = new Map<string, Consent>();
    // A request's fields go to the check of the same call; TypeScript cannot follow the pairing through the union.
    const check = checks[request.call] as Check<Call> | undefined;
    if (check === undefined) return {};
    for (;;) {
      const { version } = this.#state;
      const scope = this.#scope(context, request.call, answers);
      checkNotFrozen(scope, request.call);
      const verdict = await check(scope, request.fields as RequestOf<Call>);
      if (this.#state.version === version) return verdict;
    }
  }

  #scope(context: Context, call: Call, answers: Map<string, Consent>): Scope {
    const { approver, clock, log, network, height, chain } = this.#parts;
    const settings = effectiveSettings(this.#parts.settings, chain?.estimate, clock.now());
    const now = Math.floor(clock.now() / 1000);
    const { dbid } = context.client;
    return {
      context,
      settings,
      state: this.#state,
      now,
      network,
      height: height(),
      chain,
      broken: takeBroken(settings, (tag, message) =>
        log('warn', 'a rule that only warns is broken', { tag, message, call: hsmdName(call), dbid }),
      ),
      note: ({ tag, message }: Refusal) => log('warn', 'not approved', { tag, message, call: hsmdName(call), dbid }),
      async approved(purpose: Purpose) {
        const key = JSON.stringify(purpose, (_name, value: unknown) =>
          typeof value === 'bigint' ? value.toString() : value,
        );
        const answer = answers.get(key) ?? (await approver.approve(purpose, now));
        answers.set(key, answer);
        return answer;
      },
    };
  }
}
