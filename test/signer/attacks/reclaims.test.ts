/** What is remembered of transactions that take a timed out HTLC back, and what is not looked for in the chain. */

import test from 'ava';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { ChainView } from '../../../signer/chain/view.ts';
import { withProven } from '../../../signer/policy/returned.ts';
import type { ChannelState } from '../../../signer/state/channel_state.ts';
import { SignerState } from '../../../signer/state/state.ts';
import { hashOf, TestChannel } from './channel.ts';
import { outputFor, takeFromOurs, takeFromTheirs, takeWithFee } from './timeouts.ts';
import { closeAlone } from './transactions.ts';
import { World, type WorldOptions } from './world.ts';

const msat = 100_000_000n;

interface Owing {
  readonly channel: TestChannel;
  readonly offered: Htlc;
  readonly received: Htlc;
}

/** A channel with an HTLC each way. */
async function owing(options: WorldOptions = {}): Promise<Owing> {
  const world = await World.open(options);
  const [out, back] = [hashOf('out'), hashOf('back')];
  world.allowPayment(out, msat);
  world.allowPayment(hashOf('small'));
  const channel = await TestChannel.open(world, { opener: 'them', push: 700_000n });
  const offered = channel.add({ from: 'us', msat, hash: out });
  channel.add({ from: 'us', msat: msat / 2n, hash: hashOf('small') });
  const received = channel.add({ from: 'them', msat, hash: back });
  await channel.commit();
  return { channel, offered, received };
}

function stateOf({ world, peer, dbid }: TestChannel): ChannelState {
  const state = new SignerState(world.store.entries).channel(peer.node.point, dbid);
  if (state === undefined) throw new Error('the signer does not know the channel');
  return state;
}

const most = { severities: new Map([['policy-', 'warn' as const]]) };

test('what takes an HTLC back that we offered is remembered once, with what it pays us', async (t) => {
  const { channel, offered } = await owing();
  const commitment = channel.commitments.remote.at(-1);
  const tx = await takeFromTheirs(channel, offered);
  await takeFromTheirs(channel, offered);
  const { reclaims = [] } = stateOf(channel);
  t.is(reclaims.length, 1);
  t.like(reclaims[0], { htlc: offered, vout: 0, value: 99_000n, script: tx.outputs[0]?.script });
  t.true(reclaims[0]?.spends.endsWith(`:${commitment && outputFor(commitment, offered).vout}`));
  await takeFromTheirs(channel, offered, { fee: 2000n });
  t.is(stateOf(channel).reclaims?.length, 2);
});

test('of one channel a thousand are remembered, the newest', async (t) => {
  const { channel, offered } = await owing();
  for (let i = 0n; i < 1001n; i++) await takeFromTheirs(channel, offered, { fee: 1000n + i });
  const { reclaims = [] } = stateOf(channel);
  t.deepEqual([reclaims.length, reclaims.at(0)?.value, reclaims.at(-1)?.value], [1000, 98_999n, 98_000n]);
});

const hostile: { readonly [title: string]: (owing: Owing) => Promise<unknown> } = {
  'an HTLC that the peer offered': ({ channel, received }) => takeFromTheirs(channel, received),
  'an HTLC that the peer offered, on our commitment': ({ channel, received }) => takeFromOurs(channel, received),
  'an output of which the host says another amount': ({ channel, offered }) =>
    takeFromTheirs(channel, offered, { claimed: 100_500n }),
  'a fee that leaves nothing': ({ channel, offered }) => takeFromTheirs(channel, offered, { fee: 99_999n }),
  'another time than that of the HTLC, with the wallet': ({ channel, offered }) =>
    takeWithFee(channel, offered, { locktime: 0 }),
  'an HTLC that the peer offered, with the wallet': ({ channel, received }) =>
    takeWithFee(channel, received, { locktime: received.cltvExpiry }),
  'another HTLC’s amount, with the wallet': ({ channel, offered }) =>
    takeWithFee(channel, offered, { amount: msat / 2000n }),
  'another output of the commitment, with the wallet': ({ channel, offered }) =>
    takeWithFee(channel, offered, { vout: 0 }),
};

for (const [title, ask] of Object.entries(hostile))
  test(`what is signed, be it with a warning, for ${title} is not remembered`, async (t) => {
    const parts = await owing({ settings: most });
    await closeAlone(parts.channel, parts.channel.commitments.local.at(-1) ?? t.fail());
    await t.notThrowsAsync(ask(parts));
    t.is(stateOf(parts.channel).reclaims, undefined);
  });

/** A feed that proves everything. */
const chain: ChainView = {
  inForce: true,
  height: () => undefined,
  estimate: undefined,
  confirmations: () => Promise.resolve(100),
};

test('a feed that never told all proves nothing, nor where two openings of a channel may both confirm', async (t) => {
  const { channel, offered } = await owing();
  await takeFromTheirs(channel, offered);
  const state = stateOf(channel);
  const { settings } = channel.world;
  const isProven = async (of: ChannelState, view: ChainView | undefined) =>
    (await withProven({ chain: view, settings }, of, () => true)) !== of;
  t.true(await isProven(state, chain));
  t.false(await isProven(state, undefined));
  t.false(await isProven(state, { ...chain, inForce: false }));
  const [first] = state.fundings;
  if (first === undefined) throw new Error('the channel has no funding');
  const second = { ...first, outpoint: `${'11'.repeat(32)}:0` };
  t.false(await isProven({ ...state, fundings: [first, second] }, chain));
  const splice = { ...second, splicedFrom: first.outpoint };
  t.true(await isProven({ ...state, fundings: [first, splice] }, chain));
  t.false(await isProven({ ...state, left: [splice.outpoint] }, chain));
  t.false(await isProven({ ...state, fundings: [{ ...first, live: false }] }, chain));
});
