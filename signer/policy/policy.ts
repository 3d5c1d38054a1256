/** The one place a policy goes: between decoding a request and signing it. */

import type { Request, RequestOf } from '../../proto/hsmd/calls.ts';
import type { SignedRequest } from '../../proto/signed_request.ts';
import type { Context } from '../context.ts';
import type { Preinit, Started } from '../startup.ts';
import type { ChannelState } from '../state/channel_state.ts';

export interface Policy {
  /** For the log and the attach report. */
  readonly name: string;
  /** Whether it says yes to every preapproval: then nobody needs to wait for it. */
  readonly approvesPayments?: boolean;
  /** Told of each `init` before it is answered. @throws Refusal */
  start(init: RequestOf<'init'>, preinit: Preinit, started: Started): Promise<void>;
  /**
   * Decides on a request and gives its reply; `sign` computes the one lightning_hsmd would give. What the decision rests
   * on is durable when it resolves. @throws Refusal
   */
  decide(context: Context, request: Request, sign: () => Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Told of a client’s request that the host shows as its reason for what it will ask. Never rejects. */
  show(request: SignedRequest): Promise<void>;
  /** The channels it remembers, by `channelKey`; a policy without state remembers none. */
  channels?(): ReadonlyMap<string, ChannelState> | undefined;
}

/** Signs whatever it is asked to, as lightning_hsmd does. */
export const noPolicy: Policy = {
  name: 'none',
  approvesPayments: true,
  start: () => Promise.resolve(),
  decide: (_context, _request, sign) => sign(),
  show: () => Promise.resolve(),
};
