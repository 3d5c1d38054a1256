/** Announcing, setting up, locking and forgetting channels. */

import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import type { ChannelState } from '../../../signer/state/channel_state.ts';
import { momentOf } from './recorded_scope.ts';
import { refuses } from './refusals.ts';

type Setup = RequestOf<'setupChannel'>;

const opening = ['everyday/l1', 'setupChannel'] as const;
const splice = ['splice/l1', 'setupChannel', 1] as const;
const replaced = ['dual_funding_rbf/l1', 'setupChannel', 1] as const;

function forgotten(dbid: bigint) {
  return ({ state }: { readonly state: { readonly node: object; apply(changes: object): unknown } }) =>
    void state.apply({ node: { ...state.node, forgottenDbid: dbid } });
}

refuses('policy-channel-original-channel-id-reuse', {
  refuses: 'a number at or below the highest forgotten',
  at: ['everyday/l1', 'newChannel'],
  state: forgotten(1n),
});
refuses('policy-channel-original-channel-id-reuse', {
  refuses: 'to set up what could not be announced',
  at: opening,
  state(moment) {
    moment.state.apply({ forget: { peer: moment.client.nodeId, dbid: moment.client.dbid } });
    forgotten(1n)(moment);
  },
});
refuses('policy-channel-max-channels', {
  refuses: 'one channel more than allowed',
  at: ['everyday/l2', 'newChannel', 1],
  under: { settings: { maxChannels: 1 } },
});

/** An opening with one field changed. */
function opened(change: Partial<Setup>) {
  return { at: opening, request: ({ request }: { readonly request: Setup }) => ({ ...request, ...change }) };
}

refuses('policy-channel-safe-type', {
  refuses: 'a channel without static_remotekey',
  ...opened({ channelType: new Uint8Array() }),
});
refuses('policy-channel-safe-type', {
  refuses: 'anchors that do not have zero fees',
  ...opened({ channelType: Uint8Array.of(0x10, 0x10, 0x00) }),
});
refuses('policy-channel-contest-delay-range-holder', {
  refuses: 'a long delay for us',
  ...opened({ remoteToSelfDelay: 2017 }),
});
refuses('policy-channel-contest-delay-range-counterparty', {
  refuses: 'a short delay for the peer',
  ...opened({ localToSelfDelay: 3 }),
});
refuses('policy-channel-contest-delay-range-counterparty', {
  refuses: 'on mainnet what regtest may have',
  at: opening,
  under: { settings: { minDelayBlocks: 144 }, approves: () => true },
  request: ({ request }) => ({ ...request, remoteToSelfDelay: 144 }),
});
refuses('policy-funding-max', {
  refuses: 'a channel above the maximum',
  at: opening,
  under: { settings: { maxChannelSat: 999_999n } },
});
refuses('policy-onchain-no-channel-push', {
  refuses: 'a push that the owner did not allow',
  at: opening,
  under: { approves: ({ kind }) => kind !== 'push' },
});
refuses('policy-onchain-no-channel-push', {
  refuses: 'to push more than there is',
  ...opened({ pushValue: 1_000_000_001n }),
});
refuses('policy-mutual-destination-allowlisted', {
  refuses: 'a shutdown script of nobody we know',
  at: ['varied/l1', 'setupChannel'],
  under: { approves: ({ kind }) => kind !== 'closeTo' },
});
refuses('policy-mutual-destination-allowlisted', {
  refuses: 'a shutdown script that another index of the wallet is said to make',
  at: opening,
  request: ({ request }) => ({
    ...request,
    localShutdownScript: Uint8Array.of(0, 20, ...new Uint8Array(20)),
    localShutdownWalletIndex: 3,
  }),
  under: { approves: ({ kind }) => kind !== 'closeTo' },
});

/** A splice's setup with one thing changed that must not. */
function spliced(change: Partial<Setup>) {
  return { at: splice, request: ({ request }: { readonly request: Setup }) => ({ ...request, ...change }) };
}

refuses('policy-channel-setup-consistent', {
  refuses: 'another delay in a splice',
  ...spliced({ localToSelfDelay: 7 }),
});
refuses('policy-channel-setup-consistent', {
  refuses: 'another type in a splice',
  ...spliced({ channelType: Uint8Array.of(0x10, 0) }),
});
refuses('policy-channel-setup-consistent', {
  refuses: 'another opener in a splice',
  ...spliced({ isOutbound: false }),
});
refuses('policy-channel-setup-consistent', {
  refuses: 'another basepoint in a splice',
  at: splice,
  request: ({ request, keys }) => ({
    ...request,
    remoteBasepoints: { ...request.remoteBasepoints, payment: keys.node.point },
  }),
});
refuses('policy-channel-setup-consistent', {
  refuses: 'a shutdown script in a splice that the opening did not have',
  ...spliced({ localShutdownScript: new Uint8Array(22) }),
});
refuses('policy-channel-setup-consistent', {
  refuses: 'a second funding from openingd',
  at: splice,
  capabilities: 24n,
});
refuses('policy-channel-setup-consistent', {
  refuses: 'to replace the opening of a channel in use',
  at: splice,
  capabilities: 344n,
});
refuses('policy-channel-setup-consistent', {
  refuses: 'the funding it knows with another share for us',
  at: replaced,
  state(moment) {
    const [known] = moment.state.channel(moment.client.nodeId, moment.client.dbid)?.fundings ?? [];
    const outpoint = `${toHex(moment.request.fundingTxid)}:${moment.request.fundingTxout}`;
    if (known !== undefined)
      moment.change((channel) => ({
        ...channel,
        fundings: [known, { ...known, outpoint, value: moment.request.channelValue, ourShift: 7n }],
      }));
  },
});

