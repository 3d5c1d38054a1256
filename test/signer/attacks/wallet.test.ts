/** Attacks 6 and 12 on the wallet, and on what funds a channel. */

import { sha256 } from '@noble/hashes/sha2.js';
import test from 'ava';
import { type Transaction, type TxOutput, txid } from '../../../proto/bitcoin/tx.ts';
import { toHex, utf8 } from '../../../proto/bytes.ts';
import type { Utxo } from '../../../proto/hsmd/fields.ts';
import { fundingScript, p2wsh } from '../../../signer/bitcoin/script.ts';
import { Desk } from '../../../signer/policy/desk.ts';
import { attack, refused } from './attack.ts';
import { TestChannel } from './channel.ts';
import { output, utxo, walletScript, withdrawal } from './transactions.ts';
import { lightningd, Refused, World, type WorldOptions } from './world.ts';

const shop = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x55));
const thief = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x66));

/** An earlier transaction with one output of the wallet's. */
function coin(world: World, name: string, amount: bigint): { readonly utxo: Utxo; readonly made: Transaction } {
  const made: Transaction = {
    version: 2,
    inputs: [{ txid: sha256(utf8(name)), vout: 0, scriptSig: new Uint8Array(), sequence: 0xffffffff, witness: [] }],
    outputs: [output(walletScript(world.keys, 1), amount)],
    locktime: 0,
  };
  return { utxo: utxo(world.keys, 1, txid(made), amount), made };
}

function spend(
  world: World,
  coins: readonly ReturnType<typeof coin>[],
  outputs: readonly TxOutput[],
): Promise<unknown> {
  const request = withdrawal(
    coins.map((each) => each.utxo),
    outputs,
    coins.map(({ made }) => made),
  );
  return world.ask(lightningd, 'signWithdrawal', request);
}

function allowSpend(world: World, script: Uint8Array, most: bigint): void {
  const before = world.answer;
  world.answer = (purpose) =>
    (purpose.kind === 'spend' && purpose.script === toHex(script) && purpose.amountSat <= most) || before(purpose);
}

const withApproval = async (world: World) => {
  allowSpend(world, shop, 99_000n);
  return coin(world, 'coin', 100_000n);
};

attack('attack 6, an approved withdrawal pays 90 % in fees', 'policy-onchain-fee-range', {
  prefix: withApproval,
  hostile: (mine, world) => spend(world, [mine], [output(shop, 10_000n)]),
  honest: (mine, world) => spend(world, [mine], [output(shop, 99_000n)]),
});

attack('attack 6, a withdrawal nobody approved', 'policy-onchain-no-unknown-outputs', {
  prefix: withApproval,
  hostile: (mine, world) => spend(world, [mine], [output(thief, 99_000n)]),
  honest: (mine, world) => spend(world, [mine], [output(shop, 99_000n)]),
});

attack('attack 6, an approved withdrawal with a thief’s output beside it', 'policy-onchain-no-unknown-outputs', {
  prefix: withApproval,
  hostile: (mine, world) => spend(world, [mine], [output(shop, 9_000n), output(thief, 90_000n)]),
  honest: (mine, world) => spend(world, [mine], [output(shop, 9_000n), output(walletScript(world.keys, 2), 90_000n)]),
});

attack('attack 6, an approved withdrawal of more than was approved', 'policy-onchain-no-unknown-outputs', {
  prefix: withApproval,
  hostile: (mine, world) => spend(world, [mine], [output(shop, 99_500n)]),
  honest: (mine, world) => spend(world, [mine], [output(shop, 99_000n)]),
});

attack('change goes to a wallet key that no recovery would find', 'policy-onchain-no-unknown-outputs', {
  prefix: withApproval,
  hostile: (mine, world) => spend(world, [mine], [output(walletScript(world.keys, 0x7fff_ffff), 99_000n)]),
  honest: (mine, world) => spend(world, [mine], [output(walletScript(world.keys, 5), 99_000n)]),
});

test('policy-onchain-velocity: attack 6, 50 small spends, each under the limit', async (t) => {
  const world = await World.open({ settings: { onchainSatPerDay: 500_000n } });
  let left = 0n;
  for (let i = 0; i < 50; i++) {
    const mine = coin(world, `coin ${i}`, 50_000n);
    try {
      await spend(world, [mine], [output(thief, 49_000n)]);
      left += 49_000n;
    } catch (error: unknown) {
      t.is(error instanceof Refused ? error.tag : error, 'policy-onchain-velocity');
    }
    if (i % 10 === 0) await world.restart();
  }
  t.true(left <= 500_000n && left >= 490_000n, `${left}`);
});

test('policy-onchain-velocity: attack 6, 50 transactions to ourselves, each with a fee under the limit', async (t) => {
  const world = await World.open({ settings: { onchainFeesSatPerDay: 100_000n } });
  let burnt = 0n;
  for (let i = 0; i < 50; i++) {
    const mine = coin(world, `coin ${i}`, 60_000n);
    try {
      await spend(world, [mine], [output(walletScript(world.keys, 3), 40_000n)]);
      burnt += 20_000n;
    } catch (error: unknown) {
      t.is(error instanceof Refused ? error.tag : error, 'policy-onchain-velocity');
    }
  }
  t.is(burnt, 100_000n);
});

