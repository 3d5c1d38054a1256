/** Attack 14, and others on transactions that splice several channels, or spend the wallet too: what they take is one sum. */

import test from 'ava';
import { type Transaction, type TxOutput, txid } from '../../../proto/bitcoin/tx.ts';
import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import { fundingScript, p2wsh } from '../../../signer/bitcoin/script.ts';
import { fundingSpent } from '../../../signer/lightning/commitment.ts';
import { attack, refused } from './attack.ts';
import { channeld, TestChannel } from './channel.ts';
import {
  allowSplice,
  announce,
  elsewhere,
  forget,
  one,
  ours,
  type Splice,
  sign,
  spends,
  spliceOf,
  validate,
} from './splices.ts';
import { output, utxo, walletScript } from './transactions.ts';
import { lightningd, World } from './world.ts';

/**
 * The wallet signs a transaction that opens one channel, with a peer who is said to pay with an output that nobody knows:
 * it will be the funding of another channel, which is opened then.
 */
async function signedBefore(
  world: World,
  opened: TestChannel,
  robbed: TestChannel,
  others: readonly TxOutput[],
): Promise<RequestOf<'signSpliceTx'>> {
  world.answer = (purpose) => purpose.kind === 'open';
  const input = ({ txid: spent, vout }: { readonly txid: Uint8Array; readonly vout: number }) => ({
    txid: spent,
    vout,
    scriptSig: new Uint8Array(),
    sequence: 0xfffffffd,
    witness: [],
  });
  const made: Transaction = {
    version: 2,
    inputs: [input({ txid: new Uint8Array(32).fill(5), vout: 0 })],
    outputs: [output(walletScript(world.keys, 1), 1_000_500n)],
    locktime: 0,
  };
  const mine = utxo(world.keys, 1, txid(made), 1_000_500n);
  const { localPubkey, remotePubkey, value } = opened.funding;
  const outputs = [output(p2wsh(fundingScript(localPubkey, remotePubkey)), value), ...others];
  const tx: Transaction = { version: 2, inputs: [input(robbed.funding), input(mine)], outputs, locktime: 0 };
  const { amount, script } = fundingSpent(robbed.funding);
  const psbt = {
    tx,
    globals: [],
    inputs: [
      { previousTx: undefined, witnessUtxo: { amount, script }, pairs: [] },
      { previousTx: made, witnessUtxo: { amount: mine.amount, script: mine.scriptpubkey }, pairs: [] },
    ],
    outputs: outputs.map(() => []),
  };
  opened.setup = { ...opened.setup, fundingTxid: txid(tx) };
  const use = async (channel: TestChannel) => {
    await channel.announce();
    await channel.sayWhatItIs();
    await channel.signTheirs();
    await channel.signOurs();
  };
  await use(opened);
  await world.ask(lightningd, 'signWithdrawal', { inputs: [mine], psbt });
  await use(robbed);
  return { tx: { tx, psbt }, remoteFundingKey: robbed.funding.remotePubkey, inputIndex: 0 };
}

test('policy-splice-new-funding-validated: attack 14, a transaction that the wallet signed before the channel was there', async (t) => {
  const world = await World.open();
  const [robbed, opened] = [new TestChannel(world, { peer: 3 }), new TestChannel(world, { peer: 4 })];
  const request = await signedBefore(world, opened, robbed, [output(elsewhere, 1_000_000n)]);
  await refused(t, 'policy-splice-destination', world.ask(robbed.client(channeld), 'signSpliceTx', request));
  world.answer = ({ kind }) => kind === 'spliceOut';
  const { sig } = await world.ask(robbed.client(channeld), 'signSpliceTx', request);
  t.false(spends(robbed, request.tx, sig.signature), 'whatever the owner says');
});

for (const isForgotten of [false, true])
  test(`policy-splice-balance: our change of a transaction that the wallet signed does not make up for a channel’s loss${isForgotten ? ', nor when what it opened is forgotten' : ''}`, async (t) => {
    const world = await World.open();
    const robbed = new TestChannel(world, { peer: 3, value: 1_000_000n });
    const opened = new TestChannel(world, { peer: 4, opener: 'them', value: 20_000n });
    const { localPubkey, remotePubkey } = robbed.funding;
    const request = await signedBefore(world, opened, robbed, [
      output(walletScript(world.keys, 2), 1_000_000n),
      output(p2wsh(fundingScript(localPubkey, remotePubkey)), 500_000n),
      output(elsewhere, 479_000n),
    ]);
    const funding = { ...robbed.funding, txid: txid(request.tx.tx), vout: 2, value: 500_000n };
    const splice = { tx: request.tx.tx, funding, ourLoss: 500_000n, theirGain: 0n };
    if (isForgotten) await forget(opened);
    await announce(robbed, splice);
    await validate(robbed, splice);
    await refused(t, 'policy-splice-balance', world.ask(robbed.client(channeld), 'signSpliceTx', request));
  });

