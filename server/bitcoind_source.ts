/** A chain source that asks a bitcoind, which need not have an index of transactions: looks every few seconds. */

import { parseTransaction, serializeTransaction } from '../proto/bitcoin/tx.ts';
import { equalBytes, fromHex } from '../proto/bytes.ts';
import type { Clock } from '../proto/clock.ts';
import { errorText, type Log } from '../proto/log.ts';
import { type BitcoinRpc, RpcError } from './bitcoin_rpc.ts';
import type { ChainSource, InclusionProof, Outpoint } from './chain_source.ts';
import { merklePath } from './merkle_path.ts';

export interface BitcoindSourceOptions {
  readonly rpc: BitcoinRpc;
  readonly clock: Clock;
  readonly log: Log;
  /** How often to look for a new block, in milliseconds; 5,000 if not given. */
  readonly pollMs?: number;
}

/** "Soon" of the feerate, in blocks. */
const soon = 2;
const unknownBlock = -5;

/** What bitcoind answers to getblockheader, getblock and gettxout, as far as it is used here. */
interface HeaderInfo {
  /** -1 for a block that is not on the best chain. */
  readonly confirmations: number;
  readonly height: number;
}
interface BlockInfo extends HeaderInfo {
  readonly tx: readonly string[];
}
interface OutputInfo {
  readonly bestblock: string;
  readonly confirmations: number;
}

/** A hash as bitcoind prints it, from internal order or back. */
const display = (hash: Uint8Array): string => Buffer.from(hash).reverse().toString('hex');
const internal = (text: string): Uint8Array => fromHex(text).reverse();

export class BitcoindSource implements ChainSource, Disposable {
  readonly #options: BitcoindSourceOptions;
  readonly #watchers = new Set<() => void>();
  #genesis: Uint8Array | undefined;
  #feerate: number | undefined;
  #tip: unknown;
  #unreachable = false;
  #cancel: () => void = () => {};
  #disposed = false;

  constructor(options: BitcoindSourceOptions) {
    this.#options = options;
    void this.#look();
  }

  get genesis(): Uint8Array | undefined {
    return this.#genesis;
  }

  get feeratePerkw(): number | undefined {
    return this.#feerate;
  }

  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  async headersAfter(locator: readonly Uint8Array[], most: number): Promise<readonly Uint8Array[]> {
    const { rpc } = this.#options;
    const known = await this.#firstOnBestChain(locator);
    if (known === undefined) return [];
    const count = Math.min(most, Number(await rpc.call('getblockcount')) - known.height);
    const heights = Array.from({ length: Math.max(0, count) }, (_, i) => known.height + 1 + i);
    const hashes = await rpc.all(heights.map((height) => ({ method: 'getblockhash', params: [height] })));
    const headers = await rpc.all(hashes.map((hash) => ({ method: 'getblockheader', params: [String(hash), false] })));
    const bytes = headers.map((header) => fromHex(String(header)));
    // A reorganisation in between: what comes now does not hang together, but will the next time.
    const linked = bytes.every((header, i) =>
      equalBytes(header.subarray(4, 36), i === 0 ? known.hash : internal(String(hashes[i - 1]))),
    );
    return linked ? bytes : [];
  }

  async proof({ txid, vout }: Outpoint): Promise<InclusionProof | undefined> {
    const { rpc } = this.#options;
    const id = display(txid);
    // null for an output that is spent, in no block, or in none at all.
    const output = (await rpc.call('gettxout', id, vout, false)) as OutputInfo | null;
    if (output === null || output.confirmations < 1) return undefined;
    const best = (await rpc.call('getblockheader', output.bestblock)) as HeaderInfo;
    const block = String(await rpc.call('getblockhash', best.height - output.confirmations + 1));
    const { tx } = (await rpc.call('getblock', block, 1)) as BlockInfo;
    const index = tx.indexOf(id);
    if (index === -1) return undefined;
    const raw = fromHex(String(await rpc.call('getrawtransaction', id, false, block)));
    const transaction = Uint8Array.from(serializeTransaction(parseTransaction(raw), { witness: false }));
    return { block: internal(block), transaction, index, path: merklePath(tx.map(internal), index) };
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#cancel();
    this.#watchers.clear();
  }

  async #firstOnBestChain(
    locator: readonly Uint8Array[],
  ): Promise<{ readonly hash: Uint8Array; readonly height: number } | undefined> {
    for (const hash of locator) {
      try {
        const found = (await this.#options.rpc.call('getblockheader', display(hash))) as HeaderInfo;
        if (found.confirmations > 0) return { hash, height: found.height };
      } catch (error: unknown) {
        if (!(error instanceof RpcError && error.code === unknownBlock)) throw error;
      }
    }
    return undefined;
  }

  async #look(): Promise<void> {
    const { rpc, clock, log, pollMs = 5_000 } = this.#options;
    try {
      this.#genesis ??= internal(String(await rpc.call('getblockhash', 0)));
      const tip = await rpc.call('getbestblockhash');
      const feerate = perkw((await rpc.call('estimatesmartfee', soon)) as { readonly feerate?: number });
      if (this.#unreachable) log('info', 'bitcoind answers again');
      this.#unreachable = false;
      const changed = tip !== this.#tip || feerate !== this.#feerate;
      this.#tip = tip;
      this.#feerate = feerate;
      if (changed) for (const watcher of [...this.#watchers]) watcher();
    } catch (error: unknown) {
      if (error instanceof Error && error.name === 'AbortError') return; // nobody waits for news any more
      if (!this.#unreachable && !this.#disposed) log('warn', 'no news of the chain', { error: errorText(error) });
      this.#unreachable = true;
    }
    if (!this.#disposed) this.#cancel = clock.after(pollMs, () => void this.#look());
  }
}

/** Satoshi per 1000 weight from bitcoind's BTC per 1000 virtual bytes, which are 4000 weight. */
function perkw({ feerate }: { readonly feerate?: number }): number | undefined {
  return feerate === undefined ? undefined : Math.round((feerate * 1e8) / 4);
}
