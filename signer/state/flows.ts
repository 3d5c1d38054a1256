/**
 * Payments over all channels, by payment hash: what is going out and coming in, in flight and settled. Any commitment that
 * is not revoked may still confirm, so going out is the most that one of them says, coming in the least.
 */

import { toHex } from '../../proto/bytes.ts';
import type { Htlc } from '../../proto/hsmd/fields.ts';
import { once } from '../once.ts';
import type { ChannelState, Flow, Settled, SideState, View } from './channel_state.ts';

export const nothingSettled: Settled = { out: 0n, in: 0n };

/** A payment that is no longer in any commitment. */
export function settledFlow(settled: Settled): Flow {
  return [{ ...settled, htlcs: [] }];
}

const byHash = once((htlcs: readonly Htlc[]): ReadonlyMap<string, readonly Htlc[]> => {
  const groups = new Map<string, Htlc[]>();
  for (const htlc of htlcs) {
    const hash = toHex(htlc.paymentHash);
    const group = groups.get(hash);
    if (group === undefined) groups.set(hash, [htlc]);
    else group.push(htlc);
  }
  return groups;
});

/** What was settled since an older commitment stands in that one as an HTLC. */
function viewsOn({ accepted, settled }: SideState, hash: string): Flow {
  let { out, in: received } = settled.get(hash) ?? nothingSettled;
  if (accepted.length === 0) return [{ out, in: received, htlcs: [] }];
  return accepted.toReversed().map(({ htlcs, paid }): View => {
    const view = { out, in: received, htlcs: byHash(htlcs).get(hash) ?? [] };
    const since = paid?.get(hash) ?? nothingSettled;
    out -= since.out;
    received -= since.in;
    return view;
  });
}

export function flowOf({ sides: { local, remote }, ended }: ChannelState, hash: string): Flow {
  if (ended !== undefined) return ended.flows.get(hash) ?? settledFlow(nothingSettled);
  return [...viewsOn(local, hash), ...viewsOn(remote, hash)];
}

/** Every hash (hex) of which a commitment of the channel that may confirm has HTLCs. */
export function inFlightOf({ sides: { local, remote }, ended }: ChannelState): ReadonlySet<string> {
  if (ended !== undefined) return new Set(ended.flows.keys());
  return new Set([...local.accepted, ...remote.accepted].flatMap(({ htlcs }) => [...byHash(htlcs).keys()]));
}

/** These, and those of settled HTLCs of payments that are not over in it. */
export const hashesOf = once((channel: ChannelState): ReadonlySet<string> => {
  const { local, remote } = channel.sides;
  const settled = channel.ended === undefined ? [...local.settled.keys(), ...remote.settled.keys()] : [];
  return new Set([...settled, ...inFlightOf(channel)]);
});

function total(htlcs: readonly Htlc[], side: Htlc['side'], expiry: number): bigint {
  let sum = 0n;
  for (const htlc of htlcs) if (htlc.side === side && htlc.cltvExpiry >= expiry) sum += htlc.amount;
  return sum;
}

/** Msat that may go out by what is settled, and by HTLCs that expire at this height or later. */
export function goesOut(flows: readonly Flow[], expiry = 0): bigint {
  return flows.reduce((sum, views) => {
    const each = views.map(({ out, htlcs }) => out + total(htlcs, 'local', expiry));
    return sum + each.reduce((a, b) => (a > b ? a : b));
  }, 0n);
}

/** Msat that come in for sure by what is settled, and by HTLCs that expire at this height or later. */
export function comesIn(flows: readonly Flow[], expiry = 0): bigint {
  return flows.reduce((sum, views) => {
    const each = views.map(({ in: received, htlcs }) => received + total(htlcs, 'remote', expiry));
    return sum + each.reduce((a, b) => (a < b ? a : b));
  }, 0n);
}

/** Msat that came in by any of the commitments: their preimage is known, so nothing new goes out in return for them. */
export function cameIn(flows: readonly Flow[]): bigint {
  return flows.reduce((sum, views) => sum + views.reduce((most, { in: each }) => (each > most ? each : most), 0n), 0n);
}

/** Msat of HTLCs offered to us that stand in each of the commitments. */
export function inFlightIn(flows: readonly Flow[]): bigint {
  return flows.reduce((sum, views) => {
    const each = views.map(({ htlcs }) => total(htlcs, 'remote', 0));
    return sum + each.reduce((a, b) => (a < b ? a : b));
  }, 0n);
}

/** The heights at which HTLCs that we offered expire. */
export function expiriesOut(flows: readonly Flow[]): ReadonlySet<number> {
  const offered = flows.flat().flatMap(({ htlcs }) => htlcs.filter(({ side }) => side === 'local'));
  return new Set(offered.map(({ cltvExpiry }) => cltvExpiry));
}

/** Whether any commitment has something coming in, be it not for sure. */
export function mayComeIn(flows: readonly Flow[]): boolean {
  return flows.flat().some(({ in: received, htlcs }) => received > 0n || htlcs.some(({ side }) => side === 'remote'));
}

/** The index over all channels: one payment is looked up as fast among a thousand as among two. */
export class Flows {
  readonly #byHash = new Map<string, Map<string, ChannelState>>();
  readonly #byChannel = new Map<string, ReadonlySet<string>>();

  /** Puts a channel in place of its earlier state; undefined where it is gone. */
  set(channel: string, state: ChannelState | undefined): void {
    const hashes = state === undefined ? new Set<string>() : hashesOf(state);
    for (const hash of this.#byChannel.get(channel) ?? []) if (!hashes.has(hash)) this.#drop(hash, channel);
    if (state === undefined) {
      this.#byChannel.delete(channel);
      return;
    }
    this.#byChannel.set(channel, hashes);
    for (const hash of hashes) {
      const channels = this.#byHash.get(hash) ?? new Map<string, ChannelState>();
      this.#byHash.set(hash, channels.set(channel, state));
    }
  }

  /** One hash in each channel that has it, but `except`. */
  of(hash: string, except: string | undefined): readonly Flow[] {
    const channels = [...(this.#byHash.get(hash) ?? [])].filter(([channel]) => channel !== except);
    return channels.map(([, state]) => flowOf(state, hash));
  }

  #drop(hash: string, channel: string): void {
    const channels = this.#byHash.get(hash);
    channels?.delete(channel);
    if (channels?.size === 0) this.#byHash.delete(hash);
  }
}
