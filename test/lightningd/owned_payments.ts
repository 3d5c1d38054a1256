/** Payments of a node whose owner has to say yes to each: lightningd is told no, the owner yes, and lightningd tries again. */

import type { Lightningd } from '../../cli/regtest_lightningd.ts';
import { type Stories, type Word, type World, withWord } from './owned_world.ts';

const msat = 77_000_000;
/** What a channel charges that is dear: 1 sat and 0.2 %. */
const dear = { feebase: 1000, feeppm: 2000 } as const;

let labels = 0;

/** An invoice of a node that leaves the amount to its payer. */
async function amountless(of: Lightningd): Promise<string> {
  const params = { amount_msat: 'any', label: `label ${++labels}`, description: 'owned' };
  return (await of.rpc<{ readonly bolt11: string }>('invoice', params)).bolt11;
}

/** The owner was asked once, for this. */
function expectAsked({ asked }: Word, kind: string, amountMsat: string | undefined): void {
  const [first] = asked;
  if (asked.length !== 1 || first?.kind !== kind || first.amount_msat !== amountMsat)
    throw new Error(
      `expected to be asked for a ${kind} of ${amountMsat ?? 'any amount'}, got ${JSON.stringify(asked)}`,
    );
}

async function isPaid({ node }: World, msatSent: number): Promise<void> {
  const { pays } = await node.rpc<{ readonly pays: readonly { readonly amount_sent_msat?: number }[] }>('listpays');
  if (!pays.some(({ amount_sent_msat }) => amount_sent_msat === msatSent))
    throw new Error(`expected a payment that sent ${msatSent} msat, found ${JSON.stringify(pays)}`);
}

interface Updated {
  readonly updates?: { readonly remote?: { readonly fee_proportional_millionths: number } };
}

/** `near` and `far` get a channel over which `node` pays `near` dearly. */
async function dearRoute({ near, far, node, bitcoind }: World): Promise<void> {
  await near.connect(far);
  await near.rpc('fundchannel', { id: far.id, amount: 1_000_000, push_msat: 500_000_000 });
  await near.confirm(far);
  await far.rpc('setchannel', { id: near.id, ...dear, enforcedelay: 0 });
  await bitcoind.mine(6);
  // The payer from gossip, the payee from its peer: its invoice has the fee.
  await node.eventually('the fee in gossip', async () => {
    const { channels } = await node.rpc<{ readonly channels: readonly { readonly fee_per_millionth: number }[] }>(
      'listchannels',
      { source: far.id },
    );
    return channels.some(({ fee_per_millionth }) => fee_per_millionth === dear.feeppm);
  });
  await near.eventually('the fee at the peer', async () => {
    const { channels } = await near.rpc<{ readonly channels: readonly Updated[] }>('listpeerchannels', { id: far.id });
    return channels.some(({ updates }) => updates?.remote?.fee_proportional_millionths === dear.feeppm);
  });
}

export const payments: Stories = {
  'an amountless invoice': {
    async play({ node, far, owned }) {
      const [first, second] = [await amountless(far), await amountless(far)];
      const params = { amount_msat: msat };
      expectAsked(await withWord(owned, () => node.rpc('pay', { bolt11: first, ...params }), msat), 'pay', undefined);
      expectAsked(
        await withWord(owned, () => node.rpc('xpay', { invstring: second, ...params }), msat),
        'pay',
        undefined,
      );
    },
  },

  'an amountless invoice over a dear route': {
    async play(world) {
      const { node, near, owned } = world;
      await dearRoute(world);
      const invstring = await amountless(near);
      await withWord(owned, () => node.rpc('xpay', { invstring, amount_msat: msat }), msat);
      await isPaid(world, msat + dear.feebase + (msat / 1_000_000) * dear.feeppm);
    },
  },

  'an amountless offer': {
    async play({ node, far, owned }) {
      const { bolt12 } = await far.rpc<{ readonly bolt12: string }>('offer', { amount: 'any', description: 'coffee' });
      const fetched = await node.rpc<{ readonly invoice: string }>('fetchinvoice', {
        offer: bolt12,
        amount_msat: msat,
      });
      expectAsked(await withWord(owned, () => node.rpc('pay', { bolt11: fetched.invoice })), 'offer', `${msat}`);
      // Each attempt fetches another invoice.
      const attempt = () => node.rpc('xpay', { invstring: bolt12, amount_msat: msat });
      expectAsked(await withWord(owned, attempt), 'offer', `${msat}`);
    },
  },

  'a keysend': {
    async play({ node, far, owned }) {
      const params = { destination: far.id, amount_msat: msat };
      expectAsked(await withWord(owned, () => node.rpc('xkeysend', params)), 'keysend', `${msat}`);
    },
  },
};
