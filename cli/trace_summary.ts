/** Traced requests by kind: how often each was answered how, and how long the node waited for them together. */

import { Answered, type TracedRequest } from '../proto/gen/keyhold/v1/host_pb.ts';
import { answered, milliseconds } from './trace_lines.ts';

interface Kind {
  readonly counts: Map<Answered, number>;
  waitedUs: bigint;
  longestUs: bigint;
  heldUs: bigint;
}

/** Ways that have a column of their own; the others stand together, as what went wrong. */
const columns = [Answered.ASKED, Answered.AHEAD, Answered.KNOWN, Answered.ACKNOWLEDGED, Answered.HOST] as const;
const early: ReadonlySet<Answered> = new Set(columns.slice(1));

export class TraceSummary {
  readonly #kinds = new Map<string, Kind>();
  #missed = 0n;

  add(requests: readonly TracedRequest[], missed: bigint): void {
    this.#missed += missed;
    for (const { call, answered: how, waitedUs, heldUs } of requests) {
      const name = call === '' ? 'no request' : call;
      const kind = this.#kinds.get(name) ?? { counts: new Map(), waitedUs: 0n, longestUs: 0n, heldUs: 0n };
      this.#kinds.set(name, kind);
      kind.counts.set(how, (kind.counts.get(how) ?? 0) + 1);
      kind.waitedUs += waitedUs;
      if (waitedUs > kind.longestUs) kind.longestUs = waitedUs;
      if (!early.has(how)) kind.heldUs += heldUs;
    }
  }

  get isEmpty(): boolean {
    return this.#kinds.size === 0;
  }

  /** Whether the node had to wait for this one's answer. */
  waits({ answered: how }: TracedRequest): boolean {
    return !early.has(how);
  }

  /** A table for people: what cost most first. */
  text(): string {
    const rows = this.#byWait().map(([name, kind]) => rowOf(name, kind));
    if (rows.length === 0) return 'nothing was asked';
    const total = rowOf('all', this.#total());
    const heads = ['', ...columns.map((column) => answered(column)), 'no', 'ms in all', 'longest', 'held'];
    const table = [heads, ...rows, total];
    const widths = heads.map((_, at) => Math.max(...table.map((row) => row[at]?.length ?? 0)));
    const lines = table.map((row) =>
      row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
    );
    const missed = this.#missed > 0n ? [`${this.#missed} more were missed: this reader was too slow`] : [];
    return ['', ...lines, ...missed].join('\n');
  }

  /** The same for programs. */
  json() {
    const plain = (name: string, { counts, waitedUs, longestUs, heldUs }: Kind) => ({
      call: name,
      ...Object.fromEntries([...counts].map(([how, count]) => [answered(how), count])),
      waited_ms: milliseconds(waitedUs),
      longest_ms: milliseconds(longestUs),
      held_ms: milliseconds(heldUs),
    });
    return { summary: this.#byWait().map(([name, kind]) => plain(name, kind)), missed: Number(this.#missed) };
  }

  #byWait(): readonly (readonly [string, Kind])[] {
    return [...this.#kinds].sort(([, a], [, b]) => Number(b.waitedUs - a.waitedUs));
  }

  #total(): Kind {
    const total: Kind = { counts: new Map(), waitedUs: 0n, longestUs: 0n, heldUs: 0n };
    for (const { counts, waitedUs, longestUs, heldUs } of this.#kinds.values()) {
      for (const [how, count] of counts) total.counts.set(how, (total.counts.get(how) ?? 0) + count);
      total.waitedUs += waitedUs;
      total.heldUs += heldUs;
      if (longestUs > total.longestUs) total.longestUs = longestUs;
    }
    return total;
  }
}

function rowOf(name: string, { counts, waitedUs, longestUs, heldUs }: Kind): readonly string[] {
  const times = (count: number) => (count === 0 ? '' : String(count));
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const shown = columns.map((column) => counts.get(column) ?? 0);
  const others = all - shown.reduce((sum, count) => sum + count, 0);
  const durations = [waitedUs, longestUs, heldUs].map((us) => milliseconds(us).toFixed(1));
  return [name, ...shown.map(times), times(others), ...durations];
}
