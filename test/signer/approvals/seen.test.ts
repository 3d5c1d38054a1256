import test from 'ava';
import fc from 'fast-check';
import { WireError } from '../../../proto/hsmd/codec.ts';
import {
  decodeSeen,
  encodeSeen,
  maxSeen,
  nothingSeen,
  rememberThrough,
  type SeenState,
  withSeen,
} from '../../../signer/approvals/seen.ts';

const id = (n: number) => {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};

test('an id is new once, until it is too old and ever after', (t) => {
  const one = withSeen(nothingSeen, id(1), 100, 10);
  if (one === undefined) return t.fail();
  t.is(withSeen(one, id(1), 100, 20), undefined);
  const two = withSeen(one, id(2), 150, 100);
  if (two === undefined) return t.fail();
  t.is(two.until.size, 1, 'the first has been forgotten');
  t.is(withSeen(two, id(1), 100, 20), undefined, 'and stays used where the clock goes back');
  return t.truthy(withSeen(two, id(3), 101, 20));
});

test('no more than a bounded number is remembered at once', (t) => {
  let state: SeenState | undefined = nothingSeen;
  const until = new Map<string, number>();
  for (let n = 0; n < maxSeen; n++) until.set(Buffer.from(id(n)).toString('hex'), 100);
  state = { until, forgotten: 0 };
  t.is(withSeen(state, id(maxSeen), 100, 50), undefined);
  t.is(withSeen(state, id(maxSeen), 200, 100)?.until.size, 1, 'once the window is over there is room again');
});

test('what is remembered comes back the same from its bytes', (t) => {
  const state = withSeen(withSeen(nothingSeen, id(1), 100, 0) ?? nothingSeen, id(2), 2 ** 50, 0) ?? nothingSeen;
  t.deepEqual(decodeSeen(encodeSeen(state)), state);
  t.deepEqual(decodeSeen(encodeSeen(nothingSeen)), nothingSeen);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      try {
        decodeSeen(bytes);
      } catch (error: unknown) {
        if (!(error instanceof WireError)) throw error;
      }
    }),
  );
});

test('two who ask at once get one yes, and a failed save does not make an id new again', async (t) => {
  const saved: SeenState[] = [];
  let failing = false;
  const seen = rememberThrough(nothingSeen, async (state) => {
    await Promise.resolve();
    if (failing) throw new Error('the disk is full');
    saved.push(state);
  });
  const answers = await Promise.all([seen.remember(id(1), 100, 0), seen.remember(id(1), 100, 0)]);
  t.deepEqual(answers, [true, false]);
  t.is(saved.length, 1);
  failing = true;
  await t.throwsAsync(seen.remember(id(2), 100, 0), { message: 'the disk is full' });
  failing = false;
  t.false(await seen.remember(id(2), 100, 0));
});
