/** Attack 14, and others on splices. */

import test, { type ExecutionContext } from 'ava';
import { type Transaction, type TxOutput, txid } from '../../../proto/bitcoin/tx.ts';
import { toHex } from '../../../proto/bytes.ts';
import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import { fundingScript, p2wsh } from '../../../signer/bitcoin/script.ts';
import { segwitSighash } from '../../../signer/bitcoin/sighash.ts';
import type { Funding } from '../../../signer/lightning/channel.ts';
import { fundingSpent } from '../../../signer/lightning/commitment.ts';
import type { Purpose } from '../../../signer/policy/purpose.ts';
import { attack, refused } from './attack.ts';
import { channeld, TestChannel } from './channel.ts';
import type { Terms } from './terms.ts';
import { output, utxo, walletScript } from './transactions.ts';
import { lightningd, Refused, secp, World } from './world.ts';

const elsewhere = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x66));

interface Splice {
  readonly tx: Transaction;
  readonly funding: Funding;
  /** How much less is ours, satoshi. */
  readonly ourLoss: bigint;
  /** By how much the peer's part grows, as setup_channel says it. */
  readonly theirGain: bigint;
}

/** A splice of channels by one transaction; each output of `outputs` beside the new fundings. */
function spliceOf(
  channels: readonly { readonly channel: TestChannel; readonly value: bigint; readonly theirGain: bigint }[],
  outputs: readonly TxOutput[],
): readonly Splice[] {
  const tx: Transaction = {
    version: 2,
    inputs: channels.map(({ channel: { funding } }) => ({
      txid: funding.txid,
      vout: funding.vout,
      scriptSig: new Uint8Array(),
      sequence: 0xfffffffd,
      witness: [],
    })),
    outputs: [
      ...channels.map(({ channel, value }) =>
        output(p2wsh(fundingScript(channel.funding.localPubkey, channel.funding.remotePubkey)), value),
      ),
      ...outputs,
    ],
    locktime: 0,
  };
  const id = txid(tx);
  return channels.map(({ channel, value, theirGain }, vout) => ({
    tx,
    funding: { ...channel.funding, txid: id, vout, value },
    ourLoss: channel.funding.value - value + theirGain,
    theirGain,
  }));
}

async function announce(channel: TestChannel, { funding, theirGain }: Splice): Promise<void> {
  const { txid: fundingTxid, vout: fundingTxout, value: channelValue } = funding;
  const pushValue = BigInt.asUintN(64, theirGain);
  await channel.sayWhatItIs({ fundingTxid, fundingTxout, channelValue, pushValue }, channeld);
}

/** Both sides' commitments of the new funding. */
async function validate(channel: TestChannel, { funding, ourLoss, theirGain }: Splice): Promise<void> {
  const terms = (now: Terms): Terms => ({
    ...now,
    ours: now.ours - ourLoss * 1000n,
    theirs: now.theirs + theirGain * 1000n,
  });
  await channel.signOurs({ funding, terms, number: channel.numbers.local });
  await channel.signTheirs({ funding, terms, number: channel.numbers.remote });
}

/** sign_splice_tx; whether the signature is worth something is told by `isWorthless`. */
async function sign(channel: TestChannel, { tx }: Splice, inputIndex = 0): Promise<Uint8Array> {
  const inputs = tx.inputs.map(({ txid: spent }) => {
    const funding = [channel.funding].find((each) => toHex(each.txid) === toHex(spent));
    const of = funding && fundingSpent(funding);
    return { previousTx: undefined, witnessUtxo: of && { amount: of.amount, script: of.script }, pairs: [] };
  });
  const psbt = { tx, globals: [], inputs, outputs: tx.outputs.map(() => []) };
  const request = { tx: { tx, psbt }, remoteFundingKey: channel.funding.remotePubkey, inputIndex };
  return (await channel.world.ask(channel.client(channeld), 'signSpliceTx', request)).sig.signature;
}

const allowSplice = (world: World, most: bigint) => {
  world.answer = (purpose: Purpose) => purpose.kind === 'spliceOut' && purpose.amountSat <= most;
};

const ours = (world: World) => TestChannel.open(world, { opener: 'us', value: 1_000_000n });
const one = (channel: TestChannel, value: bigint, theirGain: bigint, outputs: readonly TxOutput[]) => {
  const [splice] = spliceOf([{ channel, value, theirGain }], outputs);
  if (splice === undefined) throw new Error('no splice');
  return splice;
};

const forget = ({ world, peer, dbid }: TestChannel) =>
  world.ask(lightningd, 'forgetChannel', { peerId: peer.node.point, dbid });

attack('attack 14, a splice-out to an address of the peer’s', 'policy-splice-destination', {
  async prefix(world) {
    const channel = await ours(world);
    const splice = one(channel, 500_000n, 0n, [output(elsewhere, 499_000n)]);
    await announce(channel, splice);
    await validate(channel, splice);
    return { channel, splice };
  },
  hostile: ({ channel, splice }) => sign(channel, splice),
  async honest({ channel }, world) {
    const splice = one(channel, 500_000n, 0n, [output(walletScript(world.keys, 3), 499_000n)]);
    await announce(channel, splice);
    await validate(channel, splice);
    await sign(channel, splice);
  },
});

