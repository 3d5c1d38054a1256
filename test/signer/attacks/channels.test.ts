/** Attacks 12 and 14, and others on how channels begin, change and end. */

import { sha256 } from '@noble/hashes/sha2.js';
import test from 'ava';
import { concat, toHex } from '../../../proto/bytes.ts';
import { fundingScript } from '../../../signer/bitcoin/script.ts';
import { commitmentDigest } from '../../../signer/lightning/countersigned.ts';
import { attack, refused } from './attack.ts';
import { channeld, openingd, TestChannel } from './channel.ts';
import { closeAlone, closeTogether, output, walletScript } from './transactions.ts';
import { chain, lightningd, World } from './world.ts';

const elsewhere = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x66));

test('policy-revoke-new-commitment-signed: what was revoked before a channel was used counts after it was begun again', async (t) => {
  const world = await World.open();
  const channel = new TestChannel(world, { opener: 'us' });
  await channel.announce();
  await channel.sayWhatItIs();
  // The peer signs two commitments of ours, and we revoke the first, before anything of the peer's was signed.
  await channel.signOurs();
  channel.setFeerate(1500);
  await channel.signOurs();
  const revoke = channel.weRevoke();
  await Promise.allSettled([revoke]);
  for (let i = 0; i < 64; i++) await new TestChannel(world, { peer: 9 }).announce();
  // Begun again with the same number: the secret that was given away is of its first commitment.
  const again = new TestChannel(world, { opener: 'us' });
  Object.assign(again, {
    dbid: channel.dbid,
    ourKeys: channel.ourKeys,
    theirKeys: channel.theirKeys,
    setup: channel.setup,
  });
  const reopened = (async () => {
    await again.announce();
    await again.sayWhatItIs();
    await again.signTheirs();
    const first = await again.signOurs();
    await closeAlone(again, first);
  })();
  const [given, closed] = await Promise.allSettled([revoke, reopened]);
  t.false(given.status === 'fulfilled' && closed.status === 'fulfilled', 'a revoked commitment was signed');
});

attack(
  'a channel that has our commitment is crowded out and begun anew as the peer’s',
  'policy-channel-setup-consistent',
  {
    async prefix(world) {
      const channel = new TestChannel(world, { opener: 'us' });
      await channel.announce();
      await channel.sayWhatItIs();
      await channel.signOurs();
      for (let i = 0; i < 64; i++) await new TestChannel(world, { peer: 9 }).announce();
      return channel;
    },
    hostile: (channel) => channel.sayWhatItIs({ isOutbound: false }),
    honest: (channel) => channel.signTheirs(),
  },
);

test('channels that are begun and never used do not pile up, announced or not', async (t) => {
  const world = await World.open();
  const used = await TestChannel.open(world);
  for (let i = 0; i < 40; i++) {
    await new TestChannel(world, { peer: 9 }).announce();
    await new TestChannel(world, { peer: 9 }).sayWhatItIs();
  }
  const known = [...world.store.entries.keys()].filter((key) => key.startsWith('channel/'));
  t.true(known.length <= 34, `${known.length} channels`);
  await t.notThrowsAsync(used.commit());
});

attack('a channel is set up again with the opener exchanged', 'policy-channel-setup-consistent', {
  prefix: (world) => TestChannel.open(world),
  hostile: (channel) => channel.sayWhatItIs({ isOutbound: false }),
  honest: (channel) => channel.sayWhatItIs(),
});

for (const [what, change] of [
  ['a shorter delay for the peer', { localToSelfDelay: 5 }],
  ['another delay for us', { remoteToSelfDelay: 2000 }],
  ['another push', { pushValue: 500_000_000n }],
  ['another value', { channelValue: 2_000_000n }],
  ['another type', { channelType: Uint8Array.of(0x10, 0x00) }],
  ['another shutdown script', { localShutdownScript: elsewhere }],
] as const)
  attack(`a channel is set up again with ${what}`, 'policy-channel-setup-consistent', {
    prefix: (world) => TestChannel.open(world),
    hostile: (channel) => channel.sayWhatItIs(change),
    honest: (channel) => channel.sayWhatItIs(),
  });

