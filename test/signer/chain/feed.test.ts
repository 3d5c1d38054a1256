/** News of the chain from a host to a signer, both ends real, the stream between them in memory: honest and false news. */

import { create } from '@bufbuild/protobuf';
import test from 'ava';
import { txid } from '../../../proto/bitcoin/tx.ts';
import { concat, fromHex } from '../../../proto/bytes.ts';
import { systemClock } from '../../../proto/clock.ts';
import { FromSignerSchema, ToSignerSchema, WelcomeSchema } from '../../../proto/gen/keyhold/v1/signer_link_pb.ts';
import type { LogFields } from '../../../proto/log.ts';
import { ChainLink } from '../../../server/chain_link.ts';
import { ChainFeed } from '../../../signer/chain/feed.ts';
import type { ExpectedOutput } from '../../../signer/chain/view.ts';
import { type Memory, openMemoryStore } from '../../../signer/store/memory.ts';
import { until } from '../../server/host_under_test.ts';
import { MemoryChain, paying } from './memory_chain.ts';
import { mine, network } from './mining.ts';

const regtest = network('regtest');
const now = () => Math.floor(Date.now() / 1000);
const script = fromHex(`0020${'11'.repeat(32)}`);
const funding = paying(100_000n, script);
const output: ExpectedOutput = { txid: txid(funding), vout: 0, value: 100_000n, script };

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

function join(
  source: MemoryChain,
  { required = false, memory = {} as Memory, patienceMs = 2_000, clock = systemClock } = {},
) {
  const lines: Line[] = [];
  const log = (level: string, message: string, fields?: LogFields) => {
    lines.push({ level, message, fields });
  };
  const feed = new ChainFeed({ clock, log, required, patienceMs });
  const store = openMemoryStore(memory, 'create');
  const wanted: number[] = [];
  const attach = (active = true) => {
    let open = true;
    const link = new ChainLink(
      source,
      (message) => {
        if (open) feed.receive(create(ToSignerSchema, { message }).message);
      },
      log,
    );
    feed.attached(create(WelcomeSchema, { active }), (given) => {
      const { message } = create(FromSignerSchema, { message: given });
      if (message.case !== 'chainWanted') return;
      wanted.push(message.value.outpoints.length);
      const { value } = message;
      setImmediate(() => open && link.want(value));
    });
    return () => {
      open = false;
      link[Symbol.dispose]();
      feed.detached();
    };
  };
  const warnings = () => lines.filter(({ level }) => level === 'warn' || level === 'error');
  return { feed, store, attach, wanted, warnings, lines };
}

async function followed(source: MemoryChain, options: Parameters<typeof join>[1] = {}) {
  const joined = join(source, options);
  const cut = joined.attach();
  joined.feed.start(joined.store, regtest);
  await until(() => joined.feed.height() === source.tip.height, `the signer is at height ${source.tip.height}`);
  return { ...joined, cut };
}

test('the whole chain is followed, then each block, and the rules come into force at its end', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(2100, now() - 10);
  const { feed, attach, store, warnings } = join(source);
  t.false(feed.inForce);
  t.is(feed.height(), undefined);
  attach();
  feed.start(store, regtest);
  await until(() => feed.height() === 2100, 'the signer has caught up');
  t.true(feed.inForce);
  source.mine(1, now());
  await until(() => feed.height() === 2101, 'the signer has the next block');
  t.deepEqual(warnings(), []);
});

test('the state outlives the signer: another one goes on from it, in force', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(50, now());
  const memory: Memory = {};
  const first = await followed(source, { memory });
  await first.store.commit([]);
  await first.store[Symbol.asyncDispose]();
  const second = join(source, { memory });
  second.feed.start(second.store, regtest);
  t.true(second.feed.inForce);
  t.is(second.feed.height(), 50);
});

test('an output is proven when its block comes, and counts its confirmations', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(3, now() - 100);
  const { feed, warnings } = await followed(source, { patienceMs: 50 });
  t.is(await feed.confirmations(output), 0);
  source.mine(1, now() - 50, [paying(5n, script, 1), funding, paying(6n, script, 2)]);
  await until(() => feed.height() === 4, 'the block is there');
  t.is(await feed.confirmations(output), 1);
  source.mine(5, now());
  await until(() => feed.height() === 9, 'five more are');
  t.is(await feed.confirmations(output), 6);
  t.deepEqual(warnings(), []);
});

test('a proof that is asked for is waited for a moment', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(1, now() - 100, [funding]);
  source.mine(2, now());
  const { feed, wanted } = await followed(source);
  t.is(await feed.confirmations(output), 3);
  await until(() => wanted.at(-1) === 0, 'it is wanted no more');
});

test('who asks about another script or value gets nothing of a proof', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(1, now(), [funding]);
  const { feed } = await followed(source, { patienceMs: 100 });
  t.is(await feed.confirmations({ ...output, value: 99_999n }), 0);
  t.is(await feed.confirmations({ ...output, script: fromHex(`0020${'22'.repeat(32)}`) }), 0);
  t.is(await feed.confirmations({ ...output, vout: 1 }), 0);
  t.is(await feed.confirmations(output), 1);
});