attack(
  'attack 14, the final signature of a splice whose new funding has no commitment',
  'policy-splice-new-funding-validated',
  {
    async prefix(world) {
      const channel = await ours(world);
      const splice = one(channel, 500_000n, 0n, [output(walletScript(world.keys, 3), 499_000n)]);
      await announce(channel, splice);
      return { channel, splice };
    },
    hostile: ({ channel, splice }) => sign(channel, splice),
    async honest({ channel, splice }) {
      await validate(channel, splice);
      await sign(channel, splice);
    },
  },
);

test('policy-splice-new-funding-validated: attack 14, the early signature is worth nothing', async (t) => {
  const world = await World.open();
  const channel = await ours(world);
  const splice = one(channel, 500_000n, 0n, [output(walletScript(world.keys, 3), 499_000n)]);
  const early = await sign(channel, splice);
  await announce(channel, splice);
  await validate(channel, splice);
  const real = await sign(channel, splice);
  t.true(spends(channel, splice, real));
  t.false(spends(channel, splice, early));
});

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
  const { sig } = await world.ask(robbed.client(channeld), 'signSpliceTx', request);
  t.false(spends(robbed, request.tx, sig.signature));
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

function spends(channel: TestChannel, { tx }: Pick<Splice, 'tx'>, signature: Uint8Array): boolean {
  const script = fundingScript(channel.funding.localPubkey, channel.funding.remotePubkey);
  return secp.verify(segwitSighash(tx, 0, script, channel.funding.value, 1), channel.funding.localPubkey, signature);
}

attack('a splice shifts our part to the peer within the channel', 'policy-splice-balance', {
  async prefix(world) {
    const channel = await ours(world);
    const splice = one(channel, 999_000n, 500_000n, []);
    await announce(channel, splice);
    await validate(channel, splice);
    return { channel, splice };
  },
  hostile: ({ channel, splice }) => sign(channel, splice),
  async honest({ channel }) {
    const splice = one(channel, 999_200n, 0n, []);
    await announce(channel, splice);
    await validate(channel, splice);
    await sign(channel, splice);
  },
});

attack('the new funding is worth less than its commitments say', 'policy-splice-balance', {
  async prefix(world) {
    const channel = await ours(world);
    const splice = one(channel, 999_000n, 0n, []);
    const lie = { ...splice, funding: { ...splice.funding, value: 999_500n }, ourLoss: 500n };
    await announce(channel, lie);
    await validate(channel, lie);
    return { channel, splice };
  },
  hostile: ({ channel, splice }) => sign(channel, splice),
  async honest({ channel }) {
    const splice = one(channel, 999_100n, 0n, []);
    await announce(channel, splice);
    await validate(channel, splice);
    await sign(channel, splice);
  },
});

/** Splices again and again, each losing what a fee may cost; how much that adds up to. */
async function drain(t: ExecutionContext, channel: TestChannel, each: bigint): Promise<bigint> {
  let lost = 0n;
  for (let i = 0; i < 20; i++) {
    const splice = one(channel, channel.funding.value - 1000n, each, [output(elsewhere, 800n)]);
    try {
      await announce(channel, splice);
      await validate(channel, splice);
      await sign(channel, splice);
      await channel.lock(splice.funding, -splice.ourLoss, splice.theirGain);
    } catch (error: unknown) {
      t.true(error instanceof Refused);
      return lost;
    }
    lost += splice.ourLoss;
  }
  return lost;
}

test('policy-onchain-velocity: what the peer gains by splices as if it were a fee is bounded by a day’s fees', async (t) => {
  const world = await World.open({ settings: { onchainFeesSatPerDay: 50_000n } });
  const channel = await ours(world);
  const lost = await drain(t, channel, 20_000n);
  t.true(lost <= 50_000n, `${lost} sat`);
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

attack('a forgotten channel is begun again while its splice may confirm', 'policy-channel-original-channel-id-reuse', {
  async prefix(world) {
    const channel = await ours(world);
    const splice = one(channel, 999_000n, 0n, []);
    await announce(channel, splice);
    await validate(channel, splice);
    await sign(channel, splice);
    await forget(channel);
    return channel;
  },
  hostile: (channel) => channel.announce(),
  honest: (channel) => TestChannel.open(channel.world, { peer: 5 }),
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
  'our secret is asked for while a splice that was signed for has no next commitment',
  'policy-revoke-new-commitment-signed',
  {
    async prefix(world) {
      const channel = await ours(world);
      const splice = one(channel, 999_000n, 0n, []);
      await announce(channel, splice);
      await validate(channel, splice);
      await sign(channel, splice);
      channel.setFeerate(1100);
      await channel.signOurs();
      return { channel, splice };
    },
    hostile: ({ channel }) => channel.weRevoke(),
    async honest({ channel, splice: { funding, ourLoss } }) {
      const { updates } = channel;
      const terms = (): Terms => {
        const now = updates.terms(updates.signed.local);
        return { ...now, ours: now.ours - ourLoss * 1000n };
      };
      await channel.signOurs({ funding, terms, number: channel.numbers.local });
      await channel.weRevoke();
    },
  },
);