test('policy-onchain-input-ours: the amounts of two inputs are not taken on the host’s word, one request each', async (t) => {
  const world = await World.open();
  const [small, large] = [coin(world, 'small', 1_000n), coin(world, 'large', 10_000_000n)];
  const lie = { ...large.utxo, amount: 100_000n };
  const made = { ...large.made, outputs: [output(walletScript(world.keys, 1), 100_000n)] };
  const to = [output(walletScript(world.keys, 3), 100_500n)];
  const ask = (first: Utxo, previous: readonly Transaction[]) =>
    world.ask(lightningd, 'signWithdrawal', withdrawal([first, small.utxo], to, previous));
  await refused(t, 'policy-onchain-input-ours', ask(lie, [made, small.made]));
  await refused(t, 'policy-onchain-input-ours', ask(lie, []));
  await refused(t, 'policy-onchain-fee-range', ask(large.utxo, [large.made, small.made]));
});

const openFor: WorldOptions = {};

/** A channel that this transaction is to fund, up to its first commitments; what the output pays is the attacker's. */
async function funded(world: World, script: (channel: TestChannel) => Uint8Array, value = 1_000_000n) {
  world.answer = (purpose) => purpose.kind === 'open';
  const mine = coin(world, 'coin', 1_001_000n);
  const channel = new TestChannel(world, { opener: 'us', value: 1_000_000n });
  const outputs = [output(script(channel), value)];
  const { psbt } = withdrawal([mine.utxo], outputs, [mine.made]);
  channel.setup = { ...channel.setup, fundingTxid: txid(psbt.tx) };
  await channel.announce();
  await channel.sayWhatItIs();
  return { channel, sign: () => spend(world, [mine], outputs) };
}

const right = ({ funding }: TestChannel) => p2wsh(fundingScript(funding.localPubkey, funding.remotePubkey));
const theirsTwice = ({ funding }: TestChannel) => p2wsh(fundingScript(funding.remotePubkey, funding.remotePubkey));
const oursTwice = ({ funding }: TestChannel) => p2wsh(fundingScript(funding.localPubkey, funding.localPubkey));

async function validated({ channel }: Awaited<ReturnType<typeof funded>>): Promise<void> {
  await channel.signTheirs();
  await channel.signOurs();
}

for (const [what, script] of [
  ['the peer’s key twice', theirsTwice],
  ['our key twice', oursTwice],
  ['a key of the thief’s', () => thief],
] as const)
  test(`policy-onchain-output-scriptpubkey: attack 12, a funding output with ${what}`, async (t) => {
    const world = await World.open(openFor);
    const opening = await funded(world, script);
    await validated(opening);
    await refused(t, 'policy-onchain-output-scriptpubkey', opening.sign());
    const honest = await World.open(openFor);
    const good = await funded(honest, right);
    await validated(good);
    await t.notThrowsAsync(good.sign());
  });

attack(
  'attack 12, the funding is signed before our first commitment is',
  'policy-onchain-initial-commitment-countersigned',
  {
    prefix: (world) => funded(world, right),
    hostile: ({ sign }) => sign(),
    async honest(opening) {
      await validated(opening);
      await opening.sign();
    },
  },
);

test('policy-onchain-output-match-commitment: attack 12, a funding output of less than its commitments divide', async (t) => {
  const opening = await funded(await World.open(openFor), right, 990_000n);
  await validated(opening);
  await refused(t, 'policy-onchain-output-match-commitment', opening.sign());
});

test('policy-onchain-no-channel-push: the channel we fund is set up as the peer’s', async (t) => {
  const world = await World.open(openFor);
  world.answer = (purpose) => purpose.kind === 'open';
  const mine = coin(world, 'coin', 1_001_000n);
  const channel = new TestChannel(world, { opener: 'them', value: 1_000_000n, push: 0n });
  const outputs = [output(right(channel), 1_000_000n)];
  const { psbt } = withdrawal([mine.utxo], outputs, [mine.made]);
  channel.setup = { ...channel.setup, fundingTxid: txid(psbt.tx) };
  await channel.announce();
  await channel.sayWhatItIs();
  await channel.signTheirs();
  await channel.signOurs();
  await refused(t, 'policy-onchain-no-channel-push', spend(world, [mine], outputs));
});

test('a withdrawal to two strangers asks about both at once, and uses no yes up before both are allowed', async (t) => {
  const desk = new Desk();
  const world = await World.open({ approver: desk });
  const terms = { uses: 1, expires: Math.floor(world.now / 1000) + 600 };
  const mine = coin(world, 'coin', 100_000n);
  const attempt = () => spend(world, [mine], [output(shop, 40_000n), output(thief, 59_000n)]);
  await refused(t, 'policy-onchain-no-unknown-outputs', attempt());
  t.is(desk.asked.length, 2);
  desk.allowAsked(desk.asked[0]?.id ?? 0, terms);
  await refused(t, 'policy-onchain-no-unknown-outputs', attempt());
  t.like(desk.leaves(0), { length: 1, 0: { usesLeft: 1 } });
  desk.allowAsked(desk.asked[0]?.id ?? 0, terms);
  await t.notThrowsAsync(attempt);
  t.is(desk.leaves(0).length, 0);
});
