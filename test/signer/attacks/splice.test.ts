/** Attack 14, and others on splices. */

import test, { type ExecutionContext } from 'ava';
import { type Transaction, type TxOutput, txid } from '../../../proto/bitcoin/tx.ts';
import { toHex } from '../../../proto/bytes.ts';
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

test('policy-splice-new-funding-validated: attack 14, a transaction that the wallet signed before the channel was there', async (t) => {
  const world = await World.open();
  world.answer = (purpose) => purpose.kind === 'open';
  const robbed = new TestChannel(world, { peer: 3, value: 1_000_000n });
  const opened = new TestChannel(world, { peer: 4, value: 1_000_000n });
  const { localPubkey, remotePubkey } = opened.funding;
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
  const tx: Transaction = {
    version: 2,
    inputs: [input(robbed.funding), input(mine)],
    outputs: [output(p2wsh(fundingScript(localPubkey, remotePubkey)), 1_000_000n), output(elsewhere, 1_000_000n)],
    locktime: 0,
  };
  const spent = fundingSpent(robbed.funding);
  const psbt = {
    tx,
    globals: [],
    inputs: [
      { previousTx: undefined, witnessUtxo: { amount: spent.amount, script: spent.script }, pairs: [] },
      { previousTx: made, witnessUtxo: { amount: mine.amount, script: mine.scriptpubkey }, pairs: [] },
    ],
    outputs: [[], []],
  };
  // One channel is opened by it, with a peer who is said to pay with what will be the other one's funding.
  opened.setup = { ...opened.setup, fundingTxid: txid(tx) };
  await opened.announce();
  await opened.sayWhatItIs();
  await opened.signTheirs();
  await opened.signOurs();
  await world.ask(lightningd, 'signWithdrawal', { inputs: [mine], psbt });
  await robbed.announce();
  await robbed.sayWhatItIs();
  await robbed.signTheirs();
  await robbed.signOurs();
  const request = { tx: { tx, psbt }, remoteFundingKey: robbed.funding.remotePubkey, inputIndex: 0 };
  const { sig } = await world.ask(robbed.client(channeld), 'signSpliceTx', request);
  t.false(spends(robbed, { tx }, sig.signature));
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
