/**
 * Thieves who hold to no protocol: what a commitment of one side says need not agree with the other's, ever. Each takes
 * any HTLCs in or out, paid or failed, as long as it adds up. What is gone is counted from the transactions alone.
 */

import { toHex } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { feeBudget } from '../../../signer/policy/settings.ts';
import { TestChannel } from './channel.ts';
import type { Terms } from './terms.ts';
import { isRefused } from './two_stories.ts';
import type { World } from './world.ts';

const sides = ['local', 'remote'] as const;
type Side = (typeof sides)[number];

/** Nobody owns less beside HTLCs, msat: fees and reserves are never in question. */
const untouched = 60_000_000n;
/** HTLCs that stand somewhere, at most. */
const mostOpen = 6;

/** What one commitment says, and the HTLCs that left its side before it. */
interface Told {
  readonly terms: Terms;
  readonly left: readonly Htlc[];
}

function total(htlcs: readonly Htlc[], side: Htlc['side'], isIn: (htlc: Htlc) => boolean = () => true): bigint {
  return htlcs.reduce((sum, htlc) => (htlc.side === side && isIn(htlc) ? sum + htlc.amount : sum), 0n);
}

function greatest(amounts: readonly bigint[]): bigint {
  return amounts.reduce((a, b) => (a > b ? a : b));
}

/** What the thieves have of ours by this commitment, that can have been for these payments, msat. */
function goneBy({ terms, left }: Told, before: bigint, isIn: (htlc: Htlc) => boolean): bigint {
  const gone = before - terms.ours - total(terms.htlcs, 'local');
  const unread = gone - total(left, 'local', (htlc) => !isIn(htlc));
  // What came in may be said to have failed, and what went out for as much to have been paid.
  const least = -total(left, 'remote', isIn);
  return (unread > least ? unread : least) + total(terms.htlcs, 'local', isIn) - total(terms.htlcs, 'remote', isIn);
}

class Liar {
  readonly channel: TestChannel;
  /** Msat that are ours at first. */
  readonly before: bigint;
  /** HTLCs that may stand in either side's commitments, and how they end most often. */
  readonly htlcs = new Map<Htlc, 'paid' | 'failed' | undefined>();
  /** By each commitment that is not revoked. */
  readonly told: { readonly [S in Side]: Told[] };

  constructor(channel: TestChannel) {
    this.channel = channel;
    const terms = channel.updates.terms(channel.updates.signed.local);
    this.before = terms.ours;
    this.told = { local: [{ terms, left: [] }], remote: [{ terms, left: [] }] };
  }

  newest(side: Side): Told {
    const told = this.told[side].at(-1);
    if (told === undefined) throw new Error('no commitment');
    return told;
  }

  /** Whether it was accepted. */
  async sign(side: Side, told: Told): Promise<boolean> {
    const terms = () => told.terms;
    const asked = side === 'local' ? this.channel.signOurs({ terms }) : this.channel.signTheirs({ terms });
    if (await isRefused(asked)) return false;
    this.told[side].push(told);
    return true;
  }

  async revoke(side: Side): Promise<void> {
    if (side === 'local') await this.channel.weRevoke();
    else await this.channel.theyRevoke();
    this.told[side].shift();
  }
}

/** The commitment with an HTLC in it; undefined where whoever offers it owns too little. */
function withHtlc({ terms, left }: Told, htlc: Htlc): Told | undefined {
  const who = htlc.side === 'local' ? 'ours' : 'theirs';
  const rest = terms[who] - htlc.amount;
  return rest < untouched ? undefined : { terms: { ...terms, [who]: rest, htlcs: [...terms.htlcs, htlc] }, left };
}

function withEnd({ terms, left }: Told, htlc: Htlc, end: 'paid' | 'failed'): Told {
  const who = (htlc.side === 'local') === (end === 'paid') ? 'theirs' : 'ours';
  const htlcs = terms.htlcs.filter((each) => each !== htlc);
  return { terms: { ...terms, [who]: terms[who] + htlc.amount, htlcs }, left: [...left, htlc] };
}

export class Liars {
  readonly done: string[] = [];
  readonly #world: World;
  readonly #liars: readonly Liar[];
  readonly #pick: (limit: number) => number;
  readonly #hashes: readonly Uint8Array[];
  readonly #amounts: readonly bigint[];
  readonly #approved = new Map<string, bigint>();

  private constructor(
    world: World,
    liars: readonly Liar[],
    pick: (limit: number) => number,
    hashes: readonly Uint8Array[],
    amounts: readonly bigint[],
  ) {
    this.#world = world;
    this.#liars = liars;
    this.#pick = pick;
    this.#hashes = hashes;
    this.#amounts = amounts;
  }

  /** Payments with these hashes, of these amounts in msat; the first of them, up to two, are approved. */
  static async begin(
    world: World,
    pick: (limit: number) => number,
    hashes: readonly Uint8Array[],
    amounts: readonly bigint[],
  ): Promise<Liars> {
    const liars: Liar[] = [];
    const dust = { local: 354n, remote: 354n };
    for (const peer of [2, 3, 4].slice(0, 2 + pick(2)))
      liars.push(new Liar(await TestChannel.open(world, { peer, opener: 'them', push: 500_000n, dust })));
    const all = new Liars(world, liars, pick, hashes, amounts);
    for (const hash of hashes.slice(0, pick(3))) all.#approve(hash);
    if (pick(4) > 0) for (const hash of hashes.slice(0, 3)) await all.#route(hash);
    return all;
  }

