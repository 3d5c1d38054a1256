/** Attacks around the end of a channel. */

import test from 'ava';
import { attack, refused } from './attack.ts';
import { hashOf, TestChannel } from './channel.ts';
import { closeAlone, closeTogether, output, rawClose, sweepDelayed, walletScript } from './transactions.ts';
import { World } from './world.ts';

const hash = hashOf('payment');
const msat = 100_000_000n;
/** Where thieves want it. */
const elsewhere = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x66));
const thePeers = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x77));

/** A channel in which both sides own something, one step short of the next commitment. */
async function inUse(world: World): Promise<TestChannel> {
  const channel = await TestChannel.open(world);
  world.allowPayment(hash);
  const htlc = channel.add({ from: 'us', msat, hash });
  await channel.commit();
  channel.fulfil(htlc);
  await channel.commit();
  return channel;
}

/** Our share of `inUse`, with the fee off it. */
const ours = 899_000n;

async function closed(channel: TestChannel): Promise<void> {
  await closeTogether(channel, [output(walletScript(channel.world.keys, 3), ours), output(thePeers, 100_000n)]);
}

attack(
  'attack 4, our commitment N is signed after N+1 was validated, then N is to be revoked',
  'policy-revoke-not-closed',
  {
    async prefix(world) {
      const channel = await inUse(world);
      const [newest] = channel.commitments.local.slice(-1);
      channel.setFeerate(1500);
      await channel.signTheirs();
      await channel.theyRevoke();
      await channel.signOurs();
      if (newest === undefined) throw new Error('no commitment');
      await closeAlone(channel, newest);
      return { channel, newest };
    },
    hostile: ({ channel }) => channel.weRevoke(),
    honest: ({ channel, newest }) => closeAlone(channel, newest),
  },
);

attack('attack 4, a commitment is validated after our own was signed', 'policy-revoke-not-closed', {
  async prefix(world) {
    const channel = await inUse(world);
    const [newest] = channel.commitments.local.slice(-1);
    if (newest === undefined) throw new Error('no commitment');
    await closeAlone(channel, newest);
    channel.setFeerate(1500);
    await channel.signTheirs();
    await channel.theyRevoke();
    return { channel, newest };
  },
  hostile: ({ channel }) => channel.signOurs(),
  honest: ({ channel, newest }) => closeAlone(channel, newest),
});

attack('attack 4, after a mutual close a commitment is revoked', 'policy-revoke-not-closed', {
  async prefix(world) {
    const channel = await inUse(world);
    channel.setFeerate(1500);
    await channel.signTheirs();
    await channel.theyRevoke();
    await channel.signOurs();
    await closed(channel);
    return channel;
  },
  hostile: (channel) => channel.weRevoke(),
  honest: closed,
});

attack('attack 4, after a mutual close a commitment is validated', 'policy-revoke-not-closed', {
  async prefix(world) {
    const channel = await inUse(world);
    await closed(channel);
    channel.setFeerate(1500);
    await channel.signTheirs();
    await channel.theyRevoke();
    return channel;
  },
  hostile: (channel) => channel.signOurs(),
  honest: closed,
});

attack('a commitment that was revoked is to be broadcast', 'policy-commitment-holder-not-revoked', {
  async prefix(world) {
    const channel = await inUse(world);
    const [old, newest] = channel.commitments.local.slice(-2);
    if (old === undefined || newest === undefined) throw new Error('no commitment');
    return { channel, old, newest };
  },
  hostile: ({ channel, old }) => closeAlone(channel, old),
  honest: ({ channel, newest }) => closeAlone(channel, newest),
});

attack(
  'a commitment that was revoked is to be broadcast under the newest one’s number',
  'policy-commitment-holder-not-revoked',
  {
    async prefix(world) {
      const channel = await inUse(world);
      const [old, newest] = channel.commitments.local.slice(-2);
      if (old === undefined || newest === undefined) throw new Error('no commitment');
      return { channel, old, newest };
    },
    hostile: ({ channel, old, newest }) => closeAlone(channel, old, newest.number),
    honest: ({ channel, newest }) => closeAlone(channel, newest),
  },
);

