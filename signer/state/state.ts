/** The signer's whole state in memory, and what of it a request changed as entries for the store. */

import { toHex } from '../../proto/bytes.ts';
import type { Changes, StateView } from '../policy/scope.ts';
import { type Change, recoveryCommand, StoreError } from '../store/store.ts';
import type { Approval } from './approvals.ts';
import type { ChannelState, Flow, Settled, SideState } from './channel_state.ts';
import { decodeState, encodeState } from './encode.ts';
import { Entries } from './entries.ts';
import { Flows } from './flows.ts';
import { freshNode, type NodeState } from './node_state.ts';

/** A channel's key in the state, and behind `channel/`, `local/` and `remote/` in the store. */
export function channelKey(peer: Uint8Array | string, dbid: bigint): string {
  return `${typeof peer === 'string' ? peer : toHex(peer)}/${dbid}`;
}

export class SignerState implements StateView {
  readonly #channels = new Map<string, ChannelState>();
  readonly #flows = new Flows();
  readonly #approvals = new Map<string, Approval>();
  readonly #settled = new Map<string, Settled>();
  #node: NodeState = this.#withHeld(freshNode);
  #version = 0;

  /** The state that a store's entries hold. */
  constructor(entries: ReadonlyMap<string, Uint8Array>) {
    for (const [key, value] of entries) {
      const [kind = ''] = key.split('/', 1);
      const name = key.slice(kind.length + 1);
      if (kind === 'node') this.#node = this.#withHeld({ ...freshNode, ...decodeState<NodeState>(value) });
      else if (kind === 'approval') this.#approvals.set(name, decodeState<Approval>(value));
      else if (kind === 'payment') this.#settled.set(name, decodeState<Settled>(value));
      else if (kind === 'channel') this.#set(name, wholeChannel(entries, name, value));
    }
  }

  get node(): NodeState {
    return this.#node;
  }

  get channels(): ReadonlyMap<string, ChannelState> {
    return this.#channels;
  }

  /** Counts the changes: a check that waited sees by it whether what it read still holds. */
  get version(): number {
    return this.#version;
  }

  channel(peer: Uint8Array, dbid: bigint): ChannelState | undefined {
    return this.#channels.get(channelKey(peer, dbid));
  }

  flows(hash: string, except: string | undefined): readonly Flow[] {
    return this.#flows.of(hash, except);
  }

  /** Takes the changes over and returns them as entries to commit. */
  apply({ channel, others = [], node, forget }: Changes): readonly Change[] {
    const entries: Change[] = [];
    for (const each of channel === undefined ? others : [channel, ...others]) {
      const key = channelKey(each.peer, each.dbid);
      entries.push(...channelEntries(key, this.#channels.get(key), each));
      this.#set(key, each);
    }
    if (forget !== undefined) {
      const key = channelKey(forget.peer, forget.dbid);
      this.#channels.delete(key);
      this.#flows.set(key, undefined);
      for (const kind of ['channel', ...sides]) entries.push({ key: `${kind}/${key}`, value: undefined });
    }
    if (node !== undefined) entries.push(...this.#setNode(node));
    if (entries.length > 0) this.#version++;
    return entries;
  }

  #setNode(node: NodeState): readonly Change[] {
    const { approvals, settled, ...rest } = node;
    const { approvals: _approvals, settled: _settled, ...earlier } = this.#node;
    const entries = [...taken('approval', this.#approvals, approvals), ...taken('payment', this.#settled, settled)];
    // Most requests that touch the node only touch these.
    const changed = Object.keys(rest).some(
      (name) => rest[name as keyof typeof rest] !== earlier[name as keyof typeof earlier],
    );
    if (changed) entries.push({ key: 'node', value: encodeState(rest) });
    this.#node = this.#withHeld(node);
    return entries;
  }

  #withHeld(node: Omit<NodeState, 'approvals' | 'settled'>): NodeState {
    return { ...node, approvals: new Entries(this.#approvals), settled: new Entries(this.#settled) };
  }

  #set(key: string, channel: ChannelState): void {
    this.#channels.set(key, channel);
    this.#flows.set(key, channel);
  }
}

const sides = ['local', 'remote'] as const;

/** A channel is three entries of the store: most requests change one of its sides, and the rest is several times as long. */
function channelEntries(key: string, before: ChannelState | undefined, channel: ChannelState): readonly Change[] {
  const { sides: now, ...rest } = channel;
  const entries: Change[] = [];
  if (before === undefined || Object.keys({ ...before, ...rest }).some((name) => differs(name, before, channel)))
    entries.push({ key: `channel/${key}`, value: encodeState(rest) });
  for (const side of sides)
    if (now[side] !== before?.sides[side]) entries.push({ key: `${side}/${key}`, value: encodeState(now[side]) });
  return entries;
}

function differs(name: string, before: ChannelState, after: ChannelState): boolean {
  // A name out of one of the two; TypeScript knows names of objects as strings only.
  const field = name as keyof ChannelState;
  return field !== 'sides' && before[field] !== after[field];
}

function wholeChannel(entries: ReadonlyMap<string, Uint8Array>, key: string, value: Uint8Array): ChannelState {
  const [local, remote] = sides.map((side) => entries.get(`${side}/${key}`));
  if (local === undefined || remote === undefined)
    throw new StoreError(
      `expected both sides of channel ${key} in the signer's state, found it without: an earlier keyhold wrote it, or it is damaged. Open it with the version that wrote it, or run \`${recoveryCommand}\``,
    );
  return {
    ...decodeState<Omit<ChannelState, 'sides'>>(value),
    sides: { local: decodeState<SideState>(local), remote: decodeState<SideState>(remote) },
  };
}

/** Takes over what changed of entries that are many and small, each one of the store's. */
function taken<V>(kind: string, held: Map<string, V>, { changed }: Entries<V>): readonly Change[] {
  return [...changed].map(([key, value]) => {
    // What is put again goes to the end, so that the oldest are those that nothing was done about for longest.
    held.delete(key);
    if (value !== undefined) held.set(key, value);
    return { key: `${kind}/${key}`, value: value && encodeState(value) };
  });
}