attack('a second funding for a channel that was opened by one side', 'policy-channel-setup-consistent', {
  prefix: (world) => TestChannel.open(world),
  hostile: (channel) => channel.sayWhatItIs({ fundingTxid: new Uint8Array(32).fill(8) }),
  honest: (channel) => channel.sayWhatItIs(),
});

attack('a commitment of a channel that was never set up', 'policy-channel-setup-consistent', {
  async prefix(world) {
    const channel = new TestChannel(world);
    await channel.announce();
    return channel;
  },
  hostile: (channel) => channel.signTheirs(),
  async honest(channel) {
    await channel.sayWhatItIs();
    await channel.signTheirs();
  },
});

attack('a secret of a channel that nobody announced', 'policy-revoke-new-commitment-signed', {
  prefix: (world) => Promise.resolve(new TestChannel(world)),
  hostile: (channel) => channel.weRevoke(),
  honest: (channel) => channel.announce(),
});

attack('a channel number that was forgotten is used again', 'policy-channel-original-channel-id-reuse', {
  async prefix(world) {
    const channel = await TestChannel.open(world);
    await world.ask(lightningd, 'forgetChannel', { peerId: channel.peer.node.point, dbid: channel.dbid });
    return channel;
  },
  hostile: (channel) => channel.announce(),
  honest: async (channel) => {
    await TestChannel.open(channel.world, { peer: 5 });
  },
});

attack('a forgotten channel is set up without being announced', 'policy-channel-original-channel-id-reuse', {
  async prefix(world) {
    const channel = await TestChannel.open(world);
    await world.ask(lightningd, 'forgetChannel', { peerId: channel.peer.node.point, dbid: channel.dbid });
    return channel;
  },
  hostile: (channel) => channel.sayWhatItIs(),
  honest: async (channel) => {
    await TestChannel.open(channel.world, { peer: 5 });
  },
});

attack('half of a new channel is given to the peer', 'policy-onchain-no-channel-push', {
  async prefix(world) {
    const channel = new TestChannel(world, { opener: 'us' });
    await channel.announce();
    return channel;
  },
  hostile: (channel) => channel.sayWhatItIs({ pushValue: 500_000_000n }),
  honest: (channel) => channel.sayWhatItIs(),
});

test('policy-onchain-no-channel-push: a node on the allowlist is given nothing at opening: its keys are only the host’s word', async (t) => {
  const peer = new TestChannel(await World.open()).peer.node.point;
  const world = await World.open({ settings: { allowedNodes: new Set([toHex(peer)]) } });
  const channel = new TestChannel(world, { opener: 'us' });
  await channel.announce();
  await refused(t, 'policy-onchain-no-channel-push', channel.sayWhatItIs({ pushValue: 500_000_000n }));
});

attack('attack 12, the first commitment gives the peer what we put in', 'policy-commitment-initial-funding-value', {
  async prefix(world) {
    const channel = new TestChannel(world, { opener: 'us' });
    await channel.announce();
    await channel.sayWhatItIs();
    return channel;
  },
  hostile: (channel) =>
    channel.signTheirs({ terms: (terms) => ({ ...terms, ours: terms.ours / 2n, theirs: terms.ours / 2n }) }),
  honest: (channel) => channel.signTheirs(),
});

attack('attack 12, what we close to is swapped between setup and close', 'policy-mutual-destination-allowlisted', {
  async prefix(world) {
    const channel = new TestChannel(world, { opener: 'us' });
    await channel.announce();
    const agreed = walletScript(world.keys, 7);
    await channel.sayWhatItIs({ localShutdownScript: agreed, localShutdownWalletIndex: 7 });
    await channel.signTheirs();
    await channel.signOurs();
    return { channel, agreed };
  },
  hostile: ({ channel }) => closeTogether(channel, [output(elsewhere, 998_000n)]),
  honest: ({ channel, agreed }) => closeTogether(channel, [output(agreed, 998_000n)]),
});

