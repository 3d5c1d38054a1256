/**
 * `npm run test:lightningd [-- WAY… SCENARIO…]`: real lightningd nodes, with Keyhold as their hsmd, play scenarios on
 * regtest. Each runs inline (bin/keyhold-hsmd-inline) and over a bridge (host and signer, bridge.ts); naming a way or
 * some scenarios leaves out the others; `hardship` plays the bad input of hardship.ts instead, `owned` what needs an owner
 * (owned.ts). Needs CLN (a built Core Lightning), BITCOIN (a folder with bitcoind and
 * bitcoin-cli) and the scenarios: KEYHOLD_SCENARIOS, or shared/tools/scenarios.py beside this checkout.
 */

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { playHardships } from './hardship.ts';
import { playStories } from './owned.ts';
import { playScenarios, type ScenarioResult, scenariosOf } from './scenarios.ts';

const root = new URL('../../../', import.meta.url);
const inCheckout = (path: string) => fileURLToPath(new URL(path, root));
const { CLN, BITCOIN, KEYHOLD_POLICY, KEYHOLD_SCENARIOS = inCheckout('../shared/tools/scenarios.py') } = process.env;

const ways = { inline: inCheckout('bin/keyhold-hsmd-inline'), bridge: inCheckout('test/lightningd/bridge-hsmd') };

/** Scenarios in which l1 has a commitment signed that it revoked: on purpose, or told to close amid a payment. */
const cheats: ReadonlySet<string> = new Set(['penalty', 'penalty_htlcs', 'splice_busy']);
const cheat = 'l1';

/** What the run needs and does not have, each with what to do about it. */
function missing(): readonly string[] {
  const needed: readonly (readonly [path: string, advice: string])[] = [
    [`${CLN}/lightningd/lightningd`, 'set CLN to a built Core Lightning tree'],
    [`${BITCOIN}/bitcoind`, 'set BITCOIN to a folder with bitcoind and bitcoin-cli'],
    [`${BITCOIN}/bitcoin-cli`, 'set BITCOIN to a folder with bitcoind and bitcoin-cli'],
    [KEYHOLD_SCENARIOS, 'set KEYHOLD_SCENARIOS to the program that plays the scenarios'],
    [inCheckout('bin/keyhold-hsmd'), 'build the stand-in with a C compiler: npm run build'],
  ];
  return needed.filter(([path]) => !existsSync(path)).map(([path, advice]) => `no ${path}: ${advice}`);
}

async function run(args: readonly string[]): Promise<number> {
  const absent = missing();
  if (absent.length > 0) {
    console.log(`${absent.join('\n')}\n0 passed, 0 failed, all skipped`);
    return 0;
  }
  const isWay = (name: string): name is keyof typeof ways => name in ways;
  const chosen = args.some(isWay) ? args.filter(isWay) : (['inline', 'bridge'] as const);
  const asked = args.filter((name) => !isWay(name));
  const names = asked.length > 0 ? asked : scenariosOf(await readFile(KEYHOLD_SCENARIOS, 'utf8'));
  let passed = 0;
  let failed = 0;
  for (const way of chosen) {
    const results = await playBoth(way, names);
    const bad = results.filter(({ ok }) => !ok).length;
    passed += results.length - bad;
    failed += bad;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** `hardship [WORD…]`, `owned [WORD…]`: all that is in that file, or what has one of the words in its name. */
async function playHere(play: typeof playHardships, words: readonly string[]): Promise<number> {
  const absent = missing().filter((line) => !line.includes(KEYHOLD_SCENARIOS));
  if (absent.length > 0) {
    console.log(`${absent.join('\n')}\n0 passed, 0 failed, all skipped`);
    return 0;
  }
  return (await play(words)) === 0 ? 0 : 1;
}

/** Plays with the policy signers have by default, or KEYHOLD_POLICY; only a node that cheats has none. */
async function playBoth(way: keyof typeof ways, names: readonly string[]): Promise<readonly ScenarioResult[]> {
  const honest = { hsmd: ways[way], names: names.filter((name) => !cheats.has(name)), env: {} };
  const cheating = {
    hsmd: inCheckout('test/lightningd/cheat-hsmd'),
    names: names.filter((name) => cheats.has(name)),
    env: { KEYHOLD_HSMD: ways[way], KEYHOLD_CHEAT: cheat },
  };
  // A short path: the sockets inside must stay below 108 bytes.
  const directory = await mkdtemp(join(tmpdir(), 'keyhold-'));
  const results: ScenarioResult[] = [];
  for (const chosen of [honest, cheating]) {
    if (chosen.names.length === 0) continue;
    const run = { ...chosen, program: KEYHOLD_SCENARIOS, directory, policy: KEYHOLD_POLICY };
    const played = await playScenarios(run, ({ name, ok, seconds, details }) => {
      console.log(`${way} ${name}: ${ok ? 'ok' : 'FAILED'}, ${seconds} s${details === '' ? '' : `\n${details}`}`);
    });
    results.push(...played);
  }
  if (results.every(({ ok }) => ok)) await rm(directory, { recursive: true, force: true });
  else console.log(`logs and databases of the nodes: ${directory}`);
  return results;
}

const [first, ...rest] = process.argv.slice(2);
const here = new Map([
  ['hardship', playHardships],
  ['owned', playStories],
]).get(first ?? '');
process.exitCode = here === undefined ? await run(process.argv.slice(2)) : await playHere(here, rest);
