/**
 * The plain model of what is ours: thieves choose which transaction of each channel confirms, among those that the signer
 * accepted, and which preimages come out; what we can claim then is counted from the transactions themselves.
 */

import { toHex } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { anchorValue, commitmentFee } from '../../../signer/lightning/fees.ts';
import type { Commitment } from '../../../signer/lightning/recognise.ts';
import type { TestChannel } from './channel.ts';

const sides = ['local', 'remote'] as const;

/** How one channel may end. */
interface End {
  /** Msat that are ours besides HTLCs, the fees that we pay included. */
  readonly ours: bigint;
  readonly htlcs: readonly Htlc[];
  /** Msat that payments have cost us in it, by hash, what is in flight aside. */
  readonly costs: ReadonlyMap<string, bigint>;
}

/** What a transaction leaves out beside a fee is lost, and what of the fee is in an output too. */
function oursIn({ channel, funding, owner, toOwner, toOther, feerate, htlcs }: Commitment): bigint {
  const output = owner === 'local' ? toOwner : toOther;
  if (output === undefined) return 0n;
  const inHtlcs = htlcs.reduce((sum, { amount }) => sum + amount / 1000n, 0n);
  const fee = funding.value - (toOwner ?? 0n) - (toOther ?? 0n) - inHtlcs;
  const due = commitmentFee(feerate, channel.anchors, htlcs.length) + (channel.anchors ? 2n * anchorValue : 0n);
  const paid = due < fee ? due : fee;
  return (output + (channel.opener === 'local' ? paid : 0n)) * 1000n;
}

export class Claims {
  readonly #channels: readonly TestChannel[];
  /** Of incoming HTLCs that were paid to us, what made up for something that went out; the rest is income. */
  readonly #forOutgoing = new Map<Htlc, bigint>();
  readonly #closes = new Map<TestChannel, End[]>();
  readonly #published = new Map<Commitment, TestChannel>();
  readonly #given = new Map<Commitment, readonly Htlc[]>();
  /** The commitment that a channel ended with, and the HTLCs of it that came back. */
  readonly #mined = new Map<TestChannel, { readonly commitment: Commitment; readonly returned: ReadonlySet<Htlc> }>();
  /** Msat that left channels for our wallet. */
  withdrawn = 0n;

  constructor(channels: readonly TestChannel[]) {
    this.#channels = channels;
  }

  /** A mutual close was signed that pays us `ours` msat, our fee included. */
  closed(channel: TestChannel, ours: bigint): void {
    const [newest] = channel.commitments.local.slice(-1);
    const costs = newest === undefined ? new Map<string, bigint>() : this.#settled(channel, newest);
    this.#closes.set(channel, [...(this.#closes.get(channel) ?? []), { ours, htlcs: [], costs }]);
  }