test('policy-splice-balance: one output of ours does not make up for the loss of two channels', async (t) => {
  const world = await World.open();
  const [a, b] = [await ours(world), await TestChannel.open(world, { peer: 3, value: 1_000_000n })];
  const part = { value: 500_000n, theirGain: 0n };
  const shared = [output(walletScript(world.keys, 3), 500_000n), output(elsewhere, 499_000n)];
  const [first, second] = spliceOf(
    [
      { channel: a, ...part },
      { channel: b, ...part },
    ],
    shared,
  );
  if (first === undefined || second === undefined) throw new Error('two splices');
  for (const [channel, splice] of [
    [a, first],
    [b, second],
  ] as const) {
    await announce(channel, splice);
    await validate(channel, splice);
  }
  await refused(t, 'policy-splice-destination', sign(a, first));
  await refused(t, 'policy-splice-destination', sign(b, second, 1));
  allowSplice(world, 500_000n);
  await t.notThrowsAsync(sign(a, first));
  await t.notThrowsAsync(sign(b, second, 1));
});

/** Two channels in one transaction: the first keeps what it has, of the second half goes to a thief. */
async function together(world: World) {
  const [a, b] = [await ours(world), await TestChannel.open(world, { peer: 3, value: 1_000_000n })];
  const [kept, robbed] = spliceOf(
    [
      { channel: a, value: 1_000_000n, theirGain: 0n },
      { channel: b, value: 500_000n, theirGain: 0n },
    ],
    [output(elsewhere, 499_000n)],
  );
  if (kept === undefined || robbed === undefined) throw new Error('two splices');
  return { a, b, kept, robbed };
}

attack('a gain that is only announced makes up for another channel’s loss', 'policy-splice-destination', {
  async prefix(world) {
    const both = await together(world);
    const { a, b, kept, robbed } = both;
    await announce(a, { ...kept, theirGain: -500_000n });
    await announce(b, robbed);
    await validate(b, robbed);
    return both;
  },
  hostile: ({ b, robbed }) => sign(b, robbed, 1),
  async honest({ b, robbed }, world) {
    allowSplice(world, 499_000n);
    await sign(b, robbed, 1);
  },
});

async function keptSigned(world: World) {
  const both = await together(world);
  await announce(both.a, both.kept);
  await validate(both.a, both.kept);
  await sign(both.a, both.kept);
  return both;
}

for (const [what, tag, hide] of [
  ['forgotten', 'policy-splice-destination', forget],
  [
    'said to be locked to it',
    'policy-splice-balance',
    (channel: TestChannel, { funding: { txid: fundingTxid, vout: fundingTxout } }: Splice) =>
      channel.world.ask(channel.client(channeld), 'lockOutpoint', { fundingTxid, fundingTxout }),
  ],
] as const)
  attack(`one output of ours makes up for two channels, of which one is ${what}`, tag, {
    async prefix(world) {
      const [a, b] = [await ours(world), await TestChannel.open(world, { peer: 3, value: 1_000_000n })];
      const part = { value: 500_000n, theirGain: 0n };
      const [first, second] = spliceOf(
        [
          { channel: a, ...part },
          { channel: b, ...part },
        ],
        [output(walletScript(world.keys, 3), 500_000n), output(elsewhere, 499_000n)],
      );
      if (first === undefined || second === undefined) throw new Error('two splices');
      await announce(a, first);
      await validate(a, first);
      await sign(a, first);
      await hide(a, first);
      await announce(b, second);
      await validate(b, second);
      return { b, second };
    },
    hostile: ({ b, second }) => sign(b, second, 1),
    async honest({ b }, world) {
      const alone = one(b, 500_000n, 0n, [output(walletScript(world.keys, 4), 499_000n)]);
      await announce(b, alone);
      await validate(b, alone);
      await sign(b, alone);
    },
  });

attack('a splice that was signed for gets a second new funding, with a gain', 'policy-channel-setup-consistent', {
  prefix: keptSigned,
  hostile: ({ a, kept }) => announce(a, { ...kept, funding: { ...kept.funding, vout: 2, value: 1_500_000n } }),
  honest: ({ a, kept }) => sign(a, kept),
});

attack(
  'a splice that was signed for is announced with a gain after its base is locked',
  'policy-channel-setup-consistent',
  {
    async prefix(world) {
      const both = await keptSigned(world);
      const { txid: fundingTxid, vout: fundingTxout } = both.a.funding;
      await world.ask(both.a.client(channeld), 'lockOutpoint', { fundingTxid, fundingTxout });
      return both;
    },
    hostile: ({ a, kept }) => announce(a, { ...kept, theirGain: -500_000n }),
    async honest({ a, kept }) {
      if (!spends(a, kept, await sign(a, kept))) throw new Error('the splice is lost');
    },
  },
);

attack(
  'a second channel is said to have the same funding, and to gain what the first one loses',
  'policy-splice-destination',
  {
    async prefix(world) {
      const channel = await ours(world);
      const fake = new TestChannel(world, { peer: 4, opener: 'them' });
      const { fundingTxid, fundingTxout } = channel.setup;
      fake.setup = { ...fake.setup, fundingTxid, fundingTxout };
      await fake.announce();
      await fake.sayWhatItIs();
      const splice = one(channel, 500_000n, 0n, [output(elsewhere, 499_000n)]);
      await announce(channel, splice);
      await announce(fake, {
        ...splice,
        funding: { ...fake.funding, txid: splice.funding.txid, vout: 5, value: 2_000_000n },
      });
      await validate(channel, splice);
      return { channel, splice };
    },
    hostile: ({ channel, splice }) => sign(channel, splice),
    honest: ({ channel, splice }, world) => {
      allowSplice(world, 500_000n);
      return sign(channel, splice);
    },
  },
);
