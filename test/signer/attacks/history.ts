/**
 * Random histories of a node with three channels. An honest one keeps BOLT 2 and pays only what was approved or came in;
 * in an anarchic one host and peers do what they like, as long as each commitment is well-formed. `choices` decide.
 */

import { toHex } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { Side } from '../../../signer/lightning/channel.ts';
import { anchorValue, commitmentFee } from '../../../signer/lightning/fees.ts';
import type { Commitment } from '../../../signer/lightning/recognise.ts';
import { feeBudget, type Settings } from '../../../signer/policy/settings.ts';
import { hashOf, TestChannel } from './channel.ts';
import type { Terms } from './terms.ts';
import { Refused, World } from './world.ts';

interface Held {
  readonly channel: TestChannel;
  readonly htlc: Htlc;
}

export type Action = readonly [name: string, run: () => Promise<void> | void];

const sides = ['local', 'remote'] as const;
/** What nobody spends, so that fees and reserves are never in question. Msat. */
const untouched = 120_000_000n;

/** What one commitment gives us besides HTLCs, before fees, msat. */
function oursIn({ channel, owner, toOwner, toOther, feerate, htlcs }: Commitment): bigint {
  const output = owner === 'local' ? toOwner : toOther;
  if (output === undefined) return 0n;
  const fee = commitmentFee(feerate, channel.anchors, htlcs.length) + (channel.anchors ? 2n * anchorValue : 0n);
  return (output + (channel.opener === 'local' ? fee : 0n)) * 1000n;
}

export class History {
  readonly world: World;
  readonly channels: readonly TestChannel[];
  /** Msat that were approved, with their fee budgets. */
  approved = 0n;
  readonly done: string[] = [];
  readonly #choices: Iterator<number>;
  /** Forwarded payments: the incoming HTLC and the outgoing one. */
  readonly #forwards: (readonly [Held, Held])[] = [];
  readonly #toForward = new Set<Htlc>();
  readonly #forOutgoing = new Map<Htlc, bigint>();
  #names = 0;

  private constructor(world: World, channels: readonly TestChannel[], choices: Iterator<number>) {
    this.world = world;
    this.channels = channels;
    this.#choices = choices;
  }

  static async begin(choices: readonly number[], settings: Partial<Settings> = {}): Promise<History> {
    const world = await World.open({ settings });
    const iterator = choices[Symbol.iterator]();
    const pick = () => iterator.next().value ?? 0;
    const channels: TestChannel[] = [];
    for (const peer of [2, 3, 4]) {
      const opener = pick() % 2 === 0 ? 'us' : 'them';
      const push = opener === 'us' ? 0n : 450_000n;
      channels.push(await TestChannel.open(world, { peer, opener, push, value: 1_000_000n }));
    }
    return new History(world, channels, iterator);
  }

