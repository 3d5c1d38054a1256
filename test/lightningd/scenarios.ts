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
  /** The scenarios to play; none: all there are. */
  readonly names: readonly string[];
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
const detailLines = 12;

/** Plays the scenarios; tells of each when it is over. Those asked for that never reported have failed. */
export async function playScenarios(
  { program, hsmd, directory, names }: ScenarioRun,
  onResult: (result: ScenarioResult) => void,
): Promise<readonly ScenarioResult[]> {
  const child = spawn('python3', ['-u', program, join(directory, 'traces'), ...names], {
    env: { ...process.env, HSMD_UNDER_TEST: hsmd, TMPDIR: directory, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'close');
  let printed: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => printed.push(text));
  const results: ScenarioResult[] = [];
  const report = (name: string, ok: boolean, seconds: number) => {
    const details = printed.join('').split('\n').slice(-detailLines).join('\n');
    printed = [];
    results.push({ name, ok, seconds, details });
    onResult({ name, ok, seconds, details });
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, outcome, seconds] = verdict.exec(line) ?? [];
    if (name !== undefined) report(name, outcome === 'ok', Number(seconds));
  }
  const [code] = await exit;
  const reported = new Set(results.map(({ name }) => name));
  for (const name of names) if (!reported.has(name)) report(name, false, 0);
  if (code !== 0 && results.every(({ ok }) => ok)) report(`the program, which ended with ${code},`, false, 0);
  return results;
}
