/** Runs the program that plays scenarios, as a child, and reads from what it prints how each of them went. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface ScenarioRun {
  readonly program: string;
  /** What lightningd starts as its hsmd. */
  readonly hsmd: string;
  /** Everything is written in here. */
  readonly directory: string;
  /** The scenarios to play. */
  readonly names: readonly string[];
  /** The policy of the nodes' signers: a file, `none`, or undefined for the one they have by default. */
  readonly policy: string | undefined;
  /** What else the hsmd finds in its environment. */
  readonly env: Readonly<Record<string, string>>;
}

export interface ScenarioResult {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** What it printed when it failed: the last lines of it. */
  readonly details: string;
}

/** `name: ok 12s`, printed at the end of each scenario. */
const verdict = /^(\w+): (ok|FAILED) (\d+)s$/;
const detailLines = 20;

/** The scenarios a program has: the functions in its list ALL. */
export function scenariosOf(source: string): readonly string[] {
  const [, list] = /^ALL = \[([^\]]*)\]/m.exec(source) ?? [];
  if (list === undefined) throw new Error('expected a line ALL = [...] in the program that plays the scenarios');
  return list.match(/\w+/g) ?? [];
}

/** Plays the scenarios; tells of each when it is over. Those asked for that never reported have failed. */
export async function playScenarios(
  { program, hsmd, directory, names, policy, env }: ScenarioRun,
  onResult: (result: ScenarioResult) => void,
): Promise<readonly ScenarioResult[]> {
  const child = spawn('python3', ['-u', program, join(directory, 'traces'), ...names], {
    env: {
      ...process.env,
      ...env,
      HSMD_UNDER_TEST: hsmd,
      TMPDIR: directory,
      PYTHONDONTWRITEBYTECODE: '1',
      // Some nodes come with an hsm_secret, but none with channels.
      KEYHOLD_NEW_STATE: '1',
      ...(policy !== undefined && { KEYHOLD_POLICY: policy }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'close');
  const results: ScenarioResult[] = [];
  let failed: { readonly name: string; readonly seconds: number } | undefined;
  let printed: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => printed.push(text));
  const report = (result: ScenarioResult) => {
    results.push(result);
    onResult(result);
  };
  /** Why a scenario failed is printed behind its verdict, so it is reported with the next. */
  const reportFailed = () => {
    const details = printed.join('').trimEnd().split('\n').slice(-detailLines).join('\n');
    printed = [];
    if (failed !== undefined) report({ ...failed, ok: false, details });
    failed = undefined;
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, outcome, seconds] = verdict.exec(line) ?? [];
    if (name === undefined) continue;
    reportFailed();
    if (outcome === 'ok') report({ name, ok: true, seconds: Number(seconds), details: '' });
    else failed = { name, seconds: Number(seconds) };
  }
  const [code] = await exit;
  reportFailed();
  const reported = new Set(results.map(({ name }) => name));
  for (const name of names)
    if (!reported.has(name))
      report({ name, ok: false, seconds: 0, details: 'it was not played: is there such a one?' });
  if (code !== 0 && results.every(({ ok }) => ok))
    report({ name: program, ok: false, seconds: 0, details: `it ended with ${code}` });
  return results;
}