refuses('policy-chain-outpoint-buried', {
  refuses: 'to lock what is no funding',
  at: ['everyday/l1', 'lockOutpoint'],
  request: ({ request }) => ({ ...request, fundingTxout: 9 }),
});
refuses('policy-chain-outpoint-buried', {
  refuses: 'to lock a funding that has no commitment of ours',
  at: ['everyday/l1', 'lockOutpoint'],
  state: ({ change }) => change(withoutOurs),
});

function withoutOurs(channel: ChannelState): ChannelState {
  return { ...channel, sides: { ...channel.sides, local: { ...channel.sides.local, accepted: [] } } };
}

for (const [who, node, ours, pushed] of [
  ['an opener who pushes keeps the rest', 'everyday/l1', 900_000n, 100_000n],
  ['an accepter gets the push', 'everyday/l2', 100_000n, 0n],
  ['two who open together keep what each put in: the opener', 'dual_funding_rbf/l1', 500_000n, 0n],
  ['two who open together keep what each put in: the accepter', 'dual_funding_rbf/l2', 200_000n, 0n],
] as const)
  test(`of a new funding ${who}`, async (t) => {
    const { changes } = await (await momentOf(node, 'setupChannel')).judge();
    t.is(changes?.channel?.ourInitial, ours);
    t.is(changes?.channel?.fundings[0]?.pushed, pushed);
  });

for (const [what, node, nth, shift] of [
  ['a splice-in of ours adds to our share', 'splice/l1', 1, 100_000n],
  ['a splice-out of ours takes from it, with its fee', 'splice/l1', 2, 49_801n],
  ['what the peer adds does not', 'splice/l2', 1, 0n],
  ['what the peer takes does not', 'splice/l2', 2, 0n],
  ['an opening replaced has a share of its own', 'dual_funding_rbf/l2', 1, -200_000n],
] as const)
  test(`${what}: ${node}`, async (t) => {
    const { changes } = await (await momentOf(node, 'setupChannel', nth)).judge();
    t.is(changes?.channel?.fundings.at(-1)?.ourShift, shift);
  });

test('a splice that was never signed for gives way to the next', async (t) => {
  const moment = await momentOf('splice/l1', 'setupChannel', 1);
  const first = await moment.judge();
  if (first.changes !== undefined) moment.state.apply(first.changes);
  const { changes } = await moment.judge({ ...moment.request, fundingTxout: 5 });
  t.deepEqual(
    changes?.channel?.fundings.map(({ live }) => live),
    [true, false],
  );
});

test('setting up the same again changes nothing', async (t) => {
  const moment = await momentOf('splice/l1', 'setupChannel', 1);
  const first = await moment.judge();
  if (first.changes !== undefined) moment.state.apply(first.changes);
  t.deepEqual(await moment.judge(), { changes: {} });
});

test('locking a funding forgets the others', async (t) => {
  const { changes } = await (await momentOf('splice/l1', 'lockOutpoint', 1)).judge();
  const channel = changes?.channel;
  t.is(channel?.fundings.length, 1);
  for (const { contents } of channel?.sides.local.accepted ?? [])
    t.true([...contents.keys()].every((outpoint) => outpoint === channel?.fundings[0]?.outpoint));
});

test('a channel that is forgotten takes its number with it', async (t) => {
  const moment = await momentOf('everyday/l2', 'newChannel', 1);
  const [known] = moment.state.channels.values();
  moment.state.apply({ node: { ...moment.state.node, forgottenDbid: known?.dbid ?? 0n } });
  await t.notThrowsAsync(moment.judge(), 'a higher number');
  await t.throwsAsync(moment.judge({ ...moment.request, peerId: moment.keys.node.point, dbid: known?.dbid ?? 0n }));
});

test('openings that come to nothing do not pile up', async (t) => {
  const moment = await momentOf('everyday/l1', 'newChannel');
  for (let dbid = 100n; dbid < 200n; dbid++) {
    const { changes } = await moment.judge({ ...moment.request, dbid });
    if (changes !== undefined) moment.state.apply(changes);
  }
  t.is(moment.state.channels.size, 32);
});
