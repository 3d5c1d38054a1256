import test from 'ava';
import { concat, utf8 } from '../../proto/bytes.ts';
import { nodeSha256 as sha256 } from '../../signer/node/file_store.ts';
import { type Commit, nextCommit } from '../../signer/store/chain.ts';
import { encodeBatch, encodeLog, readLog } from '../../signer/store/log.ts';
import { State } from '../../signer/store/state.ts';
import { type Change, emptySnapshot, StoreError } from '../../signer/store/store.ts';
import { shown } from './store_suite.ts';

const salt = new Uint8Array(16).fill(7);

/** A file of a state and batches, its parts, and what it holds after each part. */
function logOf(batches: readonly (readonly Change[])[][], fileSalt = salt) {
  const state = new State({
    ...emptySnapshot,
    entries: new Map([['old', utf8('one')]]),
    versions: new Map([['old', 0n]]),
  });
  const parts = [encodeLog(state, fileSalt, sha256)];
  const states = [shown(state)];
  for (const batch of batches) {
    const before = state.head;
    const commits: Commit[] = [];
    for (const changes of batch) {
      const commit = nextCommit(state.head, changes, sha256);
      state.apply(commit.changes, commit.head);
      commits.push(commit);
    }
    parts.push(encodeBatch(before, commits, fileSalt, sha256));
    states.push(shown(state));
  }
  return { parts, states, bytes: concat(...parts), last: parts.length - 1 };
}

const put = (key: string, text: string): readonly Change[] => [{ key, value: utf8(text) }];
const some = [
  [put('a', 'first')],
  [put('b', 'x'), put('a', 'second')],
  [[{ key: 'b', value: undefined }]],
  [put('c', 'last')],
];
/** As a store that was closed leaves it: with an empty batch at its end. */
const closed = [...some, []];

/** What reading gives: the number of parts that were kept, or the error. */
function outcome(log: ReturnType<typeof logOf>, bytes: Uint8Array): number | StoreError {
  try {
    const { state, end } = readLog(bytes, '/s/state.log', sha256);
    const ends = log.parts.map((_, i) => log.parts.slice(0, i + 1).reduce((sum, part) => sum + part.length, 0));
    const kept = ends.indexOf(end);
    if (JSON.stringify(shown(state), text) !== JSON.stringify(log.states[kept], text))
      throw new Error('a state that never was');
    return kept;
  } catch (error: unknown) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

const text = (_key: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);

test('a file cut anywhere opens at the last whole record, or says that its state is damaged', (t) => {
  const log = logOf(closed);
  let offset = 0;
  for (const [i, part] of log.parts.entries()) {
    for (let cut = 0; cut < part.length; cut++) {
      const result = outcome(log, log.bytes.subarray(0, offset + cut));
      if (i === 0) t.true(result instanceof StoreError);
      else t.is(result, i - 1, `cut at byte ${cut} of part ${i}`);
    }
    offset += part.length;
  }
  t.is(outcome(log, log.bytes), log.last);
});

test('a damaged byte before the last record is an error with file, place and the way out; in the last it ends the file', (t) => {
  for (const [log, name] of [[logOf(some), 'cut off'] as const, [logOf(closed), 'closed'] as const]) {
    const lastAt = log.bytes.length - (log.parts.at(-1)?.length ?? 0);
    for (let at = 0; at < log.bytes.length; at++) {
      for (const flip of [1, 0x80, 0xff]) {
        const bytes = log.bytes.slice();
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        const result = outcome(log, bytes);
        if (at >= lastAt) t.is(result, log.last - 1, `${name}: byte ${at}`);
        else if (result instanceof StoreError)
          t.regex(result.message, /^\/s\/state\.log is damaged at byte \d+: .*keep the file.*keyhold signer recover/i);
        else t.fail(`${name}: byte ${at} was taken`);
      }
    }
  }
});

test('a damaged length cannot pass for the end of the file', (t) => {
  const log = logOf(some);
  const at = (log.parts[0]?.length ?? 0) + 53;
  for (const byte of [0, 1, 2]) {
    const bytes = log.bytes.slice();
    bytes[at + byte] = 0x7f;
    t.true(outcome(log, bytes) instanceof StoreError);
  }
});

test('a record left out, put in twice, in another order, or from another file is an error', (t) => {
  const log = logOf(closed);
  const [state, one, two, three, ...rest] = log.parts;
  const foreign = logOf([[put('a', 'other')], [put('b', 'x')], []], new Uint8Array(16).fill(8)).parts[1];
  if (!state || !one || !two || !three || !foreign) throw new Error('parts');
  const wrong = {
    'left out': [state, one, three, ...rest],
    'first left out': [state, two, three, ...rest],
    'first left out, with nothing behind': [state, two],
    twice: [state, one, one, two, three, ...rest],
    swapped: [state, two, one, three, ...rest],
    'another file’s': [state, foreign, two, three, ...rest],
    'two states': [state, one, state, two],
  };
  for (const [name, parts] of Object.entries(wrong)) t.true(outcome(log, concat(...parts)) instanceof StoreError, name);
});

test('an unfinished write is dropped even where a value in it looks like a record', (t) => {
  const other = logOf(some, new Uint8Array(16).fill(9));
  const trap: Change = { key: 'trap', value: concat(...other.parts) };
  const log = logOf([[put('a', 'first')], [[trap]]]);
  for (const missing of [1, 10, 100]) t.is(outcome(log, log.bytes.subarray(0, log.bytes.length - missing)), 1);
});

test('an empty file and one of something else are errors', (t) => {
  for (const bytes of [new Uint8Array(), utf8('x'.repeat(500)), new Uint8Array(4096)])
    t.throws(() => readLog(bytes, 'f', sha256), {
      instanceOf: StoreError,
      message: /f is damaged at byte 0: expected the header of a state file/,
    });
});