test('a reorganisation takes the proof away, and the new block brings it back', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(5, now() - 100);
  source.mine(1, now() - 50, [funding]);
  const { feed, warnings } = await followed(source, { patienceMs: 100 });
  t.is(await feed.confirmations(output), 1);
  source.unwind(1);
  source.mine(2, now() - 20, [], 0x30000000);
  await until(() => feed.height() === 7, 'the other branch is followed');
  t.is(await feed.confirmations(output), 0);
  source.mine(1, now(), [funding]);
  await until(() => feed.height() === 8, 'the next block is there');
  t.is(await feed.confirmations(output), 1);
  t.deepEqual(warnings(), []);
});

test('news that is old is not the height, and what was in force stays so', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(3, now() - 2 * 86_400);
  const old = join(source);
  old.attach();
  old.feed.start(old.store, regtest);
  await until(() => source.asked >= 2, 'it has been told');
  t.is(old.feed.height(), undefined);
  t.false(old.feed.inForce);
  const required = join(source, { required: true, patienceMs: 20 });
  t.true(required.feed.inForce);
  t.is(await required.feed.confirmations(output), 0);
});

test('a feed that stops leaves the rules in force, and after a day no height', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(3, now());
  let late = 0;
  const clock = { ...systemClock, now: () => Date.now() + late };
  const { feed } = await followed(source, { clock });
  late = 25 * 3_600_000;
  t.is(feed.height(), undefined);
  t.true(feed.inForce);
  const required = await followed(source, { clock: systemClock, required: true });
  t.is(required.feed.height(), 3);
});

test('forged headers, wrong linkage, shorter forks: none is believed, one line each is logged, and true news still counts', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(10, now() - 500);
  const { feed, warnings } = await followed(source);
  const { tip } = source;
  const lies: readonly (readonly [string, (headers: readonly Uint8Array[]) => readonly Uint8Array[]])[] = [
    ['no work', () => [mine(regtest, tip, { time: now(), work: false })]],
    ['other bits', () => [mine(regtest, tip, { time: now(), bits: 0x207ffffe })]],
    ['out of nothing', () => [mine(regtest, tip, { time: now(), previous: new Uint8Array(32).fill(3) })]],
    ['from tomorrow', () => [mine(regtest, tip, { time: now() + 86_400 })]],
    ['cut short', () => [new Uint8Array(79)]],
    ['too many', () => Array.from({ length: 2017 }, () => new Uint8Array(80))],
    ['a true one behind a false one', (headers) => [new Uint8Array(80), ...headers]],
  ];
  for (const [name, lie] of lies) {
    source.lie = { headers: lie };
    source.changed();
    const { asked } = source;
    await until(() => source.asked === asked || source.asked > asked, 'told');
    await new Promise((resolve) => setTimeout(resolve, 5));
    t.is(feed.height(), 10, name);
  }
  const refused = warnings();
  t.is(refused.length, 1, JSON.stringify(refused));
  t.regex(refused[0]?.message ?? '', /news of the chain is false/);
  source.lie = {};
  source.mine(1, now());
  await until(() => feed.height() === 11, 'true news is taken');
  source.unwind(4);
  source.mine(1, now());
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.is(feed.height(), 11);
});

test('proofs with a wrong path, place or transaction show nothing, and one line says so', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(3, now() - 100, [paying(1n, script, 1), funding, paying(2n, script, 2)]);
  const lies = [
    { index: 0 },
    { path: [] },
    { path: [new Uint8Array(32), new Uint8Array(32)] },
    { transaction: new Uint8Array(60) },
    { transaction: new Uint8Array(64) },
    { block: new Uint8Array(32) },
    { block: source.genesis },
  ];
  for (const change of lies) {
    source.lie = { proof: (proof) => ({ ...proof, ...change }) };
    const { feed, warnings, cut } = await followed(source, { patienceMs: 60 });
    t.is(await feed.confirmations(output), 0, JSON.stringify(change));
    source.mine(1, now());
    await until(() => feed.height() === source.tip.height, 'the headers are taken all the same');
    t.is(warnings().length, 1);
    cut();
  }
});

test('a feerate is remembered with its time; none is none', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(1, now());
  const { feed } = await followed(source);
  t.is(feed.estimate, undefined);
  source.feeratePerkw = 12_345;
  source.changed();
  await until(() => feed.estimate?.feerate === 12_345, 'the feerate is there');
  t.true(Math.abs((feed.estimate?.at ?? 0) - Date.now()) < 5_000);
});

test('a signer that stands by follows nothing, and its store stays as it is', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(3, now());
  const { feed, store, attach, wanted } = join(source);
  feed.start(store, regtest);
  attach(false);
  await new Promise((resolve) => setTimeout(resolve, 30));
  t.deepEqual(wanted, []);
  const headers = await source.headersAfter([source.genesis], 3);
  feed.receive(
    create(ToSignerSchema, { message: { case: 'chainNews', value: { headers: concat(...headers) } } }).message,
  );
  await store.commit([]);
  t.is(store.head.version, 0n);
});

test('the chain of another network is not fed', async (t) => {
  const source = new MemoryChain(regtest);
  source.mine(3, now());
  const { feed, store, attach, warnings } = join(source);
  attach();
  feed.start(store, network('signet'));
  await until(() => warnings().length === 1, 'the host says why');
  t.is(source.asked, 0);
});
