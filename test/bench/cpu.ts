/**
 * CPU time a request costs the signer, by call and for a recorded day of three nodes: with each backend of secp256k1,
 * beside lightning_hsmd itself where CLN names a built Core Lightning.
 */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadRecordings, type RecordedSession } from '../../cli/recordings.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import type { Secret } from '../../proto/secret.ts';
import { Signer } from '../../signer/dispatch.ts';
import { openHsmSecret } from '../../signer/keys/hsm_secret.ts';
import { backend, backends } from '../../signer/node/backends.ts';
import { noPolicy } from '../../signer/policy/policy.ts';
import { Costs, nameOf } from './cost.ts';
import { realCosts } from './real_hsmd.ts';

const everyday = fileURLToPath(new URL('../../../test/vectors/hsmd/traces/everyday', import.meta.url));
const { CLN } = process.env;

/** Microseconds a request of the whole mix that each backend is to stay below. */
const targets: { readonly [backend: string]: number } = { native: 160, tiny: 300 };

export interface CpuOptions {
  /** Seconds for each backend. */
  readonly seconds: number;
  readonly backends: readonly string[];
}

/** Prints the table. */
export async function cpu({ seconds, backends: wanted }: CpuOptions): Promise<void> {
  const sessions = await loadRecordings([everyday]);
  const counts = new Map<string, number>();
  for (const name of sessions.flatMap(({ requests }) => requests.map(nameOf)))
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  const columns = new Map<string, Costs>();
  for (const name of wanted.filter((known) => backends[known]?.(systemEntropy) !== undefined))
    columns.set(name, await signerCosts(name, sessions, seconds));
  const program = `${CLN}/lightningd/lightning_hsmd`;
  const real = existsSync(program) ? await realCosts(program, sessions, seconds / 60) : undefined;
  print(counts, columns, real);
}

/** Microseconds of CPU this process has used, with all its threads. */
function cpuNow(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/**
 * Plays the sessions over and over, each to a new signer: what it remembers of keys and points is what it would in that
 * life. The first rounds, a third of the time, are for the compiler and do not count.
 */
async function signerCosts(name: string, sessions: readonly RecordedSession[], seconds: number): Promise<Costs> {
  const costs = new Costs();
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000 / seconds;
  while (elapsed() < 1 / 3) for (const session of sessions) await play(name, session, new Costs());
  while (elapsed() < 1) for (const session of sessions) await play(name, session, costs);
  return costs;
}

async function play(name: string, { secretFile, requests }: RecordedSession, costs: Costs): Promise<void> {
  const secret = { open: (passphrase: Secret | undefined) => openHsmSecret(secretFile, passphrase) };
  const signer = new Signer({ secp: backend(name, systemEntropy), secret, policy: noPolicy });
  for (const request of requests) {
    const asked = nameOf(request);
    const before = cpuNow();
    await signer.handle(request.client, request.bytes);
    if (asked !== undefined) costs.add(asked, cpuNow() - before);
  }
}

function print(
  counts: ReadonlyMap<string, number>,
  columns: ReadonlyMap<string, Costs>,
  real: Costs | undefined,
): void {
  const row = (name: string, count: string, of: (costs: Costs) => number | undefined) => {
    const theirs = real && of(real);
    const cells = [...columns.values()].map((costs) => {
      const ours = of(costs);
      const ratio = ours === undefined || theirs === undefined ? '' : `${(ours / theirs).toFixed(2)}x`;
      return `${(ours?.toFixed(0) ?? '-').padStart(8)}${ratio.padStart(8)}`;
    });
    console.log(`${name.padEnd(32)}${count.padStart(6)}${cells.join('')}${(theirs?.toFixed(0) ?? '-').padStart(16)}`);
  };
  console.log('CPU time a request, in microseconds, over the trace `everyday`; the ratio is to lightning_hsmd');
  const heads = [...columns.keys()].map((name) => `${name.padStart(8)}${'ratio'.padStart(8)}`).join('');
  console.log(`${'request'.padEnd(32)}${'count'.padStart(6)}${heads}${'lightning_hsmd'.padStart(16)}`);
  for (const [name, count] of [...counts].sort(([, a], [, b]) => b - a))
    row(name, String(count), (costs) => costs.of(name));
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  row('all, as often as recorded', String(total), (costs) => costs.mix(counts));
  for (const [name, costs] of columns) {
    const target = targets[name];
    if (target !== undefined) console.log(`target ${name}: at most ${target}, ${verdict(costs.mix(counts), target)}`);
  }
  if (real === undefined) console.log('lightning_hsmd is not measured: set CLN to a built Core Lightning tree');
}

function verdict(value: number, target: number): string {
  return value <= target ? 'met' : 'missed';
}