attack('attack 12, a shutdown script that is called a wallet key and is not', 'policy-mutual-destination-allowlisted', {
  async prefix(world) {
    const channel = new TestChannel(world);
    await channel.announce();
    return channel;
  },
  hostile: (channel) => channel.sayWhatItIs({ localShutdownScript: elsewhere, localShutdownWalletIndex: 7 }),
  honest: (channel) =>
    channel.sayWhatItIs({ localShutdownScript: walletScript(channel.world.keys, 7), localShutdownWalletIndex: 7 }),
});

for (const n of [3n, 4n, 100n])
  attack(`our point ${n} is asked for long before its turn`, 'policy-per-commitment-point-ahead', {
    prefix: (world) => TestChannel.open(world),
    hostile: (channel) => channel.world.ask(channel.client(channeld), 'getPerCommitmentPoint', { n }),
    honest: (channel) => channel.world.ask(channel.client(openingd), 'getPerCommitmentPoint', { n: 1n }),
  });

/** What a signature of the funding key signs, as an announcement of a channel: type, 256 bytes of signatures, and this. */
function announcement(signed: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(1, 0), new Uint8Array(256), signed);
}

test('policy-gossip-format: a transaction is not signed as the announcement of a channel', async (t) => {
  const world = await World.open();
  const channel = await TestChannel.open(world);
  const { commitment } = channel.build('remote', {
    terms: (terms) => ({ ...terms, ours: 0n, theirs: terms.ours - 2_000_000n }),
  });
  const preimage = preimageOf(channel, commitment.tx);
  t.deepEqual(doubleHash(preimage), commitmentDigest(commitment));
  const on = { peerId: channel.peer.node.point, dbid: channel.dbid };
  await refused(
    t,
    'policy-gossip-format',
    world.ask(lightningd, 'signAnyCannouncement', { ca: announcement(preimage), ...on }),
  );
  await refused(
    t,
    'policy-gossip-format',
    world.ask(channel.client(2n), 'cannouncementSig', { ca: announcement(preimage) }),
  );
  const [first, second] = [world.keys.node.point, channel.peer.node.point];
  const keys = [first, second, channel.funding.localPubkey, channel.funding.remotePubkey];
  const ca = announcement(concat(new Uint8Array(2), chain, new Uint8Array(8), ...keys));
  await t.notThrowsAsync(world.ask(lightningd, 'signAnyCannouncement', { ca, ...on }));
});

/** BIP 143's preimage of the commitment's only input. */
function preimageOf(
  channel: TestChannel,
  { version, inputs, outputs, locktime }: ReturnType<TestChannel['build']>['commitment']['tx'],
) {
  const le = (value: bigint, length: number) =>
    Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
  const [input] = inputs;
  if (input === undefined) throw new Error('no input');
  const twice = (bytes: Uint8Array) => doubleHash(bytes);
  const outpoint = concat(input.txid, le(BigInt(input.vout), 4));
  const script = fundingScript(channel.funding.localPubkey, channel.funding.remotePubkey);
  const written = outputs.map((each) => concat(le(each.amount, 8), Uint8Array.of(each.script.length), each.script));
  return concat(
    le(BigInt(version), 4),
    twice(outpoint),
    twice(le(BigInt(input.sequence), 4)),
    outpoint,
    Uint8Array.of(script.length),
    script,
    le(channel.funding.value, 8),
    le(BigInt(input.sequence), 4),
    twice(concat(...written)),
    le(BigInt(locktime), 4),
    le(1n, 4),
  );
}

function doubleHash(bytes: Uint8Array): Uint8Array {
  return sha256(sha256(bytes));
}
