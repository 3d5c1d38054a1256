/** What a check sees and what it may give back. */

import type { Call, ReplyOf, RequestOf } from '../../proto/hsmd/calls.ts';
import type { ChainView } from '../chain/view.ts';
import type { Context } from '../context.ts';
import type { InvoiceNetwork } from '../lightning/invoice.ts';
import type { Facts } from '../lightning/mismatch.ts';
import { Refusal } from '../refusal.ts';
import type { ChannelState, Flow } from '../state/channel_state.ts';
import type { NodeState } from '../state/node_state.ts';
import type { Consent, Purpose } from './purpose.ts';
import { rules, type Tag } from './rules.ts';
import { type Settings, severityOf } from './settings.ts';

/** An amount in msat as a fact. */
export function fromMsat(msat: bigint): string {
  const [whole, part] = [msat / 1000n, `${msat % 1000n}`.padStart(3, '0')];
  return part === '000' ? `${whole} sat` : `${whole}.${part} sat`;
}

/** The state as it is before the request. */
export interface StateView {
  readonly node: NodeState;
  channel(peer: Uint8Array, dbid: bigint): ChannelState | undefined;
  readonly channels: ReadonlyMap<string, ChannelState>;
  /** A payment hash (hex) in each channel that has it, but `except` (a `channelKey`): in flight and settled. */
  flows(hash: string, except: string | undefined): readonly Flow[];
}

/** The state after it: made durable before the reply leaves. */
export interface Changes {
  readonly channel?: ChannelState;
  /** Of which more became known meanwhile. */
  readonly others?: readonly ChannelState[];
  readonly node?: NodeState;
  readonly forget?: { readonly peer: Uint8Array; readonly dbid: bigint };
}

/** What a check decides: the changes, and a reply other than lightning_hsmd's where the rule says so. */
export interface Verdict<C extends Call> {
  readonly changes?: Changes;
  /** Thrown once the changes are durable. */
  readonly refusal?: Refusal;
  readonly reply?: ReplyOf<C>;
}

export interface Scope {
  readonly context: Context;
  readonly settings: Settings;
  readonly state: StateView;
  /** Unix seconds. */
  readonly now: number;
  /** What the network's invoices look like. */
  readonly network: InvoiceNetwork;
  /** The chain's height, where a feed proves one. */
  readonly height: number | undefined;
  /** What else a feed proves of the chain; undefined where there is no feed. */
  readonly chain: ChainView | undefined;
  /** Throws the refusal, or warns and returns where the settings make this rule a warning. */
  broken(tag: Tag, facts: Facts): void;
  /** Logs a refusal that is answered in a form of the protocol's own. */
  note(refusal: Refusal): void;
  /** The owner's word on this purpose: asked for at most once a request. */
  approved(purpose: Purpose): Promise<Consent>;
  /** Those of one transaction's purposes that the owner does not allow. All are asked about, and none is used up where one is. */
  refusedOf(purposes: readonly Purpose[]): Promise<readonly Purpose[]>;
}

export type Check<C extends Call> = (scope: Scope, request: RequestOf<C>) => Verdict<C> | Promise<Verdict<C>>;

/** Calls of `C` have a check each: one left out does not compile. */
export type Checks<C extends Call> = { readonly [N in C]: Check<N> };

function inWords(facts: Facts): string {
  return Object.entries(facts)
    .map(([name, value]) => (typeof value === 'bigint' ? `${name} ${value} sat` : `${name} ${value}`))
    .join(', ');
}

/** How a broken rule is taken under `settings`. */
export function takeBroken(settings: Settings, warn: (tag: Tag, message: string) => void): Scope['broken'] {
  return (tag, facts) => {
    const rule = rules[tag];
    const message = `must hold: ${rule.holds}; found: ${inWords(facts) || 'that it does not'}`;
    if (severityOf(settings, tag, rule.severity) === 'warn') warn(tag, message);
    else throw new Refusal(tag, message);
  };
}

/** Whether a rule that is broken is no more than a warning, which is given. */
export function onlyWarns({ broken }: Scope, tag: Tag, facts: Facts): boolean {
  try {
    broken(tag, facts);
    return true;
  } catch (error: unknown) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}
