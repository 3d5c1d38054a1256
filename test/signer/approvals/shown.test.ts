import test from 'ava';
import { mostShown, ShownRequests } from '../../../signer/approvals/shown.ts';
import type { Leave } from '../../../signer/policy/leave.ts';
import type { Purpose } from '../../../signer/policy/purpose.ts';
import { openMemoryStore } from '../../../signer/store/memory.ts';
import type { Change, Store } from '../../../signer/store/store.ts';

const id = (n: number) => {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};
const script = '0014';
const spending: Purpose = { kind: 'spend', script, amountSat: 5n };
const leave = (expires: number): Leave => ({
  wish: { kind: 'spend', target: script, amount: 5n },
  usesLeft: 1,
  expires,
  occasions: [],
});
const request = (n: number, until: number, leaves: readonly Leave[] = []) => ({
  id: id(n),
  until,
  runeId: '0',
  leaves,
});

test('a request is new once, until it is too old and ever after', async (t) => {
  const shown = new ShownRequests(openMemoryStore({}, 'create'));
  t.true(await shown.take(request(1, 100), 10));
  t.false(await shown.take(request(1, 100), 20));
  t.true(await shown.take(request(2, 150), 100), 'the first has been forgotten');
  t.false(await shown.take(request(1, 100), 20), 'and stays used where the clock goes back');
  t.true(await shown.take(request(3, 101), 20));
});

test('what has been forgotten stays used in the next process', async (t) => {
  const store = openMemoryStore({}, 'create');
  const shown = new ShownRequests(store);
  await shown.take(request(1, 100), 10);
  await shown.take(request(2, 150), 100);
  const next = new ShownRequests(store);
  t.false(await next.take(request(1, 100), 20));
  t.false(await next.take(request(2, 150), 20));
});

test('a request is kept for as long as its leave counts', async (t) => {
  const store = openMemoryStore({}, 'create');
  const shown = new ShownRequests(store);
  await shown.take(request(1, 100, [leave(5)]), 10);
  await shown.take(request(2, 9000), 4000);
  t.true(await shown.use(spending, 4));
  t.false(await shown.use(spending, 4));
  const keys = () => [...store.entries.keys()].filter((key) => key.startsWith('request/')).length;
  t.is(keys(), 2);
  await shown.take(request(3, 9000), 5000);
  t.is(keys(), 2, 'the first is gone');
});

test('no more than a bounded number is kept at once', async (t) => {
  const shown = new ShownRequests({
    entries: new Map(),
    commit: () => Promise.resolve(openMemoryStore({}, 'create').head),
  });
  for (let n = 0; n < mostShown; n++) await shown.take(request(n, 100), 0);
  t.false(await shown.take(request(mostShown, 200), 50));
  t.true(await shown.take(request(mostShown, 200), 100), 'once the time is over there is room again');
});

/** A store whose commits wait, and then fail or not. */
function slow(): Pick<Store, 'entries' | 'commit'> & { readonly end: ((ok: boolean) => void)[] } {
  const end: ((ok: boolean) => void)[] = [];
  const { head } = openMemoryStore({}, 'create');
  return {
    end,
    entries: new Map(),
    commit: (_changes: readonly Change[]) =>
      new Promise((resolve, reject) => {
        end.push((ok) => (ok ? resolve(head) : reject(new Error('the disk is full'))));
      }),
  };
}

test('of two at once one is taken, and a request gives no leave before it is durable', async (t) => {
  const store = slow();
  const shown = new ShownRequests(store);
  const both = Promise.all([shown.take(request(1, 100, [leave(50)]), 0), shown.take(request(1, 100, [leave(50)]), 0)]);
  t.false(await shown.use(spending, 0));
  store.end[0]?.(true);
  t.deepEqual(await both, [true, false]);
  const use = shown.use(spending, 0);
  t.is(store.end.length, 2, 'the use is made durable too');
  store.end[1]?.(true);
  t.true(await use);
});

test('what could not be made durable gives no leave and is not new again', async (t) => {
  const store = slow();
  const shown = new ShownRequests(store);
  const taken = shown.take(request(1, 100, [leave(50)]), 0);
  store.end[0]?.(false);
  await t.throwsAsync(taken, { message: 'the disk is full' });
  t.false(await shown.use(spending, 0));
  t.false(await shown.take(request(1, 100, [leave(50)]), 0));
});

test('a rune is idle since it was used last', async (t) => {
  const shown = new ShownRequests(openMemoryStore({}, 'create'));
  t.is(shown.idle('0', 5), Number.POSITIVE_INFINITY);
  await shown.take(request(1, 100), 10);
  t.is(shown.idle('0', 25), 15);
  t.is(shown.idle('1', 25), Number.POSITIVE_INFINITY);
});
