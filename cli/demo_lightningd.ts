/**
 * The demo with real nodes on regtest: node 1's keys are behind host and signer, node 2 has keyhold's inline stand-in.
 * Only node 1's requests are shown.
 */

import { join } from 'node:path';
import { systemEntropy } from '../proto/entropy.ts';
import { Secret } from '../proto/secret.ts';
import { newHsmSecret } from '../signer/keys/hsm_secret.ts';
import { bin } from './bridge_processes.ts';
import { type DemoBridge, openDemoBridge, temporaryFolder } from './demo_bridge.ts';
import type { Exchange } from './demo_exchange.ts';
import { legend, type Screen } from './demo_screen.ts';
import { openShadow } from './demo_shadow.ts';
import { openTap, type Passed } from './demo_tap.ts';
import { Bitcoind } from './regtest_bitcoind.ts';
import { Lightningd } from './regtest_lightningd.ts';
import { findPrograms, type RegtestPrograms } from './regtest_programs.ts';

/** Amounts in satoshi. */
const amounts = { wallet: 10_000_000, channel: 1_000_000, splice: 200_000, there: 100_000, back: 30_000 } as const;
/** Of the mnemonic's entropy, in bytes. */
const seedLength = 16;
const msatPerSat = 1000;

const inWords = (sat: number) => `${sat.toLocaleString('en')} sat`;

interface Pair {
  readonly one: Lightningd;
  readonly two: Lightningd;
}

async function payBothWays({ one, two }: Pair, screen: Screen): Promise<void> {
  screen.heading(`node 1 pays ${inWords(amounts.there)} to node 2`);
  await one.pay(two, amounts.there * msatPerSat, 'there');
  screen.heading(`node 2 pays ${inWords(amounts.back)} to node 1`);
  await two.pay(one, amounts.back * msatPerSat, 'back');
}

/** A channel's life. */
async function story(pair: Pair, bridge: DemoBridge, screen: Screen): Promise<void> {
  const { one, two } = pair;
  screen.heading(`node 1 gets ${inWords(amounts.wallet)} on chain`);
  await one.fund(amounts.wallet);
  screen.heading(`node 1 opens a channel of ${inWords(amounts.channel)} to node 2`);
  await one.open(two, amounts.channel);
  await payBothWays(pair, screen);
  screen.heading('keyhold status, meanwhile');
  screen.block(await bridge.status());
  screen.heading(`node 1 splices ${inWords(amounts.splice)} into the channel`);
  await one.spliceIn(two, amounts.splice);
  await payBothWays(pair, screen);
  screen.heading('node 1 closes the channel, node 2 agrees');
  await one.close(two);
}

/** Puts what passed to the real hsmd too, one after the other, and shows it. */
function comparison(program: string | undefined, directory: string, screen: Screen, signal: AbortSignal) {
  const shadow = openShadow(program, directory);
  const compared: Exchange[] = [];
  let last: Promise<void> = Promise.resolve();
  const compare = async (passed: Passed) => {
    const exchange = { ...passed, expected: await shadow.expect(passed) };
    if (signal.aborted) return; // the shadow may have been interrupted too
    compared.push(exchange);
    screen.exchange(exchange);
  };
  return {
    onPassed: (passed: Passed): void => {
      last = last.then(() => compare(passed));
      last.catch(() => {}); // `finished` tells
    },
    /** Everything, once the last is compared. */
    async finished(): Promise<readonly Exchange[]> {
      await last;
      signal.throwIfAborted();
      return compared;
    },
    [Symbol.asyncDispose]: () => shadow[Symbol.asyncDispose](),
  };
}

async function startNodes(
  programs: RegtestPrograms,
  bitcoind: Bitcoind,
  folder: string,
  env: Readonly<Record<string, string>>,
) {
  const node = (name: string, hsmd: string) => ({
    name,
    programs,
    bitcoind,
    hsmd: bin(hsmd),
    directory: join(folder, name),
  });
  const started = await Promise.allSettled([
    Lightningd.start({ ...node('node-1', 'keyhold-hsmd'), env }),
    Lightningd.start(node('node-2', 'keyhold-hsmd-inline')),
  ]);
  const nodes = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const end = async () => {
    await Promise.all(nodes.map((one) => one[Symbol.asyncDispose]()));
  };
  const [one, two] = nodes;
  if (one !== undefined && two !== undefined) return { one, two, [Symbol.asyncDispose]: end };
  await end();
  throw started.find((failed) => failed.status === 'rejected')?.reason;
}

/** Runs it; resolves to everything that passed. @throws UsageError where a program is missing */
export async function lightningdDemo(screen: Screen, stop: AbortSignal): Promise<readonly Exchange[]> {
  const programs = await findPrograms(process.env);
  await using folder = await temporaryFolder();
  screen.heading('keyhold host and keyhold signer start, with a new secret at the signer');
  const secret = newHsmSecret(new Secret(systemEntropy(seedLength)), undefined);
  await using bridge = await openDemoBridge(folder.path, secret, stop);
  const signal = AbortSignal.any([stop, bridge.ended]);
  await using compared = comparison(programs.hsmd, bridge.keys, screen, signal);
  screen.block(legend);
  const tap = join(folder.path, 'tap.sock');
  await using _tap = await openTap(tap, bridge.socket, compared.onPassed);
  screen.heading(
    `bitcoind and two lightningd ${programs.version} start: node 1 with its keys at the signer, node 2 inline`,
  );
  await using bitcoind = await Bitcoind.start(programs, join(folder.path, 'bitcoind'), signal);
  {
    await using nodes = await startNodes(programs, bitcoind, folder.path, bridge.environment(tap, programs.version));
    await story(nodes, bridge, screen);
    screen.heading('the nodes stop');
  }
  return compared.finished();
}
