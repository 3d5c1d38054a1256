/**
 * Payments over all channels, by payment hash: what is going out and coming in, in flight and settled. Kept up to date
 * with each channel's change, so that one payment is looked up as fast among a thousand channels as among two.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import type { Side } from '../lightning/channel.ts';
import { once } from '../once.ts';
import type { ChannelState, SideState } from './channel_state.ts';

/** One hash in one channel, or summed over several. Amounts msat, expiries block heights. */
export interface Flow {
  readonly out: bigint;
  readonly in: bigint;
  /** The earliest of the HTLCs offered to us that are in flight. */
  readonly inExpiry: number | undefined;
  /** The latest of the ones we offered. */
  readonly outExpiry: number | undefined;
}

export const noFlow: Flow = { out: 0n, in: 0n, inExpiry: undefined, outExpiry: undefined };

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}

function later(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.max(a, b);
}

/** What HTLCs of one commitment add to what was settled before. */
function flowsIn(settled: SideState['settled'], htlcs: readonly Htlc[]): Map<string, Flow> {
  const flows = new Map<string, Flow>();
  for (const [hash, { out, in: received }] of settled) flows.set(hash, { ...noFlow, out, in: received });
  for (const { paymentHash, side: offerer, amount, cltvExpiry } of htlcs) {
    const hash = toHex(paymentHash);
    const flow = flows.get(hash) ?? noFlow;
    flows.set(
      hash,
      offerer === 'local'
        ? { ...flow, out: flow.out + amount, outExpiry: later(flow.outExpiry, cltvExpiry) }
        : { ...flow, in: flow.in + amount, inExpiry: earlier(flow.inExpiry, cltvExpiry) },
    );
  }
  return flows;
}

/**
 * Any commitment that is not revoked may still confirm: going out is the most that one of them says, coming in the least.
 * What was settled since an older one stands in it as an HTLC.
 */
function onSide({ accepted, settled }: SideState): Map<string, Flow> {
  const flows = flowsIn(settled, accepted.at(-1)?.htlcs ?? []);
  for (const commitment of accepted.slice(0, -1)) {
    const inOlder = flowsIn(new Map(), commitment.htlcs);
    for (const [hash, older] of inOlder) {
      const flow = flows.get(hash) ?? noFlow;
      flows.set(hash, { ...flow, out: larger(flow.out, older.out), outExpiry: later(flow.outExpiry, older.outExpiry) });
    }
    for (const [hash, flow] of flows) {
      const most = (inOlder.get(hash)?.in ?? 0n) + (settled.get(hash)?.in ?? 0n);
      if (most < flow.in) flows.set(hash, { ...flow, in: most });
    }
  }
  return flows;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** Every hash of a channel: going out counts where either side has it, coming in only where both have. */
export const flowsOf = once(({ sides }: ChannelState): ReadonlyMap<string, Flow> => {
  const bySide = { local: onSide(sides.local), remote: onSide(sides.remote) } satisfies { [S in Side]: unknown };
  const hashes = new Set([...bySide.local.keys(), ...bySide.remote.keys()]);
  return new Map(
    [...hashes].map((hash) => {
      const a = bySide.local.get(hash) ?? noFlow;
      const b = bySide.remote.get(hash) ?? noFlow;
      const flow: Flow = {
        out: larger(a.out, b.out),
        in: a.in < b.in ? a.in : b.in,
        inExpiry: earlier(a.inExpiry, b.inExpiry),
        outExpiry: later(a.outExpiry, b.outExpiry),
      };
      return [hash, flow];
    }),
  );
});

export function addFlows(a: Flow, b: Flow): Flow {
  return {
    out: a.out + b.out,
    in: a.in + b.in,
    inExpiry: earlier(a.inExpiry, b.inExpiry),
    outExpiry: later(a.outExpiry, b.outExpiry),
  };
}

/** The index over all channels. */
export class Flows {
  readonly #byHash = new Map<string, Map<string, Flow>>();
  readonly #byChannel = new Map<string, ReadonlyMap<string, Flow>>();

  /** Puts a channel's flows in place of its earlier ones; undefined where the channel is gone. */
  set(channel: string, state: ChannelState | undefined): void {
    for (const hash of this.#byChannel.get(channel)?.keys() ?? []) {
      const channels = this.#byHash.get(hash);
      channels?.delete(channel);
      if (channels?.size === 0) this.#byHash.delete(hash);
    }
    if (state === undefined) {
      this.#byChannel.delete(channel);
      return;
    }
    const flows = flowsOf(state);
    this.#byChannel.set(channel, flows);
    for (const [hash, flow] of flows) {
      const channels = this.#byHash.get(hash) ?? new Map<string, Flow>();
      this.#byHash.set(hash, channels.set(channel, flow));
    }
  }

  /** One hash over all channels but `except`. */
  of(hash: string, except: string | undefined): Flow {
    let sum = noFlow;
    for (const [channel, flow] of this.#byHash.get(hash) ?? []) if (channel !== except) sum = addFlows(sum, flow);
    return sum;
  }
}
