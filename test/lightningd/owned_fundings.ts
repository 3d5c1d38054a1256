/** Transactions that fund more than one channel, or one whose payments are under way. */

import type { Lightningd } from '../../cli/regtest_lightningd.ts';
import { type Stories, type Word, type World, withWord } from './owned_world.ts';

const msat = 100_000_000;
let labels = 0;

/** The owner was asked about these, all of them at once; amounts in satoshi. */
function expectAsked({ asked }: Word, kind: string, ...amounts: readonly number[]): void {
  const found = asked.map((each) => `${each.kind} ${each.amount_sat}`).sort();
  const expected = amounts.map((amount) => `${kind} ${amount}`).sort();
  if (found.join() !== expected.join()) throw new Error(`expected to be asked for ${expected}, got ${found}`);
}

/** Both channels carry payments, both ways. */
async function bothPay({ near, node, far, owned }: World): Promise<void> {
  const pay = async (from: Lightningd, to: Lightningd, amount_msat: number) => {
    const params = { amount_msat, label: `label ${++labels}`, description: 'owned' };
    const { bolt11 } = await to.rpc<{ readonly bolt11: string }>('invoice', params);
    await from.rpc('pay', { bolt11 });
  };
  await pay(near, node, msat);
  await pay(near, far, msat);
  await pay(far, near, msat / 2);
  const { asked } = await owned.approvals();
  if (asked.length > 0) throw new Error(`expected no question, got ${JSON.stringify(asked)}`);
}

/** Mines the transaction that waits, until both channels can be used. */
async function confirmBoth({ near, node, far }: World): Promise<void> {
  await node.confirm(near);
  await node.usable(far);
}

const idOf = async (node: Lightningd, other: Lightningd) => (await node.channel(other)).channel_id;

export const fundings: Stories = {
  'several channels opened in one transaction': {
    async play(world) {
      const { near, node, far, owned } = world;
      const destinations = [
        { id: near.id, amount: 300_000 },
        { id: far.id, amount: 310_000 },
      ];
      expectAsked(
        await withWord(owned, () => node.rpc('multifundchannel', { destinations })),
        'open',
        300_000,
        310_000,
      );
      await confirmBoth(world);
      await bothPay(world);
    },
  },

  'a push at the opening': {
    loses: ['far'],
    async play(world) {
      const { node, far, owned } = world;
      const open = () => node.rpc('fundchannel', { id: far.id, amount: 500_000, push_msat: msat });
      await open().catch(() => undefined);
      const [push] = (await owned.approvals()).asked;
      if (push?.kind !== 'push') throw new Error(`expected to be asked for the push, got ${JSON.stringify(push)}`);
      await owned.approve(`${push.id}`, '--uses', '2');
      await node.rpc('disconnect', { id: far.id, force: true }).catch(() => undefined);
      await node.connect(far);
      expectAsked(await withWord(owned, open), 'open', 500_000 - msat / 1000);
      await confirmBoth(world);
      await bothPay(world);
    },
  },

  'a splice while an HTLC is in flight': {
    options: { holds: true },
    async play(world) {
      const { near, node, far, owned } = world;
      const params = { amount_msat: msat, label: 'held', description: 'held' };
      const { bolt11 } = await far.rpc<{ readonly bolt11: string }>('invoice', params);
      const paid = near.rpc<{ readonly status: string }>('pay', { bolt11 });
      await node.eventually('the HTLC at the last node', async () => (await far.channel(node)).htlcs.length === 1);
      const spliceIn = { channel: await idOf(node, far), amount: '200000sat' };
      expectAsked(await withWord(owned, () => node.rpc('splicein', spliceIn)), 'open', 200_000);
      await node.confirm(far);
      await node.rpc('spliceout', { channel: await idOf(node, far), amount: '50000sat' });
      await world.release();
      if ((await paid).status !== 'complete') throw new Error('expected the payment to succeed');
      await node.confirm(far);
      await bothPay(world);
    },
  },

  'a splice of two channels at once': {
    async play(world) {
      const { near, node, far, owned } = world;
      await near.pay(node, 4 * msat, 'so that the node has something there');
      const [one, two] = [await idOf(node, near), await idOf(node, far)];
      const splice = (script: string) => node.rpc('dev-splice', { script_or_json: script });
      const into = `wallet -> 210000+fee; 100000 -> ${one}; 110000 -> ${two}`;
      expectAsked(await withWord(owned, () => splice(into)), 'open', 100_000, 110_000);
      await confirmBoth(world);
      await bothPay(world);
      await splice(`${one} -> 60000; ${two} -> 70000`);
      await confirmBoth(world);
      await bothPay(world);
      const across = `wallet -> 100000; 100000 -> ${one}; ${two} -> 100000`;
      expectAsked(await withWord(owned, () => splice(across)), 'open', 100_000);
      await confirmBoth(world);
      await bothPay(world);
    },
  },
};