  #oneOf<T>(list: readonly T[]): T {
    const item = list[this.#pick(list.length)];
    if (item === undefined) throw new Error('nothing to choose from');
    return item;
  }

  #approve(hash: Uint8Array): void {
    const msat = this.#oneOf(this.#amounts);
    this.#world.allowPayment(hash, msat);
    this.#approved.set(toHex(hash), msat + feeBudget(this.#world.settings, msat));
  }

  #offer(liar: Liar, side: Htlc['side'], paymentHash: Uint8Array, amount: bigint): Htlc {
    const htlc: Htlc = { side, amount, paymentHash, cltvExpiry: side === 'local' ? 500 : 600 };
    liar.htlcs.set(htlc, undefined);
    return htlc;
  }

  /** Parts of a payment that come in by the first channel and go out by another, as an honest node has them. */
  async #route(hash: Uint8Array): Promise<void> {
    const [from, to = from] = this.#liars;
    if (from === undefined || to === undefined) return;
    for (let part = this.#pick(2); part < 2; part++) {
      const amount = this.#oneOf(this.#amounts);
      const last = this.#pick(6) === 0 ? this.#liars.at(-1) : to;
      for (const [liar, side] of [[from, 'remote'] as const, [last ?? to, 'local'] as const]) {
        if (side === 'remote' && part === 0 && this.#approved.has(toHex(hash))) continue;
        const htlc = this.#offer(liar, side, hash, amount);
        for (const owner of sides) {
          const next = withHtlc(liar.newest(owner), htlc);
          if (next !== undefined && (await liar.sign(owner, next))) await liar.revoke(owner);
        }
      }
    }
  }

  /** A commitment that takes one HTLC in or lets one go, or gives the peer a little; undefined where it does not. */
  #lie(liar: Liar, told: Told, first: Told): Told | undefined {
    const choice = this.#pick(10);
    const { terms, left } = told;
    if (choice < 3) {
      const others = [...liar.htlcs.keys()].filter((htlc) => !terms.htlcs.includes(htlc) && !left.includes(htlc));
      return others.length === 0 ? undefined : withHtlc(told, this.#oneOf(others));
    }
    if (choice < 9) {
      // One that no commitment showed is none.
      const standing = terms.htlcs.filter((htlc) => first.terms.htlcs.includes(htlc));
      if (standing.length === 0) return undefined;
      const htlc = this.#oneOf(standing);
      const likely = this.#pick(5) < (htlc.side === 'local' ? 3 : 1) ? 'paid' : 'failed';
      const usual = liar.htlcs.get(htlc);
      if (usual === undefined) liar.htlcs.set(htlc, likely);
      return withEnd(told, htlc, this.#pick(4) > 0 ? (usual ?? likely) : likely);
    }
    if (this.#pick(8) > 0) return undefined;
    const taken = this.#oneOf([1n, 700n, 1000n, 1900n, 200_000n]);
    return { terms: { ...terms, ours: terms.ours - taken, theirs: terms.theirs + taken }, left };
  }

  async #sign(liar: Liar, side: Side): Promise<void> {
    const first = liar.newest(side);
    let told = first;
    for (let i = this.#pick(4); i < 4; i++) told = this.#lie(liar, told, first) ?? told;
    if (told === first || !(await liar.sign(side, told))) return;
    const { ours, htlcs } = told.terms;
    const list = htlcs.map((htlc) => `${htlc.side} ${htlc.amount} ${toHex(htlc.paymentHash).slice(0, 4)}`);
    this.done.push(`channel ${this.#liars.indexOf(liar)}, ${side}: ${ours} with ${list.join(' + ')}`);
  }

  /** Does something. */
  async step(): Promise<void> {
    if (this.#pick(40) === 0) await this.#world.restart();
    const liar = this.#oneOf(this.#liars);
    const gone = (htlc: Htlc) => sides.every((side) => liar.newest(side).left.includes(htlc));
    if ([...liar.htlcs.keys()].filter((htlc) => !gone(htlc)).length < mostOpen)
      this.#offer(liar, this.#oneOf(sides), this.#oneOf(this.#hashes), this.#oneOf(this.#amounts));
    const side = this.#oneOf(sides);
    if (liar.told[side].length > 1) await liar.revoke(side);
    else await this.#sign(liar, side);
  }

  /** The most that the thieves can have of what is ours, by any set of payments; msat. */
  lost(): bigint {
    let sets: readonly ReadonlySet<string>[] = [new Set()];
    for (const hash of this.#hashes.map(toHex)) sets = [...sets, ...sets.map((each) => new Set(each).add(hash))];
    return greatest(
      sets.map((set) => {
        const isIn = (htlc: Htlc) => set.has(toHex(htlc.paymentHash));
        const gone = this.#liars.map(({ told, before }) =>
          greatest([...told.local, ...told.remote].map((each) => goneBy(each, before, isIn))),
        );
        const approved = [...set].map((hash) => this.#approved.get(hash) ?? 0n);
        return gone.reduce((a, b) => a + b, 0n) - approved.reduce((a, b) => a + b, 0n);
      }),
    );
  }
}
