/** The signer's whole state in memory, and what of it a request changed as entries for the store. */

import { toHex } from '../../proto/bytes.ts';
import type { Changes, StateView } from '../policy/scope.ts';
import type { Change } from '../store/store.ts';
import type { Approval } from './approvals.ts';
import type { ChannelState, Settled } from './channel_state.ts';
import { decodeState, encodeState } from './encode.ts';
import { Entries } from './entries.ts';
import { type Flow, Flows } from './flows.ts';
import { freshNode, type NodeState } from './node_state.ts';

/** A channel's key in the state, and behind `channel/` in the store. */
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
      if (kind === 'node') this.#node = this.#withHeld(decodeState<NodeState>(value));
      else if (kind === 'approval') this.#approvals.set(name, decodeState<Approval>(value));
      else if (kind === 'payment') this.#settled.set(name, decodeState<Settled>(value));
      else if (kind === 'channel') this.#set(name, decodeState<ChannelState>(value));
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
  apply({ channel, node, forget }: Changes): readonly Change[] {
    const entries: Change[] = [];
    if (channel !== undefined) {
      const key = channelKey(channel.peer, channel.dbid);
      this.#set(key, channel);
      entries.push({ key: `channel/${key}`, value: encodeState(channel) });
    }
    if (forget !== undefined) {
      const key = channelKey(forget.peer, forget.dbid);
      this.#channels.delete(key);
      this.#flows.set(key, undefined);
      entries.push({ key: `channel/${key}`, value: undefined });
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

/** Takes over what changed of entries that are many and small, each one of the store's. */
function taken<V>(kind: string, held: Map<string, V>, { changed }: Entries<V>): readonly Change[] {
  return [...changed].map(([key, value]) => {
    // What is put again goes to the end, so that the oldest are those that nothing was done about for longest.
    held.delete(key);
    if (value !== undefined) held.set(key, value);
    return { key: `${kind}/${key}`, value: value && encodeState(value) };
  });
}
