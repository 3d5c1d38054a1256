/**
 * The plain model of what is ours: thieves choose which transaction of each channel confirms, among those that the signer
 * accepted, and which preimages come out. What is gone then is counted from the transactions themselves.
 *
 * All that left a channel, and all that may still, has to be for payments for which as much comes in, came in or was
 * approved. Which HTLCs of those that left were paid nobody can tell: the host and the peer say what they like of it, and
 * that there was a preimage. So what is gone is lost if no reading of it accounts for it. By the theorem of max-flow and
 * min-cut one does if for every set of payments no more is gone, that others cannot have been, than comes in for them.
 * What was paid to us and for nothing that went out, income, counts as nobody's.
 */

import { toHex } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { Side } from '../../../signer/lightning/channel.ts';
import { anchorValue, commitmentFee } from '../../../signer/lightning/fees.ts';
import type { Commitment } from '../../../signer/lightning/recognise.ts';
import type { TestChannel } from './channel.ts';

const sides = ['local', 'remote'] as const;

/** Msat by payment hash (hex). */
type Sums = Map<string, bigint>;

/** How one channel may end. */
interface End {
  /** Msat that are gone, HTLCs in flight aside; negative where more is here than was. */
  readonly gone: bigint;
  /** HTLCs that we offered and that left: what is gone can have been these. */
  readonly left: Sums;
  /** HTLCs offered to us that left: what more is here can have come by these. */
  readonly come: Sums;
  readonly out: Sums;
  readonly in: Sums;
}

function plus(sums: Sums, { paymentHash, amount }: Htlc): void {
  const hash = toHex(paymentHash);
  sums.set(hash, (sums.get(hash) ?? 0n) + amount);
}

function sumsOf(htlcs: Iterable<Htlc>): Sums {
  const sums: Sums = new Map();
  for (const htlc of htlcs) plus(sums, htlc);
  return sums;
}

function total(sums: Sums, isIn: (hash: string) => boolean = () => true): bigint {
  let sum = 0n;
  for (const [hash, msat] of sums) if (isIn(hash)) sum += msat;
  return sum;
}

function greatest(amounts: readonly bigint[]): bigint {
  return amounts.reduce((a, b) => (a > b ? a : b));
}

function subsetsOf(items: readonly string[]): readonly ReadonlySet<string>[] {
  let all: readonly ReadonlySet<string>[] = [new Set()];
  for (const item of items) all = [...all, ...all.map((each) => new Set(each).add(item))];
  return all;
}

/** Msat of a commitment besides HTLCs. What it leaves out beside a fee is lost, and what of the fee is in an output too. */
function oursIn({ channel, funding, owner, toOwner, toOther, feerate, htlcs }: Commitment): bigint {
  const output = owner === 'local' ? toOwner : toOther;
  if (output === undefined) return 0n;
  const inHtlcs = htlcs.reduce((sum, { amount }) => sum + amount / 1000n, 0n);
  const fee = funding.value - (toOwner ?? 0n) - (toOther ?? 0n) - inHtlcs;
  const due = commitmentFee(feerate, channel.anchors, htlcs.length) + (channel.anchors ? 2n * anchorValue : 0n);
  const paid = due < fee ? due : fee;
  return (output + (channel.opener === 'local' ? paid : 0n)) * 1000n;
}

/** HTLCs that a side offered, as far as a commitment reaches, without those that stand in it. */
function leftOf(
  { updates: { logs }, reaches }: TestChannel,
  commitment: Commitment,
  stood: readonly Htlc[],
  side: Side,
) {
  const added = logs[side].slice(0, reaches.get(commitment)?.[side] ?? 0);
  return sumsOf(added.flatMap((each) => (each.kind === 'add' && !stood.includes(each.htlc) ? [each.htlc] : [])));
}