  /** The next choice, below `limit`. */
  pick(limit: number): number {
    return (this.#choices.next().value ?? 0) % limit;
  }

  oneOf<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.pick(list.length)];
  }

  /** A new amount, in msat: no two are alike. */
  amount(): bigint {
    this.#names += 1;
    return BigInt(600_000 + this.pick(30_000) * 997 + this.#names);
  }

  newHash(): Uint8Array {
    this.#names += 1;
    return hashOf(`payment ${this.#names}`);
  }

  /** The owner says yes to this payment. */
  approve(hash: Uint8Array, msat: bigint): void {
    this.approved += msat + feeBudget(this.world.settings, msat);
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
    for (const channel of this.channels) {
      const steps = this.steps(channel);
      actions.push(...steps, ...steps, ...steps);
      if (channel.numbers.remote > 0n) actions.push(this.again(channel));
      if (this.spendable(channel, 'ours') > 0n) actions.push(['pay', () => this.#pay(channel)]);
      if (this.spendable(channel, 'theirs') > 0n) actions.push(['receive', () => this.#receive(channel)]);
      const ours = channel.options.opener === 'us' ? 'ours' : 'theirs';
      if (this.spendable(channel, ours) > 0n) actions.push(['fee', () => channel.setFeerate(300 + this.pick(1500))]);
      for (const htlc of channel.updates.settleable) actions.push(...this.#settle({ channel, htlc }));
    }
    return actions;
  }

  #pay(channel: TestChannel): void {
    const [msat, hash] = [this.amount(), this.newHash()];
    if (msat > this.spendable(channel, 'ours')) return;
    this.approve(hash, msat);
    channel.add({ from: 'us', msat, hash });
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
    const { logs, revokedFor } = outgoing.channel.updates;
    const at = logs.remote.findIndex((each) => each.kind !== 'fee' && each.htlc === outgoing.htlc);
    const end = logs.remote[at];
    if (end?.kind === 'fulfil') return [fulfil];
    const isGone = at >= 0 && revokedFor.local.remote > at && revokedFor.remote.remote > at;
    return isGone ? [fail] : [];
  }

  #forward(incoming: Held): void {
    this.#toForward.delete(incoming.htlc);
    const to = this.oneOf(this.channels.filter((each) => each !== incoming.channel));
    const msat = incoming.htlc.amount - 1000n - BigInt(this.pick(1000));
    if (to === undefined || msat > this.spendable(to, 'ours')) return;
    const htlc = to.add({ from: 'us', msat, hash: incoming.htlc.paymentHash, cltv: incoming.htlc.cltvExpiry - 34 });
    this.#forwards.push([incoming, { channel: to, htlc }]);
  }

  /** What host and peers may try, honest or not. */
  anarchic(hashes: readonly Uint8Array[]): readonly Action[] {
    const actions: Action[] = [['restart', () => this.world.restart()]];
    const hash = () => this.oneOf(hashes) ?? this.newHash();
    const cltv = () => 400 + this.pick(4) * 20;
    for (const channel of this.channels) {
      const { updates } = channel;
      actions.push(
        ['signTheirs', async () => void (await channel.signTheirs())],
        ['theyRevoke', () => channel.theyRevoke()],
        ['signOurs', async () => void (await channel.signOurs())],
        ['weRevoke', async () => void (await channel.weRevoke())],
        ...this.steps(channel),
        ...this.steps(channel),
      );
      const few = [10_000_000n, 20_000_000n, 30_000_001n];
      const amount = () => this.oneOf(few) ?? 0n;
      if (this.spendable(channel, 'ours') > 30_000_001n)
        actions.push(['out', () => void channel.add({ from: 'us', msat: amount(), hash: hash(), cltv: cltv() })]);
      if (this.spendable(channel, 'theirs') > 30_000_001n)
        actions.push(['in', () => void channel.add({ from: 'them', msat: amount(), hash: hash(), cltv: cltv() })]);
      const gone = new Set(
        [...updates.logs.local, ...updates.logs.remote].flatMap((each) =>
          each.kind === 'fulfil' || each.kind === 'fail' ? [each.htlc] : [],
        ),
      );
      const known = (side: Side) =>
        updates.logs[side].slice(0, Math.min(updates.signed.local[side], updates.signed.remote[side]));
      for (const each of [...known('local'), ...known('remote')])
        if (each.kind === 'add' && !gone.has(each.htlc))
          actions.push(['fulfil', () => channel.fulfil(each.htlc)], ['fail', () => channel.fail(each.htlc)]);
    }
    return actions;
  }

  /** Runs one action; whether the signer let it pass. What was refused is taken back, as far as nothing accepted has it. */
  async run([name, body]: Action): Promise<boolean> {
    try {
      await body();
      this.#note();
      this.done.push(name);
      return true;
    } catch (error: unknown) {
      if (!(error instanceof Refused) || !error.tag.startsWith('policy-')) throw error;
      this.done.push(`${name} (${error.tag})`);
      for (const { updates } of this.channels)
        for (const side of sides)
          updates.logs[side].length = Math.max(updates.signed.local[side], updates.signed.remote[side]);
      return false;
    }
  }

  /** Commitments that can still be broadcast. */
  #live(channel: TestChannel): readonly Commitment[] {
    return sides.flatMap((side) => channel.commitments[side].filter(({ number }) => number > channel.revoked[side]));
  }

  /** Hashes of which somebody was paid: their preimages are known. */
  #paid(): ReadonlySet<string> {
    return new Set(
      this.channels.flatMap(({ updates }) =>
        sides.flatMap((side) =>
          updates.logs[side]
            .slice(0, Math.max(updates.signed.local[side], updates.signed.remote[side]))
            .flatMap((each) => (each.kind === 'fulfil' ? [toHex(each.htlc.paymentHash)] : [])),
        ),
      ),
    );
  }

  /** Of each incoming HTLC that was paid to us, notes what made up for something that went out; the rest is income. */
  #note(): void {
    for (const { updates } of this.channels)
      for (const each of updates.logs.local.slice(0, Math.max(updates.signed.local.local, updates.signed.remote.local)))
        if (each.kind === 'fulfil' && !this.#forOutgoing.has(each.htlc)) {
          const hash = toHex(each.htlc.paymentHash);
          const owed = this.#outgoing(hash) - this.#cameFor(hash);
          const { amount } = each.htlc;
          this.#forOutgoing.set(each.htlc, owed < 0n ? 0n : owed < amount ? owed : amount);
        }
  }

  /** Msat that went out for a hash, or still may. */
  #outgoing(hash: string): bigint {
    const htlcs = this.channels.flatMap((channel) => {
      const { updates } = channel;
      const paid = updates.logs.remote
        .slice(0, Math.max(updates.signed.local.remote, updates.signed.remote.remote))
        .flatMap((each) => (each.kind === 'fulfil' ? [each.htlc] : []));
      return [...paid, ...this.#live(channel).flatMap((commitment) => commitment.htlcs)];
    });
    const ours = [...new Set(htlcs)].filter(({ side, paymentHash }) => side === 'local' && toHex(paymentHash) === hash);
    return ours.reduce((sum, { amount }) => sum + amount, 0n);
  }

  #cameFor(hash: string): bigint {
    let sum = 0n;
    for (const [{ paymentHash }, part] of this.#forOutgoing) if (toHex(paymentHash) === hash) sum += part;
    return sum;
  }

  /** Msat that a payment has cost us in a commitment, by hash, what is in flight aside. */
  #settled(channel: TestChannel, commitment: Commitment): ReadonlyMap<string, bigint> {
    const { local, remote } = channel.reaches.get(commitment) ?? { local: 0, remote: 0 };
    const { logs } = channel.updates;
    const costs = new Map<string, bigint>();
    for (const each of [...logs.local.slice(0, local), ...logs.remote.slice(0, remote)]) {
      if (each.kind !== 'fulfil') continue;
      const { side, amount, paymentHash } = each.htlc;
      const hash = toHex(paymentHash);
      costs.set(
        hash,
        (costs.get(hash) ?? 0n) + (side === 'local' ? amount : -(this.#forOutgoing.get(each.htlc) ?? 0n)),
      );
    }
    return costs;
  }

  /** The least that we can be left with, msat: thieves choose the commitments, and which preimages come out. */
  worst(): bigint {
    const paid = this.#paid();
    let least: bigint | undefined;
    const visit = (
      index: number,
      ours: bigint,
      htlcs: readonly Htlc[],
      costs: readonly ReadonlyMap<string, bigint>[],
    ): void => {
      const channel = this.channels[index];
      if (channel === undefined) {
        const claim = ours + claimOf(htlcs, paid, costs);
        if (least === undefined || claim < least) least = claim;
        return;
      }
      for (const commitment of this.#live(channel))
        visit(
          index + 1,
          ours + oursIn(commitment),
          [...htlcs, ...commitment.htlcs],
          [...costs, this.#settled(channel, commitment)],
        );
    };
    visit(0, 0n, [], []);
    return least ?? 0n;
  }
}

/**
 * What HTLCs bring us in the worst case: without a preimage ours come back, with it we have the peers'; but no more than
 * what went out for it, since nobody can make a host take more.
 */
function claimOf(
  htlcs: readonly Htlc[],
  paid: ReadonlySet<string>,
  costs: readonly ReadonlyMap<string, bigint>[],
): bigint {
  const byHash = new Map<string, { in: bigint; out: bigint }>();
  for (const { side, amount, paymentHash } of htlcs) {
    const hash = toHex(paymentHash);
    const sums = byHash.get(hash) ?? { in: 0n, out: 0n };
    sums[side === 'local' ? 'out' : 'in'] += amount;
    byHash.set(hash, sums);
  }
  let claim = 0n;
  for (const [hash, sums] of byHash) {
    const cost = costs.reduce((sum, each) => sum + (each.get(hash) ?? 0n), 0n);
    const owed = paid.has(hash) ? cost + sums.out : sums.out;
    if (owed > 0n) claim += owed < sums.in ? owed : sums.in;
  }
  return claim;
}
