/** Stands in for ava when only titles are wanted: registers nothing, remembers how each test is called. */

type Macro = { readonly title?: (given: string | undefined, ...args: readonly unknown[]) => string };

export const titles: string[] = [];

function isMacro(value: unknown): value is Macro {
  return typeof value === 'object' && value !== null && 'title' in value;
}

function record(...args: readonly unknown[]): void {
  const [first, second] = args;
  if (isMacro(first)) titles.push(first.title?.(undefined, ...args.slice(1)) ?? '');
  else if (typeof first === 'string')
    titles.push(isMacro(second) ? (second.title?.(first, ...args.slice(2)) ?? first) : first);
}

const ignore = () => {};
/** Tests that do not run prove nothing. */
const notRun = Object.assign(ignore, { serial: ignore });

const test = Object.assign(record, {
  serial: Object.assign((...args: readonly unknown[]) => record(...args), { skip: ignore, failing: ignore }),
  only: record,
  skip: notRun,
  todo: ignore,
  failing: notRun,
  before: ignore,
  after: Object.assign(() => {}, { always: ignore }),
  beforeEach: ignore,
  afterEach: Object.assign(() => {}, { always: ignore }),
  macro: (macro: unknown) => macro,
});

export default test;
