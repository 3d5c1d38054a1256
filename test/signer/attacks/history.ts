/**
 * Random histories of a node with three channels, and what an honest one consists of: it keeps BOLT 2 and pays only what
 * was approved or came in. `pick` decides. What a hostile one may try is in `anarchy.ts`.
 */

import type { TxOutput } from '../../../proto/bitcoin/tx.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { feeBudget, type Settings } from '../../../signer/policy/settings.ts';
import { hashOf, TestChannel } from './channel.ts';
import { Claims } from './claims.ts';
import { spliceAndLock, spliceOf } from './splicing.ts';
import type { Terms } from './terms.ts';
import { closeAlone, closeTogether, output, walletScript } from './transactions.ts';
import { nodeKeys, Refused, World } from './world.ts';

interface Held {
  readonly channel: TestChannel;
  readonly htlc: Htlc;
}

export type Action = readonly [name: string, run: () => Promise<void> | void];

const sides = ['local', 'remote'] as const;
/** What nobody spends, so that fees and reserves are never in question. Msat. */
const untouched = 120_000_000n;
const stranger = walletScript(nodeKeys(9), 1);
/** Satoshi. */
const closeFee = 500n;

/** What a mutual close pays: us first, less `taken` satoshi that the peer gets. The opener pays the fee. */
export function closeOutputs({ world, updates, options }: TestChannel, taken = 0n): readonly TxOutput[] {
  const { ours, theirs } = updates.terms(updates.signed.local);
  const [fromUs, fromThem] = options.opener === 'us' ? [closeFee, 0n] : [0n, closeFee];
  return [
    output(walletScript(world.keys, 7), ours / 1000n - fromUs - taken),
    output(stranger, theirs / 1000n - fromThem + taken),
  ];
}

export class History {
  readonly world: World;
  readonly channels: readonly TestChannel[];
  readonly claims: Claims;
  readonly done: string[] = [];
  /** Why the last step that was refused was. */
  refusal = '';
  /** The next choice, below `limit`. */
  readonly pick: (limit: number) => number;
  /** Forwarded payments: the incoming HTLC and the outgoing one. */
  readonly #forwards: (readonly [Held, Held])[] = [];
  readonly #toForward = new Set<Htlc>();
  /** Our own payments' HTLCs, until one is tried again after it failed. */
  readonly #paying = new Set<Held>();
  #names = 0;
  readonly #closed = new Set<TestChannel>();
  /** How many more are small enough to be left out: all together are less than a day allows. */
  #dust = 20;
  /** The amounts of payments; undefined where hardly two are alike. */
  readonly #alike: readonly bigint[] | undefined;

  private constructor(
    world: World,
    channels: readonly TestChannel[],
    pick: (limit: number) => number,
    alike: readonly bigint[] | undefined,
  ) {
    this.world = world;
    this.channels = channels;
    this.claims = new Claims(channels);
    this.pick = pick;
    this.#alike = alike;
  }

  static async begin(
    pick: (limit: number) => number,
    settings: Partial<Settings> = {},
    alike?: readonly bigint[],
  ): Promise<History> {
    const world = await World.open({ settings, feed: true });
    const channels: TestChannel[] = [];
    for (const peer of [2, 3, 4]) {
      const opener = pick(2) === 0 ? 'us' : 'them';
      const push = opener === 'us' ? 0n : 450_000n;
      channels.push(await TestChannel.open(world, { peer, opener, push, value: 1_000_000n }));
    }
    return new History(world, channels, pick, alike);
  }