  /** A commitment is in the chain, and an HTLC of it that we offered came back. */
  mined(channel: TestChannel, commitment: Commitment, htlc: Htlc): void {
    const returned = new Set(this.#mined.get(channel)?.returned).add(htlc);
    this.#mined.set(channel, { commitment, returned });
  }

  /** The commitment that is in the chain, of a channel that ended so. */
  minedOf(channel: TestChannel): Commitment | undefined {
    return this.#mined.get(channel)?.commitment;
  }

  /** A commitment of ours may confirm whatever is revoked from now on. */
  published(channel: TestChannel, commitment: Commitment): void {
    this.#published.set(commitment, channel);
  }

  /**
   * A commitment is without these HTLCs of ours, and we have nothing for them: as good as paid, for what a host hides of a
   * preimage no signer can tell.
   */
  gave(commitment: Commitment, htlcs: readonly Htlc[]): void {
    this.#given.set(commitment, htlcs);
  }

  /** Transactions of an earlier funding no longer confirm. */
  locked(channel: TestChannel): void {
    this.#closes.delete(channel);
    for (const [commitment, of] of this.#published) if (of === channel) this.#published.delete(commitment);
  }

  #ends(channel: TestChannel): readonly End[] {
    const mined = this.#mined.get(channel);
    if (mined !== undefined) {
      const { commitment, returned } = mined;
      const back = [...returned].reduce((sum, { amount }) => sum + amount, 0n);
      const htlcs = commitment.htlcs.filter((htlc) => !returned.has(htlc));
      return [{ ours: oursIn(commitment) + back, htlcs, costs: this.#settled(channel, commitment) }];
    }
    const live = sides.flatMap((side) =>
      channel.commitments[side].filter(({ number }) => number > channel.revoked[side]),
    );
    const punished = [...this.#published].some(([{ number }, of]) => of === channel && number <= channel.revoked.local);
    return [
      ...live.map((each) => ({ ours: oursIn(each), htlcs: each.htlcs, costs: this.#settled(channel, each) })),
      ...(this.#closes.get(channel) ?? []),
      ...(punished ? [{ ours: 0n, htlcs: [], costs: new Map<string, bigint>() }] : []),
    ];
  }

  /** Hashes of which somebody was paid: their preimages are known. */
  #paid(): ReadonlySet<string> {
    const fulfilled = this.#channels.flatMap(({ updates }) =>
      sides.flatMap((side) =>
        updates.logs[side]
          .slice(0, Math.max(updates.signed.local[side], updates.signed.remote[side]))
          .flatMap((each) => (each.kind === 'fulfil' ? [each.htlc] : [])),
      ),
    );
    return new Set([...fulfilled, ...[...this.#given.values()].flat()].map(({ paymentHash }) => toHex(paymentHash)));
  }

  /** Takes down what was paid to us, after each step. */
  note(): void {
    for (const { updates } of this.#channels)
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
    const htlcs = this.#channels.flatMap((channel) => {
      const { updates } = channel;
      const paid = updates.logs.remote
        .slice(0, Math.max(updates.signed.local.remote, updates.signed.remote.remote))
        .flatMap((each) => (each.kind === 'fulfil' ? [each.htlc] : []));
      return [...paid, ...this.#ends(channel).flatMap((end) => end.htlcs)];
    });
    const ours = [...new Set(htlcs)].filter(({ side, paymentHash }) => side === 'local' && toHex(paymentHash) === hash);
    return ours.reduce((sum, { amount }) => sum + amount, 0n);
  }

  #cameFor(hash: string): bigint {
    let sum = 0n;
    for (const [{ paymentHash }, part] of this.#forOutgoing) if (toHex(paymentHash) === hash) sum += part;
    return sum;
  }

  #settled(channel: TestChannel, commitment: Commitment): ReadonlyMap<string, bigint> {
    const { local, remote } = channel.reaches.get(commitment) ?? { local: 0, remote: 0 };
    const { logs } = channel.updates;
    const costs = new Map<string, bigint>();
    for (const { amount, paymentHash } of this.#given.get(commitment) ?? [])
      costs.set(toHex(paymentHash), (costs.get(toHex(paymentHash)) ?? 0n) + amount);
    for (const each of [...logs.local.slice(0, local), ...logs.remote.slice(0, remote)]) {
      if (each.kind !== 'fulfil') continue;
      const { side, amount, paymentHash } = each.htlc;
      const hash = toHex(paymentHash);
      const cost = side === 'local' ? amount : -(this.#forOutgoing.get(each.htlc) ?? 0n);
      costs.set(hash, (costs.get(hash) ?? 0n) + cost);
    }
    return costs;
  }

  /** The least that we can be left with, msat. */
  worst(): bigint {
    const paid = this.#paid();
    const ends = this.#channels.map((channel) => this.#ends(channel));
    let least: bigint | undefined;
    const visit = (index: number, chosen: readonly End[]): void => {
      const next = ends[index];
      if (next !== undefined) {
        for (const end of next) visit(index + 1, [...chosen, end]);
        return;
      }
      const claim = chosen.reduce((sum, { ours }) => sum + ours, 0n) + claimOf(chosen, paid);
      if (least === undefined || claim < least) least = claim;
    };
    visit(0, []);
    return (least ?? 0n) + this.withdrawn;
  }
}

/**
 * What HTLCs bring us in the worst case: without a preimage ours come back, with it we have the peers'; but no more than
 * what went out for it, since nobody can make a host take more.
 */
function claimOf(ends: readonly End[], paid: ReadonlySet<string>): bigint {
  const byHash = new Map<string, { in: bigint; out: bigint }>();
  for (const { side, amount, paymentHash } of ends.flatMap(({ htlcs }) => htlcs)) {
    const hash = toHex(paymentHash);
    const sums = byHash.get(hash) ?? { in: 0n, out: 0n };
    sums[side === 'local' ? 'out' : 'in'] += amount;
    byHash.set(hash, sums);
  }
  let claim = 0n;
  for (const [hash, sums] of byHash) {
    const cost = ends.reduce((sum, { costs }) => sum + (costs.get(hash) ?? 0n), 0n);
    const owed = paid.has(hash) ? cost + sums.out : sums.out;
    if (owed > 0n) claim += owed < sums.in ? owed : sums.in;
  }
  return claim;
}
