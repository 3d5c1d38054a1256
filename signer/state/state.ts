/** The signer's whole state in memory, and what of it a request changed as entries for the store. */

import { toHex } from '../../proto/bytes.ts';
import type { Changes, StateView } from '../policy/scope.ts';
import type { Change } from '../store/store.ts';
import { type Approval, Approvals } from './approvals.ts';
import type { ChannelState } from './channel_state.ts';
import { decodeState, encodeState } from './encode.ts';
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
  #node: NodeState = { ...freshNode, approvals: new Approvals(this.#approvals) };
  #version = 0;

  /** The state that a store's entries hold. */
  constructor(entries: ReadonlyMap<string, Uint8Array>) {
    const approvals = new Approvals(this.#approvals);
    for (const [key, value] of entries) {
      if (key === 'node') this.#node = { ...decodeState<NodeState>(value), approvals };
      else if (key.startsWith('approval/'))
        this.#approvals.set(key.slice('approval/'.length), decodeState<Approval>(value));
      else if (key.startsWith('channel/')) this.#set(key.slice('channel/'.length), decodeState<ChannelState>(value));
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

  flow(hash: string, except: string | undefined): Flow {
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
    const { approvals, ...rest } = node;
    const { approvals: _held, ...earlier } = this.#node;
    const entries: Change[] = [];
    for (const [key, approval] of approvals.changed) {
      if (approval === undefined) this.#approvals.delete(key);
      else this.#approvals.set(key, approval);
      entries.push({ key: `approval/${key}`, value: approval && encodeState(approval) });
    }
    // Most requests that touch the node only touch its approvals.
    const changed = Object.keys(rest).some(
      (name) => rest[name as keyof typeof rest] !== earlier[name as keyof typeof earlier],
    );
    if (changed) entries.push({ key: 'node', value: encodeState(rest) });
    this.#node = { ...node, approvals: new Approvals(this.#approvals) };
    return entries;
  }

  #set(key: string, channel: ChannelState): void {
    this.#channels.set(key, channel);
    this.#flows.set(key, channel);
  }
}
