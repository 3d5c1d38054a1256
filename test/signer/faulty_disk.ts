/**
 * A disk in memory that can fail at any call, and forgets at a crash what was not synced: names of a folder that was not
 * synced, bytes of a file that was not, or parts of them.
 */

import { concat } from '../../proto/bytes.ts';
import type { Entropy } from '../../signer/crypto/secp.ts';
import type { AppendFile, FileSystem } from '../../signer/node/file_system.ts';
import { StoreError } from '../../signer/store/store.ts';

/** What a crash leaves of what was not synced: nothing, all, or some of it (drawn from `random`, 0 up to 1). */
export type Loss = 'all' | 'none' | { readonly random: () => number };

interface Content {
  durable: Uint8Array;
  now: Uint8Array;
}

/** Bytes that reach a disk together. */
const sector = 64;

export class FaultyDisk implements FileSystem {
  /** Calls so far. */
  calls = 0;
  /** The call that fails, and whether all after it fail too: the machine is gone. Its effect may be there in part. */
  fault: { readonly at: number; readonly kills: boolean } | undefined;
  #names = new Map<string, Content>();
  #durableNames = new Map<string, Content>();
  /** Changes of names since the folder was synced. */
  #pending: ((names: Map<string, Content>) => void)[] = [];

  /** Counts a call; runs `partly` instead of the rest of it where it is the one to fail. */
  #call(partly: () => void = () => {}): void {
    this.calls++;
    if (this.fault === undefined || this.calls < this.fault.at) return;
    if (this.calls === this.fault.at) partly();
    else if (!this.fault.kills) return;
    throw new Error('the simulated disk failed');
  }

  #rename(change: (names: Map<string, Content>) => void): void {
    change(this.#names);
    this.#pending.push(change);
  }

  /** Size of everything on it, in bytes. */
  get size(): number {
    return [...this.#names.values()].reduce((sum, { now }) => sum + now.length, 0);
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    this.#call();
    return this.#names.get(path)?.now.slice();
  }

  async create(path: string): Promise<AppendFile> {
    const content = { durable: new Uint8Array(), now: new Uint8Array() };
    const set = () => this.#rename((names) => names.set(path, content));
    this.#call(set);
    set();
    return this.#opened(content);
  }

  async append(path: string): Promise<AppendFile> {
    this.#call();
    const content = this.#names.get(path);
    if (content === undefined) throw new Error('no such file');
    return this.#opened(content);
  }

  async rename(from: string, to: string): Promise<void> {
    const content = this.#names.get(from);
    if (content === undefined) throw new Error('no such file');
    const move = () =>
      this.#rename((names) => {
        names.delete(from);
        names.set(to, content);
      });
    this.#call(move);
    move();
  }

  async remove(path: string): Promise<void> {
    const gone = () => this.#rename((names) => names.delete(path));
    this.#call(gone);
    gone();
  }

  async makeFolder(): Promise<void> {
    this.#call();
  }

  async syncFolder(): Promise<void> {
    this.#call();
    this.#durableNames = new Map(this.#names);
    this.#pending = [];
  }

  #opened(content: Content): AppendFile {
    const extend = (bytes: Uint8Array) => {
      content.now = concat(content.now, bytes);
    };
    return {
      append: async (bytes) => {
        this.#call(() => extend(bytes.subarray(0, bytes.length >> 1)));
        extend(bytes);
      },
      sync: async () => {
        this.#call();
        content.durable = content.now;
      },
      close: async () => this.#call(),
    };
  }

  /** The machine stops and starts again. */
  crash(loss: Loss): void {
    this.fault = undefined;
    const kept =
      loss === 'all'
        ? 0
        : loss === 'none'
          ? this.#pending.length
          : Math.floor(loss.random() * (this.#pending.length + 1));
    for (const change of this.#pending.slice(0, kept)) change(this.#durableNames);
    this.#pending = [];
    for (const content of new Set(this.#durableNames.values())) content.durable = content.now = survivor(content, loss);
    this.#names = new Map(this.#durableNames);
  }
}

/** What a crash leaves of a file: of bytes that were not synced any number, and sectors of zeros among them. */
function survivor({ durable, now }: Content, loss: Loss): Uint8Array {
  if (loss === 'all') return durable;
  if (loss === 'none') return now;
  const left = now.slice(0, durable.length + Math.floor(loss.random() * (now.length - durable.length + 1)));
  for (let at = durable.length; at < left.length; at += sector) if (loss.random() < 0.3) left.fill(0, at, at + sector);
  return left;
}

/** A lock among the stores of one test; whoever holds it when the machine crashes loses it. */
export function noLock(): ((folder: string, entropy: Entropy) => Promise<AsyncDisposable>) & { release(): void } {
  let held: object | undefined;
  const lock = async (folder: string): Promise<AsyncDisposable> => {
    if (held !== undefined) throw new StoreError(`${folder} is open already`);
    const mine = {};
    held = mine;
    return {
      async [Symbol.asyncDispose]() {
        if (held === mine) held = undefined;
      },
    };
  };
  return Object.assign(lock, {
    release() {
      held = undefined;
    },
  });
}
