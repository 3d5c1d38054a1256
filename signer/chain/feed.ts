/**
 * The chain as a host tells it over the link: headers and proofs are checked, the state is kept in the signer's store,
 * and the host is told what is wanted next. A host may keep quiet, and its news may be old: then the height is not known
 * and nothing new is buried, but nothing false is believed.
 */

import type { Clock } from '../../proto/clock.ts';
import type { ChainNews, Promote, Welcome } from '../../proto/gen/keyhold/v1/signer_link_pb.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import { headersAtOnce, type SendToHost } from '../../proto/link.ts';
import { errorText, type Log } from '../../proto/log.ts';
import type { Companion, LinkMessage } from '../companion.ts';
import type { Store } from '../store/store.ts';
import { type ChainState, HeaderError } from './chain.ts';
import { chainChanges, readChain } from './chain_entries.ts';
import { startOf } from './checkpoints.ts';
import type { FeeEstimate } from './feerate.ts';
import { headerLength, parseHeader } from './header.ts';
import { applyHeaders } from './headers.ts';
import { locatorOf } from './locator.ts';
import type { Network } from './networks.ts';
import { ProofError } from './proof.ts';
import { ProvenOutputs } from './proven_outputs.ts';
import type { ChainView, ExpectedOutput } from './view.ts';

export interface ChainFeedOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the rules are in force without a feed too; then nothing is buried until one proves it. */
  readonly required: boolean;
  /** How long to wait for a proof that was asked for, in milliseconds; 3,000 if not given. */
  readonly patienceMs?: number;
}

/** News is of the whole chain when its last block is no older than this, in milliseconds. */
const freshMs = 24 * 3_600_000;
const mostProofs = 1000;

export class ChainFeed implements Companion, ChainView {
  readonly #options: ChainFeedOptions;
  readonly #outputs = new ProvenOutputs();
  readonly #waiting = new Set<() => void>();
  /** What was complained about on this link: a host that goes on with it is not written about again. */
  readonly #complaints = new Set<string>();
  #send: SendToHost | undefined;
  #active = false;
  #store: Store | undefined;
  #state: ChainState | undefined;
  #inForce = false;
  #estimate: FeeEstimate | undefined;

  constructor(options: ChainFeedOptions) {
    this.#options = options;
  }

  get inForce(): boolean {
    return this.#inForce || this.#options.required;
  }

  get estimate(): FeeEstimate | undefined {
    return this.#estimate;
  }

  height(): number | undefined {
    if (!this.#inForce || this.#state === undefined) return undefined;
    return this.#isFresh(this.#state) || this.#options.required ? this.#state.tip.height : undefined;
  }

  async confirmations(output: ExpectedOutput): Promise<number> {
    const { clock, patienceMs = 3_000 } = this.#options;
    const until = clock.monotonic() + patienceMs;
    for (let asked = false; ; asked = true) {
      const depth = this.#state === undefined ? 0 : this.#outputs.depth(this.#state, output);
      const left = until - clock.monotonic();
      if (depth > 0 || this.#send === undefined || left <= 0) return depth;
      if (!asked && this.#outputs.want(output)) this.#ask();
      await this.#news(left);
    }
  }

  /** Begins, or goes on, with what the store holds. */
  start(store: Store, network: Network): void {
    if (this.#store !== undefined) return;
    const { log } = this.#options;
    this.#store = store;
    try {
      const kept = readChain(store.entries);
      this.#state = kept?.state;
      this.#inForce = kept?.inForce === true;
    } catch (error: unknown) {
      log('error', 'the chain that was kept cannot be read, and is followed anew', { error: errorText(error) });
    }
    this.#state ??= startOf(network);
    const { name, caveat } = network;
    if (caveat !== undefined) log('info', 'what headers do not prove', { network: name, caveat });
    this.#ask();
  }

  attached({ active }: Welcome, send: SendToHost): void {
    this.#send = send;
    this.#active = active;
    this.#complaints.clear();
    this.#ask();
  }

  promoted(_promote: Promote): void {
    this.#active = true;
    this.#ask();
  }

  detached(): void {
    this.#send = undefined;
    this.#active = false;
    this.#wake();
  }

  receive(message: LinkMessage): void {
    if (message.case !== 'chainNews' || !this.#active || this.#state === undefined) return;
    const before = this.#state;
    const { headers, proofs, feeratePerkw } = message.value;
    this.#checked('headers', () => this.#takeHeaders(before, headers));
    let proven = false;
    for (const proof of proofs.slice(0, mostProofs))
      proven = this.#checked('proof', () => this.#outputs.take(this.#state ?? before, proof)) || proven;
    if (feeratePerkw > 0) this.#estimate = { feerate: feeratePerkw, at: this.#options.clock.now() };
    const moved = this.#state.tip !== before.tip;
    if (moved) this.#keep();
    if (moved || proven) this.#ask();
    this.#wake();
  }

  #takeHeaders(before: ChainState, headers: ChainNews['headers']): void {
    if (headers.length > headersAtOnce * headerLength)
      throw new HeaderError('too many', `expected at most ${headersAtOnce} headers at once`);
    const each: Uint8Array[] = [];
    for (let at = 0; at < headers.length; at += headerLength) each.push(headers.subarray(at, at + headerLength));
    this.#state = applyHeaders(before, each, this.#options.clock);
  }

  /** Makes the new state durable. Nothing waits for it: what is lost is told again. */
  #keep(): void {
    const [store, state] = [this.#store, this.#state];
    if (store === undefined || state === undefined) return;
    const first = !this.#inForce && this.#isFresh(state);
    if (first) {
      this.#inForce = true;
      this.#options.log('info', 'the chain is followed: its rules are in force', { height: state.tip.height });
    }
    store.commit(chainChanges(store.entries, { state, inForce: this.#inForce })).catch((error: unknown) => {
      this.#options.log('error', 'the chain state could not be stored', { error: errorText(error) });
    });
  }

  #isFresh({ tip }: ChainState): boolean {
    return tip.header.time * 1000 > this.#options.clock.now() - freshMs;
  }

  /** Tells the host what is wanted. */
  #ask(): void {
    const [send, state] = [this.#send, this.#state];
    if (send === undefined || state === undefined || !this.#active) return;
    const outpoints = this.#outputs.lacking(state).map(({ txid, vout }) => ({ txid, vout }));
    const genesis = parseHeader(state.network.genesis).hash;
    send({ case: 'chainWanted', value: { genesis, locator: [...locatorOf(state)], outpoints } });
  }

  /** Runs a check of the host's word; false, and one line in the log for each kind, where it does not hold. */
  #checked(kind: string, check: () => void): boolean {
    try {
      check();
      return true;
    } catch (error: unknown) {
      if (!(error instanceof HeaderError || error instanceof ProofError || error instanceof WireError)) throw error;
      if (!this.#complaints.has(kind))
        this.#options.log('warn', 'the host’s news of the chain is false', { kind, problem: error.message });
      this.#complaints.add(kind);
      return false;
    }
  }

  /** Waits for the next news, or as long as this. */
  #news(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        cancel();
        resolve();
      };
      const cancel = this.#options.clock.after(ms, done);
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }
}
