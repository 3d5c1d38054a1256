/** Fundings in the chain: what a feed proves counts, what it does not is answered no, and asked again. */

import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import type { ChainView, ExpectedOutput } from '../../../signer/chain/view.ts';
import { type Moment, momentOf } from './recorded_scope.ts';
import { refuses } from './refusals.ts';

/** A feed that proves this depth of everything. */
function feed(depth: number, asked: ExpectedOutput[] = []): ChainView {
  return {
    inForce: true,
    height: () => 200,
    estimate: undefined,
    confirmations(output) {
      asked.push(output);
      return Promise.resolve(depth);
    },
  };
}

const strict = { zeroConf: false, buriedBlocks: 3 };
const check = ['everyday/l1', 'checkOutpoint'] as const;
const lock = ['everyday/l1', 'lockOutpoint'] as const;
const no = { reply: { isBuried: false } };

refuses('policy-chain-outpoint-buried', {
  refuses: 'to lock what no proof shows',
  at: lock,
  under: { settings: strict, chain: feed(0) },
});
refuses('policy-chain-outpoint-buried', {
  refuses: 'to lock what is not deep enough',
  at: lock,
  under: { settings: strict, chain: feed(2) },
});
refuses('policy-chain-outpoint-buried', {
  refuses: 'to lock a splice that is not in the chain yet',
  at: ['splice/l1', 'lockOutpoint', 1],
  under: { settings: strict, chain: feed(0) },
});

test('policy-chain-outpoint-buried: a question is answered no until the proof is deep enough, then yes', async (t) => {
  const moment = await momentOf(...check);
  const answer = (depth: number) => moment.judge(undefined, { settings: strict, chain: feed(depth) });
  t.deepEqual(await answer(0), no);
  t.deepEqual(await answer(2), no);
  t.deepEqual(await answer(3), {});
  t.deepEqual(await answer(200), {});
});

test('policy-chain-outpoint-buried: without a feed, or one that never told all, the answer is lightning_hsmd’s', async (t) => {
  const moment = await momentOf(...check);
  t.deepEqual(await moment.judge(undefined, { settings: strict }), {});
  t.deepEqual(await moment.judge(undefined, { settings: strict, chain: { ...feed(0), inForce: false } }), {});
});

test('policy-chain-outpoint-buried: an outpoint that is no funding of the channel is not in the chain', async (t) => {
  const moment = await momentOf(...check);
  const other = { ...moment.request, fundingTxout: moment.request.fundingTxout + 1 };
  t.deepEqual(await moment.judge(other, { settings: strict, chain: feed(200) }), no);
  t.deepEqual(await moment.judge(other, { settings: strict }), {});
});

test('policy-chain-outpoint-buried: where the owner allows channels before they are buried, no proof is asked for', async (t) => {
  const asked: ExpectedOutput[] = [];
  const under = { settings: { zeroConf: true }, chain: feed(0, asked) };
  t.deepEqual(await (await momentOf(...check)).judge(undefined, under), {});
  await t.notThrowsAsync((await momentOf(...lock)).judge(undefined, under));
  t.deepEqual(asked, []);
});

test('policy-chain-outpoint-buried: as a warning it warns and says yes', async (t) => {
  const warnings: string[] = [];
  const severities = new Map([['policy-chain', 'warn' as const]]);
  const under = { settings: { ...strict, severities }, chain: feed(0), warnings };
  t.deepEqual(await (await momentOf(...check)).judge(undefined, under), {});
  await t.notThrowsAsync((await momentOf(...lock)).judge(undefined, under));
  t.deepEqual(warnings, ['policy-chain-outpoint-buried', 'policy-chain-outpoint-buried']);
});

test('policy-chain-outpoint-buried: the proof is asked for with the funding’s own script and value', async (t) => {
  const asked: ExpectedOutput[] = [];
  const moment = await momentOf(...check);
  await moment.judge(undefined, { settings: strict, chain: feed(9, asked) });
  const { fundingTxid, fundingTxout } = moment.request;
  t.like(asked[0], { vout: fundingTxout, value: 1_000_000n });
  t.is(toHex(asked[0]?.txid ?? new Uint8Array()), toHex(fundingTxid));
  t.regex(toHex(asked[0]?.script ?? new Uint8Array()), /^0020[0-9a-f]{64}$/);
});

/** The locked funding after the request was granted. */
async function afterLock<C extends 'lockOutpoint'>(moment: Moment<C>, depth: number) {
  const { changes } = await moment.judge(undefined, { settings: strict, chain: feed(depth) });
  if (changes !== undefined) moment.state.apply(changes);
}

test('policy-chain-outpoint-buried: what was locked is not asked of the chain again, which is not kept for ever', async (t) => {
  const moment = await momentOf(...lock);
  await afterLock(moment, 3);
  const unproven = { settings: strict, chain: feed(0) };
  t.deepEqual(await moment.judge(undefined, unproven), {});
  const { fundingTxid, fundingTxout } = moment.request;
  t.deepEqual(await moment.judgeOther('checkOutpoint', { fundingTxid, fundingTxout }, moment.client), {});
});

refuses('policy-chain-outpoint-buried', {
  refuses: 'HTLCs in a channel whose funding was not locked',
  at: ['everyday/l1', 'signRemoteCommitmentTx', 1],
  under: { settings: strict, chain: feed(200) },
  state: ({ change }) =>
    change((channel) => ({ ...channel, fundings: channel.fundings.map((each) => ({ ...each, locked: false })) })),
});

test('policy-chain-outpoint-buried: a commitment without HTLCs may come before the funding is locked', async (t) => {
  const moment = await momentOf('everyday/l1', 'signRemoteCommitmentTx');
  await t.notThrowsAsync(moment.judge(undefined, { settings: strict, chain: feed(0) }));
});