  oneOf<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.pick(list.length)];
  }

  /** A new amount, in msat: some are dust, some round as people’s are, of the others no two are alike. */
  amount(): bigint {
    this.#names += 1;
    const alike = this.oneOf(this.#alike ?? []);
    if (alike !== undefined) return alike;
    if (this.#dust > 0 && this.pick(6) === 0) {
      this.#dust -= 1;
      return BigInt(200_000 + this.pick(200) * 997 + this.#names);
    }
    if (this.pick(4) === 0) return BigInt(1 + this.pick(4)) * 5_000_000n;
    return BigInt(600_000 + this.pick(30_000) * 997 + this.#names);
  }

  newHash(): Uint8Array {
    this.#names += 1;
    return hashOf(`payment ${this.#names}`);
  }

  /** The owner says yes to this payment. */
  approve(hash: Uint8Array, msat: bigint): void {
    this.claims.approved(hash, msat + feeBudget(this.world.settings, msat));
    this.world.allowPayment(hash, msat);
  }

  /** What a side may still spend in every commitment that is or will be. */
  spendable({ updates }: TestChannel, who: 'ours' | 'theirs'): bigint {
    const { logs, signed } = updates;
    const all = { local: logs.local.length, remote: logs.remote.length };
    const reaches = [signed.local, signed.remote, updates.next('local'), updates.next('remote'), all];
    const least = reaches.map((reach) => updates.terms(reach)[who]).reduce((a, b) => (a < b ? a : b));
    // What is settled but not yet everywhere may still come back.
    const pending = [...logs.local, ...logs.remote].flatMap((each) =>
      each.kind === 'fulfil' || each.kind === 'fail' ? [each.htlc.amount] : [],
    );
    const loose =
      updates.isNew('local') || updates.isNew('remote') || updates.isPending('local') || updates.isPending('remote');
    return least - untouched - (loose ? pending.slice(-8).reduce((a, b) => a + b, 0n) : 0n);
  }

  /** The steps of the protocol that a channel is ready for. */
  steps(channel: TestChannel): readonly Action[] {
    const { updates } = channel;
    const steps: Action[] = [];
    if (updates.isNew('remote') && !updates.isPending('remote'))
      steps.push(['signTheirs', async () => void (await channel.signTheirs())]);
    if (updates.isPending('remote')) steps.push(['theyRevoke', () => channel.theyRevoke()]);
    if (updates.isNew('local') && !updates.isPending('local'))
      steps.push(['signOurs', async () => void (await channel.signOurs())]);
    if (updates.isPending('local')) steps.push(['weRevoke', async () => void (await channel.weRevoke())]);
    return steps;
  }

  /** The same commitment of the peer's once more, as after a reconnect. */
  again(channel: TestChannel): Action {
    const terms = (): Terms => channel.updates.terms(channel.updates.signed.remote);
    return ['again', async () => void (await channel.signTheirs({ number: channel.numbers.remote, terms }))];
  }

  /** What an honest node and its peers could do next. */
  honest(): readonly Action[] {
    const actions: Action[] = [['restart', () => this.world.restart()]];
    for (const channel of this.#open) {
      const steps = this.steps(channel);
      actions.push(...steps, ...steps, ...steps);
      if (channel.numbers.remote > 0n) actions.push(this.again(channel));
      if (this.spendable(channel, 'ours') > 0n) actions.push(['pay', () => this.#pay(channel)]);
      for (const held of this.#paying)
        if (this.#endOf(held) === 'fail' && this.spendable(channel, 'ours') > held.htlc.amount)
          actions.push(['pay again', () => this.#payAgain(held, channel)]);
      if (this.spendable(channel, 'theirs') > 0n) actions.push(['receive', () => this.#receive(channel)]);
      const ours = channel.options.opener === 'us' ? 'ours' : 'theirs';
      if (this.spendable(channel, ours) > 0n) actions.push(['fee', () => channel.setFeerate(300 + this.pick(1500))]);
      for (const htlc of channel.updates.settleable) actions.push(...this.#settle({ channel, htlc }));
      if (this.isQuiet(channel)) actions.push(['splice', () => this.#splice(channel)]);
      if (this.done.length > 100 && this.pick(40) === 0) actions.push(['force close', () => this.#closeAlone(channel)]);
    }
    return actions;
  }

  get #open(): readonly TestChannel[] {
    return this.channels.filter((each) => !this.#closed.has(each));
  }

  /** What leads to an end: payments in flight are settled, then channels closed. None where there is nothing left to do. */
  ending(): readonly Action[] {
    const moves = this.#open.flatMap((channel): readonly Action[] => [
      ...this.steps(channel),
      ...channel.updates.settleable.flatMap((htlc) => this.#settle({ channel, htlc })),
    ]);
    const quiet = this.#open.filter((channel) => this.isQuiet(channel) && !channel.updates.hasHtlcs);
    return moves.length > 0 ? moves : quiet.map((channel) => ['close', () => this.#close(channel)]);
  }

  /** Whether nothing waits for a commitment or its revocation, as a splice and a close demand. */
  isQuiet({ updates }: TestChannel): boolean {
    return sides.every((side) => !updates.isNew(side) && !updates.isPending(side));
  }

  /** Moves satoshi into or out of the channel: theirs as they like, ours to our wallet. */
  async #splice(channel: TestChannel): Promise<void> {
    const amount = BigInt(1000 + this.pick(20_000));
    const least = amount * 1000n;
    const [ours, theirs] = [this.spendable(channel, 'ours') > least, this.spendable(channel, 'theirs') > least];
    const [kind] = [this.pick(4)];
    if (kind === 0) await spliceAndLock(channel, spliceOf(channel, 0n, amount));
    else if (kind === 1 && theirs)
      await spliceAndLock(channel, spliceOf(channel, 0n, -amount, [output(stranger, amount)]));
    else if (kind === 2 && ours) {
      await spliceAndLock(channel, spliceOf(channel, -amount, 0n, [output(walletScript(this.world.keys, 5), amount)]));
      this.claims.withdrawn(channel, least);
    } else await spliceAndLock(channel, spliceOf(channel, 0n, 0n));
    this.claims.locked(channel);
  }

  async #closeAlone(channel: TestChannel): Promise<void> {
    const [newest] = channel.commitments.local.slice(-1);
    if (newest === undefined || channel.updates.isPending('local')) return;
    await closeAlone(channel, newest);
    this.#closed.add(channel);
  }

  async #close(channel: TestChannel): Promise<void> {
    await closeTogether(channel, closeOutputs(channel));
    this.#closed.add(channel);
  }

  #pay(channel: TestChannel): void {
    const [msat, hash] = [this.amount(), this.newHash()];
    if (msat > this.spendable(channel, 'ours')) return;
    this.approve(hash, msat);
    this.#paying.add({ channel, htlc: channel.add({ from: 'us', msat, hash }) });
  }

  /** Another attempt at a payment of ours that failed, on any channel. */
  #payAgain(failed: Held, channel: TestChannel): void {
    const { amount: msat, paymentHash: hash } = failed.htlc;
    this.#paying.delete(failed);
    this.#paying.add({ channel, htlc: channel.add({ from: 'us', msat, hash }) });
  }

  /** What became of an HTLC that we offered, once no commitment has it any more. */
  #endOf({ channel: { updates }, htlc }: Held): 'fulfil' | 'fail' | undefined {
    const { logs, revokedFor } = updates;
    const at = logs.remote.findIndex((each) => each.kind !== 'fee' && each.kind !== 'add' && each.htlc === htlc);
    const end = logs.remote[at];
    const isGone = at >= 0 && revokedFor.local.remote > at && revokedFor.remote.remote > at;
    return isGone && (end?.kind === 'fulfil' || end?.kind === 'fail') ? end.kind : undefined;
  }

  #receive(channel: TestChannel): void {
    const msat = this.amount();
    if (msat > this.spendable(channel, 'theirs')) return;
    const htlc = channel.add({ from: 'them', msat, hash: this.newHash(), cltv: 700 + this.pick(50) });
    if (this.pick(2) === 0) this.#toForward.add(htlc);
  }

  /** What may become of an HTLC that both sides are bound to. */
  #settle({ channel, htlc }: Held): readonly Action[] {
    const fulfil: Action = ['fulfil', () => channel.fulfil(htlc)];
    const fail: Action = ['fail', () => channel.fail(htlc)];
    if (htlc.side === 'local') return [fulfil, fail];
    if (this.#toForward.has(htlc)) return [['forward', () => this.#forward({ channel, htlc })]];
    const outgoing = this.#forwards.find(([incoming]) => incoming.htlc === htlc)?.[1];
    if (outgoing === undefined) return [fulfil, fail];
    const { logs } = outgoing.channel.updates;
    if (logs.remote.some((each) => each.kind === 'fulfil' && each.htlc === outgoing.htlc)) return [fulfil];
    return this.#endOf(outgoing) === 'fail' ? [fail] : [];
  }

  #forward(incoming: Held): void {
    this.#toForward.delete(incoming.htlc);
    const to = this.oneOf(this.#open.filter((each) => each !== incoming.channel));
    const msat = incoming.htlc.amount - 1000n - BigInt(this.#alike === undefined ? this.pick(1000) : 0);
    if (to === undefined || msat > this.spendable(to, 'ours')) return;
    const htlc = to.add({ from: 'us', msat, hash: incoming.htlc.paymentHash, cltv: incoming.htlc.cltvExpiry - 34 });
    this.#forwards.push([incoming, { channel: to, htlc }]);
  }

  /** Runs one action; whether the signer let it pass. What was refused is taken back, as far as nothing accepted has it. */
  async run([name, body]: Action): Promise<boolean> {
    try {
      await body();
      this.done.push(name);
      return true;
    } catch (error: unknown) {
      if (!(error instanceof Refused) || !error.tag.startsWith('policy-')) throw error;
      this.done.push(`${name} (${error.tag})`);
      this.refusal = error.message;
      for (const { updates } of this.channels)
        for (const side of sides)
          updates.logs[side].length = Math.max(updates.signed.local[side], updates.signed.remote[side]);
      return false;
    }
  }
}