attack('attack 12, a mutual close pays our part to a stranger', 'policy-mutual-destination-allowlisted', {
  prefix: inUse,
  hostile: (channel) => closeTogether(channel, [output(elsewhere, ours), output(thePeers, 100_000n)]),
  honest: closed,
});

attack('a mutual close gives our part to the peer', 'policy-mutual-value-matches-commitment', {
  prefix: inUse,
  hostile: (channel) =>
    closeTogether(channel, [output(walletScript(channel.world.keys, 3), 100_000n), output(thePeers, ours)]),
  honest: closed,
});

attack('a mutual close leaves our output out', 'policy-mutual-destination-allowlisted', {
  prefix: inUse,
  hostile: (channel) => closeTogether(channel, [output(thePeers, 999_000n)]),
  honest: closed,
});

attack('a mutual close burns our part in fees', 'policy-mutual-fee-range', {
  prefix: inUse,
  hostile: (channel) =>
    closeTogether(channel, [output(walletScript(channel.world.keys, 3), 400_000n), output(thePeers, 100_000n)]),
  honest: closed,
});

attack(
  'a mutual close pays our part to a script that is empty, as the one agreed on at setup is',
  'policy-mutual-destination-allowlisted',
  {
    prefix: inUse,
    hostile: (channel) => rawClose(channel, [output(new Uint8Array(), ours), output(thePeers, 100_000n)]),
    honest: closed,
  },
);

attack('a mutual close while an HTLC is pending', 'policy-mutual-no-pending-htlcs', {
  async prefix(world) {
    const channel = await inUse(world);
    const next = hashOf('pending');
    world.allowPayment(next);
    const htlc = channel.add({ from: 'us', msat, hash: next });
    await channel.commit();
    return { channel, htlc };
  },
  hostile: ({ channel }) =>
    closeTogether(channel, [output(walletScript(channel.world.keys, 3), ours - 100_000n), output(thePeers, 100_000n)]),
  async honest({ channel, htlc }) {
    channel.fail(htlc);
    await channel.commit();
    await closed(channel);
  },
});

for (const [where, script] of [
  ['a stranger', elsewhere],
  ['an empty script', new Uint8Array()],
] as const)
  attack(`what is ours of a commitment is swept to ${where}`, 'policy-sweep-destination-allowlisted', {
    async prefix(world) {
      const channel = await inUse(world);
      const [newest] = channel.commitments.local.slice(-1);
      if (newest === undefined) throw new Error('no commitment');
      await closeAlone(channel, newest);
      return { channel, newest };
    },
    hostile: ({ channel, newest }) => sweepDelayed(channel, newest, output(script, 890_000n)),
    honest: ({ channel, newest }) =>
      sweepDelayed(channel, newest, output(walletScript(channel.world.keys, 3), 890_000n)),
  });

attack('attack 6, a sweep pays everything in fees', 'policy-sweep-fee-range', {
  async prefix(world) {
    const channel = await inUse(world);
    const [newest] = channel.commitments.local.slice(-1);
    if (newest === undefined) throw new Error('no commitment');
    await closeAlone(channel, newest);
    return { channel, newest };
  },
  hostile: ({ channel, newest }) => sweepDelayed(channel, newest, output(walletScript(channel.world.keys, 3), 1000n)),
  honest: ({ channel, newest }) => sweepDelayed(channel, newest, output(walletScript(channel.world.keys, 3), 890_000n)),
});

test('policy-mutual-value-matches-commitment: a close is not signed for a funding without commitments', async (t) => {
  const world = await World.open();
  const channel = await inUse(world);
  // A splice that is only announced.
  const fundingTxid = new Uint8Array(32).fill(9);
  await channel.sayWhatItIs({ fundingTxid, pushValue: 0n }, 447n);
  const funding = { ...channel.funding, txid: fundingTxid };
  await refused(
    t,
    'policy-mutual-value-matches-commitment',
    closeTogether(channel, [output(thePeers, 999_000n)], { funding }),
  );
});
