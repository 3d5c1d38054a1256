/**
 * What a demo shows while requests pass: on a terminal a line for each, elsewhere one for each run of requests by the
 * same client, so that a log stays readable.
 */

import { requestName } from '../proto/hsmd/describe.ts';
import { clientLabel, type Exchange, isEqual } from './demo_exchange.ts';

/** Where to: lines, and whether a person watches them come. */
export interface Output {
  readonly isTTY: boolean;
  write(text: string): void;
}

export interface Screen {
  /** What happens now. */
  heading(text: string): void;
  exchange(passed: Exchange): void;
  /** Lines as they are. */
  block(text: string): void;
}

const numberWidth = 5;
const clientWidth = 12;
const nameWidth = 27;
/** How long a line for several requests gets, in characters. */
const runWidth = 100;

const colors = { equal: '\x1b[32m', different: '\x1b[1;31m', unknown: '\x1b[2m', heading: '\x1b[1m', end: '\x1b[0m' };

function markOf(equal: boolean | undefined): { readonly sign: string; readonly color: string } {
  if (equal === undefined) return { sign: '·', color: colors.unknown };
  return equal ? { sign: '=', color: colors.equal } : { sign: '≠ DIFFERENT', color: colors.different };
}

/** What the signs behind each request mean. */
export const legend = '= equals the real lightning_hsmd’s bytes, ≠ differs, · not compared';

export function screen(output: Output, colored: boolean): Screen {
  return output.isTTY ? lineByLine(output, colored) : runByRun(output);
}

function lineByLine(output: Output, colored: boolean): Screen {
  const paint = (text: string, color: string) => (colored ? `${color}${text}${colors.end}` : text);
  let number = 0;
  return {
    heading: (text) => output.write(`\n${paint(text, colors.heading)}\n`),
    exchange(passed) {
      number++;
      const { sign, color } = markOf(isEqual(passed));
      const columns = [
        String(number).padStart(numberWidth),
        clientLabel(passed).padEnd(clientWidth),
        requestName(passed.bytes).padEnd(nameWidth),
        `${passed.milliseconds.toFixed(1).padStart(6)} ms`,
        paint(sign, color),
      ];
      output.write(`${columns.join('  ')}\n`);
    },
    block: (text) => output.write(`${text}\n`),
  };
}

/** Requests of one client in a row, not yet shown. */
interface Run {
  readonly first: number;
  readonly client: string;
  readonly sign: string;
  readonly names: { readonly name: string; times: number }[];
  last: number;
  fastest: number;
  slowest: number;
}

function textOf({ first, last, client, names, fastest, slowest, sign }: Run): string {
  const range = first === last ? `${first}` : `${first}-${last}`;
  const listed = names.map(({ name, times }) => (times === 1 ? name : `${name} ×${times}`)).join(', ');
  const low = fastest.toFixed(1);
  const high = slowest.toFixed(1);
  return `${range} ${client}: ${listed} ${low === high ? low : `${low}-${high}`} ms ${sign}`;
}

function startRun(number: number, passed: Exchange): Run {
  return {
    first: number,
    last: number - 1,
    client: clientLabel(passed),
    sign: markOf(isEqual(passed)).sign,
    names: [],
    fastest: passed.milliseconds,
    slowest: passed.milliseconds,
  };
}

function runByRun(output: Output): Screen {
  let number = 0;
  let run: Run | undefined;
  const flush = () => {
    if (run !== undefined) output.write(`${textOf(run)}\n`);
    run = undefined;
  };
  return {
    heading(text) {
      flush();
      output.write(`\n${text}\n`);
    },
    exchange(passed) {
      number++;
      const name = requestName(passed.bytes);
      const fits =
        run !== undefined &&
        run.client === clientLabel(passed) &&
        run.sign === markOf(isEqual(passed)).sign &&
        (run.names.at(-1)?.name === name || textOf(run).length + name.length < runWidth);
      if (!fits) flush();
      run ??= startRun(number, passed);
      run.last = number;
      run.fastest = Math.min(run.fastest, passed.milliseconds);
      run.slowest = Math.max(run.slowest, passed.milliseconds);
      const same = run.names.at(-1);
      if (same?.name === name) same.times++;
      else run.names.push({ name, times: 1 });
    },
    block(text) {
      flush();
      output.write(`${text}\n`);
    },
  };
}