export class Claims {
  /** What is ours of each channel before any payment, msat; what left it for our wallet aside. */
  readonly #ours: Map<TestChannel, bigint>;
  readonly #approved: Sums = new Map();
  readonly #closes = new Map<TestChannel, End[]>();
  readonly #published = new Map<Commitment, TestChannel>();
  /** The commitment that a channel ended with, and the HTLCs of it that came back. */
  readonly #mined = new Map<TestChannel, { readonly commitment: Commitment; readonly returned: ReadonlySet<Htlc> }>();

  constructor(channels: readonly TestChannel[]) {
    this.#ours = new Map(channels.map((each) => [each, each.updates.terms({ local: 0, remote: 0 }).ours]));
  }

  /** The owner agrees that a payment costs so much, msat. */
  approved(hash: Uint8Array, msat: bigint): void {
    plus(this.#approved, { side: 'local', paymentHash: hash, amount: msat, cltvExpiry: 0 });
  }

  /** Msat left a channel for our wallet. */
  withdrawn(channel: TestChannel, msat: bigint): void {
    this.#ours.set(channel, (this.#ours.get(channel) ?? 0n) - msat);
  }

  /** A mutual close was signed that pays us `ours` msat, our fee included. */
  closed(channel: TestChannel, ours: bigint): void {
    const [newest] = channel.commitments.local.slice(-1);
    if (newest === undefined) return;
    this.#closes.set(channel, [...(this.#closes.get(channel) ?? []), this.#end(channel, newest, ours, { stood: [] })]);
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

  /** Transactions of an earlier funding no longer confirm. */
  locked(channel: TestChannel): void {
    this.#closes.delete(channel);
    for (const [commitment, of] of this.#published) if (of === channel) this.#published.delete(commitment);
  }

  /** The end with `ours` msat for us after this commitment's updates. Of its HTLCs some came back, and are in that. */
  #end(
    channel: TestChannel,
    commitment: Commitment,
    ours: bigint,
    { stood = commitment.htlcs, returned = new Set() }: { stood?: readonly Htlc[]; returned?: ReadonlySet<Htlc> } = {},
  ): End {
    const inFlight = stood.filter((htlc) => !returned.has(htlc));
    const out = sumsOf(inFlight.filter(({ side }) => side === 'local'));
    return {
      gone: (this.#ours.get(channel) ?? 0n) - ours - total(out),
      left: leftOf(channel, commitment, stood, 'local'),
      come: leftOf(channel, commitment, stood, 'remote'),
      out,
      in: sumsOf(inFlight.filter(({ side }) => side === 'remote')),
    };
  }

  #ends(channel: TestChannel): readonly End[] {
    const mined = this.#mined.get(channel);
    if (mined !== undefined) {
      const { commitment, returned } = mined;
      return [this.#end(channel, commitment, oursIn(commitment) + total(sumsOf(returned)), { returned })];
    }
    const live = sides.flatMap((side) =>
      channel.commitments[side].filter(({ number }) => number > channel.revoked[side]),
    );
    const punished = [...this.#published].flatMap(([each, of]) =>
      of === channel && each.number <= channel.revoked.local ? [each] : [],
    );
    return [
      ...live.map((each) => this.#end(channel, each, oursIn(each))),
      ...(this.#closes.get(channel) ?? []),
      ...punished.map((each) => this.#end(channel, each, 0n, { stood: [] })),
    ];
  }

  /** The most that thieves can have, msat, of what is ours. */
  lost(): bigint {
    const channels = [...this.#ours.keys()].map((channel) => this.#ends(channel));
    const hashes = new Set(channels.flat().flatMap(({ left, out }) => [...left.keys(), ...out.keys()]));
    return greatest(
      subsetsOf([...hashes]).map((some) => {
        const isIn = (hash: string) => some.has(hash);
        const ends = channels.map((each) =>
          greatest(
            each.map((end) => {
              const unread = end.gone - total(end.left, (hash) => !some.has(hash));
              return greatest([unread, -total(end.come, isIn)]) + total(end.out, isIn) - total(end.in, isIn);
            }),
          ),
        );
        return ends.reduce((a, b) => a + b, 0n) - total(this.#approved, isIn);
      }),
    );
  }
}
