/** Attacks 8 and 11: an earlier state put back, and two signers at once. */

import test, { type ExecutionContext } from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import { systemEntropy } from '../../../proto/entropy.ts';
import { silent } from '../../../proto/log.ts';
import { openFileStore } from '../../../signer/node/file_store.ts';
import { type Memory, openMemoryStore } from '../../../signer/store/memory.ts';
import { Seal, SealError } from '../../../signer/store/seal.ts';
import { openSealed } from '../../../signer/store/sealed.ts';
import { StoreError, type WhenMissing } from '../../../signer/store/store.ts';
import { temporaryDirectory, until } from '../../server/host_under_test.ts';
import { copyOf, HostOfCopies, signerWith } from '../store/host_of_copies.ts';
import { attack, refused } from './attack.ts';
import { type Hostile, hashOf, TestChannel } from './channel.ts';
import type { Terms } from './terms.ts';
import { closeAlone } from './transactions.ts';
import { Refused, World } from './world.ts';

/** A signer whose state has a copy at a host. */
async function attached(host: HostOfCopies, memory: Memory) {
  const { hostCopy } = signerWith(memory, { newState: memory.state === undefined });
  const link = await host.attach(hostCopy);
  const openStore = async (keys: World['keys']) => {
    const place = (whenMissing: WhenMissing) => Promise.resolve().then(() => openMemoryStore(memory, whenMissing));
    const store = await hostCopy.open(keys, place);
    hostCopy.serve();
    return store;
  };
  return { world: await World.open({ memory, openStore }), link };
}

async function hostFor(t: ExecutionContext): Promise<HostOfCopies> {
  const host = new HostOfCopies(await temporaryDirectory(t));
  t.teardown(() => host[Symbol.asyncDispose]());
  return host;
}

async function followed(host: HostOfCopies, world: World): Promise<void> {
  const copy = await host.copy;
  await until(() => copy.version === world.store.head.version, 'the copy is up');
}

async function pay(channel: TestChannel, name: string): Promise<void> {
  channel.world.allowPayment(hashOf(name));
  const htlc = channel.add({ from: 'us', msat: 50_000_000n, hash: hashOf(name) });
  await channel.commit();
  channel.fulfil(htlc);
  await channel.commit();
}

test('policy-commitment-holder-not-revoked: attack 8, the local state is put back, then an old commitment is asked for, across restarts', async (t) => {
  const host = await hostFor(t);
  const memory: Memory = {};
  const { world } = await attached(host, memory);
  const channel = await TestChannel.open(world);
  const [old] = channel.commitments.local;
  if (old === undefined) throw new Error('no commitment');
  const before = copyOf(memory);
  await pay(channel, 'payment');
  await followed(host, world);
  await refused(t, 'policy-commitment-holder-not-revoked', closeAlone(channel, old));
  await world.store[Symbol.asyncDispose]();
  await t.throwsAsync(attached(host, before), { instanceOf: Refused, message: /put back to an earlier one/ });
  // Without the host's copy nobody could tell, which is why there is one.
  const alone = await World.open({ memory: copyOf(before) });
  await t.notThrowsAsync(closeAlone(Object.assign(Object.create(channel), { world: alone }), old));
});

test('policy-commitment-holder-not-revoked: attack 8, the host’s copy is put back, then an old commitment is asked for, across restarts', async (t) => {
  const host = await hostFor(t);
  const memory: Memory = {};
  const { world } = await attached(host, memory);
  const channel = await TestChannel.open(world);
  const [old] = channel.commitments.local;
  if (old === undefined) throw new Error('no commitment');
  await followed(host, world);
  await host.remember('before');
  await pay(channel, 'payment');
  await world.store[Symbol.asyncDispose]();
  await host.putBack('before');
  const later = await attached(host, memory);
  const still = Object.assign(Object.create(channel), { world: later.world });
  await refused(t, 'policy-commitment-holder-not-revoked', closeAlone(still, old));
  await followed(host, later.world);
});

test('attack 8, the state is lost, and the host gives an earlier copy to recover from, with a second signer', async (t) => {
  const host = await hostFor(t);
  const { world } = await attached(host, {});
  const channel = await TestChannel.open(world);
  await followed(host, world);
  await host.remember('before');
  await pay(channel, 'payment');
  const reached = world.store.head.version;
  await host.putBack('before');
  const copy = await host.copy;
  if (copy.head === undefined) throw new Error('no copy');
  const { head } = copy;
  const entries = copy.entries().map(({ name, version, ciphertext }) => ({ key: toHex(name), version, ciphertext }));
  const seal = new Seal(world.keys.state, systemEntropy);
  const error = t.throws(() => openSealed(seal, entries, head, reached), { instanceOf: SealError });
  t.is(error.problem, 'rolled back');
});

test('attack 11, a second signer over the same state does not start', async (t) => {
  const world = await World.open();
  await t.throwsAsync(World.open({ memory: world.memory }), { instanceOf: Refused, message: /open already/ });
  const folder = `${await temporaryDirectory(t)}/state`;
  const open = () => openFileStore({ folder, whenMissing: 'create', log: silent, entropy: systemEntropy });
  await using first = await open();
  await t.throwsAsync(open(), { instanceOf: StoreError });
  t.is(first.head.version, 0n);
});

/** One half of an equivocation: a commitment that pays this hash. */
function half(name: string): Hostile {
  const htlc = { side: 'local', amount: 1_000_000n, paymentHash: hashOf(name), cltvExpiry: 500 } as const;
  return { terms: (now: Terms): Terms => ({ ...now, ours: now.ours - 1_000_000n, htlcs: [htlc] }), number: 1n };
}

attack('attack 11, one half of an equivocation is asked for after the other', 'policy-commitment-retry-same', {
  async prefix(world) {
    const channel = await TestChannel.open(world, { opener: 'them', push: 500_000n });
    world.answer = () => true;
    await channel.signTheirs(half('one'));
    return channel;
  },
  hostile: (channel) => channel.signTheirs(half('another')),
  async honest(channel) {
    await channel.signTheirs(half('one'));
    await channel.theyRevoke();
  },
});

test('attack 11, two signers with states of their own are found out when the host shows what the other did', async (t) => {
  const host = await hostFor(t);
  const memory: Memory = {};
  const { world } = await attached(host, memory);
  const channel = await TestChannel.open(world);
  await followed(host, world);
  const twin = copyOf(memory);
  await pay(channel, 'payment');
  await followed(host, world);
  await t.throwsAsync(attached(host, twin), { instanceOf: Refused, message: /put back|lost/ });
});
