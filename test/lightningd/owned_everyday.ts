/** What operators do every day with a node's wallet and channels: its owner is asked where value leaves, and nowhere else. */

import type { AskedJson } from '../../cli/approver_requests.ts';
import { type Stories, type World, withWord } from './owned_world.ts';

/** Each is done in this order: what the owner is asked about by it (the kinds), in none of it where there is nothing. */
interface Step {
  readonly does: string;
  readonly asks?: readonly string[];
  /** Where the no ends a subdaemon: what is done once the peer is connected anew, unless lightningd goes on by itself. */
  readonly rests?: 'tried again' | 'goes on';
  readonly run: (world: World) => Promise<unknown>;
}

type Address = 'bech32' | 'p2tr';

async function own({ node }: World, addresstype: Address = 'bech32'): Promise<string> {
  const { [addresstype]: address = '' } = await node.rpc<Partial<Record<Address, string>>>('newaddr', { addresstype });
  return address;
}

/** The same at each attempt, so that a yes to the first counts for the second. */
const strangers = ['bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080', '2N8hwP1WmJrFF5QWABn38y63uYLhnJYJYTF'];

const invoiceOf = async (to: World['node'], amount_msat: number, label: string) =>
  (await to.rpc<{ readonly bolt11: string }>('invoice', { amount_msat, label, description: label })).bolt11;

/** Signs and sends a PSBT of 200,000 sat that pays nearly all of them to an address. */
async function sendPsbt({ node }: World, destination: string): Promise<void> {
  const request = { satoshi: 200_000, feerate: 'normal', startweight: 500, excess_as_change: true };
  const { psbt } = await node.rpc<{ readonly psbt: string }>('fundpsbt', request);
  const output = { satoshi: 190_000, initialpsbt: psbt, destination };
  const paying = await node.rpc<{ readonly psbt: string }>('addpsbtoutput', output);
  const { signed_psbt } = await node.rpc<{ readonly signed_psbt: string }>('signpsbt', { psbt: paying.psbt });
  await node.rpc('sendpsbt', { psbt: signed_psbt });
}

const withdraw = (to: (world: World) => Promise<string>, satoshi: number | 'all') => async (world: World) =>
  world.node.rpc('withdraw', { destination: await to(world), satoshi });

/** Takes satoshi out of the channel with `far`, to an address. */
async function spliceOutTo({ node, far, bitcoind }: World, address: string, sat: number): Promise<void> {
  const { channel_id } = await node.channel(far);
  const outputs = JSON.stringify([{ [address]: (sat / 1e8).toFixed(8) }]);
  const initialpsbt = String(await bitcoind.cli('createpsbt', '[]', outputs));
  const begin = { channel_id, relative_amount: -sat - 3000, initialpsbt, skip_stfu: false };
  let { psbt } = await node.rpc<{ readonly psbt: string }>('splice_init', begin);
  for (let done = false; !done; ) {
    const update = await node.rpc<{ readonly psbt: string; readonly commitments_secured: boolean }>('splice_update', {
      channel_id,
      psbt,
    });
    ({ psbt, commitments_secured: done } = update);
  }
  await node.rpc('splice_signed', { channel_id, psbt });
}

async function close({ node, far }: World, destination?: string): Promise<void> {
  const { channel_id: id } = await node.channel(far);
  await node.rpc('close', { id, ...(destination !== undefined && { destination }), unilateraltimeout: 50 });
}

const stranger = () => Promise.resolve(strangers[0] ?? '');

const steps: readonly Step[] = [
  {
    does: 'be paid',
    run: async (world) => world.near.rpc('pay', { bolt11: await invoiceOf(world.node, 300_000_000, 'be paid') }),
  },
  {
    does: 'forward',
    run: async (world) => world.near.rpc('pay', { bolt11: await invoiceOf(world.far, 20_000_000, 'forward') }),
  },
  { does: 'sign a message', run: ({ node }) => node.rpc('signmessage', { message: 'hello' }) },
  { does: 'make a secret', run: ({ node }) => node.rpc('makesecret', { string: 'hello' }) },
  { does: 'make a rune', run: ({ node }) => node.rpc('createrune') },
  { does: 'back channels up', run: ({ node }) => node.rpc('staticbackup') },
  { does: 'withdraw to itself', run: withdraw(own, 100_000) },
  { does: 'withdraw to itself, taproot', run: withdraw((world) => own(world, 'p2tr'), 100_000) },
  { does: 'withdraw', asks: ['spend'], run: withdraw(stranger, 100_000) },
  {
    does: 'withdraw to two strangers',
    asks: ['spend', 'spend'],
    run: ({ node }) => node.rpc('multiwithdraw', { outputs: strangers.map((each) => ({ [each]: 50_000 })) }),
  },
  { does: 'send a PSBT to itself', run: async (world) => sendPsbt(world, await own(world)) },
  { does: 'upgrade the wallet', run: ({ node }) => node.rpc('upgradewallet') },
  {
    does: 'splice in',
    asks: ['open'],
    run: async ({ node, far }) =>
      node.rpc('splicein', { channel: (await node.channel(far)).channel_id, amount: '300000sat' }),
  },
  {
    does: 'splice out to the wallet',
    run: async ({ node, far }) =>
      node.rpc('spliceout', { channel: (await node.channel(far)).channel_id, amount: '100000sat' }),
  },
  {
    does: 'splice out',
    asks: ['spliceOut'],
    rests: 'tried again',
    run: async (world) => spliceOutTo(world, await stranger(), 100_000),
  },
  {
    does: 'open a channel',
    asks: ['open'],
    run: ({ node, far }) => node.rpc('fundchannel', { id: far.id, amount: 500_000 }),
  },
  { does: 'close', run: (world) => close(world) },
  {
    does: 'close to a stranger',
    asks: ['closeTo'],
    rests: 'goes on',
    run: async (world) => close(world, await stranger()),
  },
  { does: 'withdraw all to itself', run: withdraw(own, 'all') },
  { does: 'withdraw all', asks: ['spend'], run: withdraw(stranger, 'all') },
];

/** Mines what waits, until all know of it. */
async function mine({ bitcoind, near, node, far }: World): Promise<void> {
  await bitcoind.mine(6);
  for (const each of [near, node, far]) await each.sync();
}

/** lightningd does not say that it was refused, and leaves the channel alone until the peer is connected anew. */
async function withRest(world: World, { run, rests }: Step): Promise<readonly AskedJson[]> {
  const { owned, node, far } = world;
  const begun = run(world);
  begun.catch(() => undefined);
  await node.eventually('the question', async () => (await owned.approvals()).asked.length > 0);
  const asked = await owned.yes();
  await node.rpc('disconnect', { id: far.id, force: true }).catch(() => undefined);
  await node.connect(far);
  if (rests === 'goes on') await begun;
  else {
    await node.usable(far);
    await run(world);
  }
  return asked;
}

async function askedBy(world: World, step: Step): Promise<readonly AskedJson[]> {
  if (step.rests !== undefined) return withRest(world, step);
  if (step.asks !== undefined) return (await withWord(world.owned, () => step.run(world))).asked;
  await step.run(world);
  return (await world.owned.approvals()).asked;
}

async function take(world: World, step: Step): Promise<void> {
  const asked = (await askedBy(world, step)).map(({ kind }) => kind);
  const { does, asks = [] } = step;
  if (asked.join() !== asks.join()) throw new Error(`${does}: expected to be asked for ${asks}, got ${asked}`);
  await mine(world);
}

export const everyday: Stories = {
  'what operators do every day': {
    loses: ['far'],
    async play(world) {
      for (const step of steps) await take(world, step);
    },
  },
};
