/**
 * BOLT 2's state machine of one channel, as both honest sides follow it: updates wait in the log of the side that made
 * them, and a commitment is how far into the two logs it reaches.
 */

import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { Side } from '../../../signer/lightning/channel.ts';
import type { Terms } from './terms.ts';

export type Update =
  | { readonly kind: 'add' | 'fulfil' | 'fail'; readonly htlc: Htlc }
  | { readonly kind: 'fee'; readonly feerate: number };

/** How many updates of each side a commitment has. */
export type Reach = { readonly [S in Side]: number };

function apply(terms: Terms, update: Update): Terms {
  if (update.kind === 'fee') return { ...terms, feerate: update.feerate };
  const { htlc, kind } = update;
  const add = (who: 'ours' | 'theirs', amount: bigint): Terms => ({ ...terms, [who]: terms[who] + amount });
  const [offerer, receiver] = htlc.side === 'local' ? (['ours', 'theirs'] as const) : (['theirs', 'ours'] as const);
  if (kind === 'add') return { ...add(offerer, -htlc.amount), htlcs: [...terms.htlcs, htlc] };
  const left = terms.htlcs.filter((each) => each !== htlc);
  return { ...add(kind === 'fulfil' ? receiver : offerer, htlc.amount), htlcs: left };
}

export class Updates {
  #start: Terms;
  readonly logs: { readonly [S in Side]: Update[] } = { local: [], remote: [] };
  /** What the newest commitment of each side has, and what the newest whose predecessor is revoked has. */
  signed: { readonly [S in Side]: Reach } = { local: { local: 0, remote: 0 }, remote: { local: 0, remote: 0 } };
  revokedFor: { readonly [S in Side]: Reach } = this.signed;

  constructor(start: Terms) {
    this.#start = start;
  }

  /** A splice moves both sides' parts, msat. */
  shift(ours: bigint, theirs: bigint): void {
    this.#start = { ...this.#start, ours: this.#start.ours + ours, theirs: this.#start.theirs + theirs };
  }

  terms({ local, remote }: Reach): Terms {
    // An update may depend on one of the other side that came before it, never on one that comes after.
    const added = (side: Side, count: number) => this.logs[side].slice(0, count);
    const all = [...added('local', local), ...added('remote', remote)];
    const adds = all.filter(({ kind }) => kind === 'add');
    return [...adds, ...all.filter(({ kind }) => kind !== 'add')].reduce(apply, this.#start);
  }

  /** What the next commitment of a side has: all of the other's updates, and its own as far as the other knows them. */
  next(owner: Side): Reach {
    const { local, remote } = this.logs;
    return owner === 'remote'
      ? { local: local.length, remote: this.revokedFor.local.remote }
      : { remote: remote.length, local: this.revokedFor.remote.local };
  }

  isNew(owner: Side): boolean {
    const [next, now] = [this.next(owner), this.signed[owner]];
    return next.local > now.local || next.remote > now.remote;
  }

  sign(owner: Side): void {
    this.signed = { ...this.signed, [owner]: this.next(owner) };
  }

  revoke(owner: Side): void {
    this.revokedFor = { ...this.revokedFor, [owner]: this.signed[owner] };
  }

  /** Whether a side's older commitment is not revoked yet. */
  isPending(owner: Side): boolean {
    return this.signed[owner] !== this.revokedFor[owner];
  }

  /** Whether any HTLC stands in a newest commitment, a trimmed one too. */
  get hasHtlcs(): boolean {
    return this.terms(this.signed.local).htlcs.length > 0 || this.terms(this.signed.remote).htlcs.length > 0;
  }

  /** HTLCs that are in both sides' only commitments, without an update that takes them away. */
  get settleable(): readonly Htlc[] {
    const gone = new Set(
      [...this.logs.local, ...this.logs.remote].map((each) =>
        each.kind === 'fulfil' || each.kind === 'fail' ? each.htlc : undefined,
      ),
    );
    const committed = (side: Side) =>
      this.logs[side].slice(0, Math.min(this.revokedFor.local[side], this.revokedFor.remote[side]));
    return [...committed('local'), ...committed('remote')].flatMap((each) =>
      each.kind === 'add' && !gone.has(each.htlc) ? [each.htlc] : [],
    );
  }
}
