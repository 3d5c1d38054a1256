import test from 'ava';
import { jsonLines, type LogLevel, withFields } from '../../proto/log.ts';
import { Outbox } from '../../proto/outbox.ts';

test('messages come out in the order they went in, pushed before or while somebody waits', async (t) => {
  const outbox = new Outbox<number>();
  outbox.push(1);
  outbox.push(2);
  const taken: number[] = [];
  const taking = (async () => {
    for await (const message of outbox) taken.push(message);
  })();
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(taken, [1, 2]);
  outbox.push(3);
  await new Promise((resolve) => setImmediate(resolve));
  outbox.push(4);
  outbox.close();
  outbox.push(5);
  await taking;
  t.deepEqual(taken, [1, 2, 3, 4]);
});

test('a failure comes after what was pushed before it', async (t) => {
  const outbox = new Outbox<number>();
  outbox.push(1);
  outbox.fail(new Error('cut'));
  const iterator = outbox[Symbol.asyncIterator]();
  t.deepEqual(await iterator.next(), { done: false, value: 1 });
  await t.throwsAsync(iterator.next(), { message: 'cut' });
});

test('log lines are JSON, with fields flat and below the least level nothing', (t) => {
  const lines: string[] = [];
  const log = withFields(
    jsonLines(
      (line) => lines.push(line),
      () => 0,
      'info',
    ),
    { node: 'alice' },
  );
  for (const level of ['debug', 'info', 'error'] satisfies LogLevel[]) log(level, 'hello', { request: 2n ** 60n });
  t.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [
      {
        time: '1970-01-01T00:00:00.000Z',
        level: 'info',
        message: 'hello',
        node: 'alice',
        request: '1152921504606846976',
      },
      {
        time: '1970-01-01T00:00:00.000Z',
        level: 'error',
        message: 'hello',
        node: 'alice',
        request: '1152921504606846976',
      },
    ],
  );
  t.true(lines.every((line) => line.endsWith('}\n')));
});
