/**
 * A payment through the node whose outgoing HTLC nobody settles: the node closes that channel, takes the HTLC back on the
 * chain, and fails the incoming one over the channel that it came by. Where the signer has news of the chain that needs no
 * word of the owner's.
 */

import type { Stories, World } from './owned_world.ts';

const msat = 50_000_000;
/** onchaind's reasonable_depth: how deep the HTLC has to be back. */
const depth = 3;
const forever = 'failed by nobody';

/** Has a payment go through the node that `far` holds; resolves, once its HTLC is there, to how it will end. */
async function held({ near, node, far }: World): Promise<{ readonly ended: Promise<string> }> {
  const params = { amount_msat: msat, label: 'held', description: 'held' };
  const { bolt11 } = await far.rpc<{ readonly bolt11: string }>('invoice', params);
  const ended = near.rpc('pay', { bolt11, retry_for: 1 }).then(
    () => 'paid',
    (error: unknown) => String(error),
  );
  await node.eventually('the HTLC at the last node', async () => (await far.channel(node)).htlcs.length === 1);
  return { ended };
}

/** Mines, one block after the other, until the transaction that takes the HTLC back is `depth` deep. */
async function timeOut({ bitcoind, node, near, far }: World): Promise<void> {
  const mine = async (blocks: number, transactions = 0) => {
    await bitcoind.mine(blocks, transactions);
    await node.sync();
    await near.sync();
  };
  const [htlc] = (await node.channel(far)).htlcs;
  if (htlc === undefined) throw new Error('expected an HTLC in the channel');
  await mine(htlc.expiry + 1 - (await bitcoind.height()));
  await mine(1, 1); // the commitment
  await mine(1, 1); // what takes the HTLC back
  for (let deep = 1; deep < depth; deep++) await mine(1);
}

/** The payer was told, and has nothing in flight any more. */
async function isBack({ near, node }: World, ended: Promise<string>): Promise<void> {
  if ((await ended) === 'paid') throw new Error('expected the payment to fail');
  await near.settled(node);
}

/** The channel by which it came is used once more. */
async function paysOn({ near, node }: World): Promise<void> {
  await near.pay(node, msat, 'afterwards');
}

export const onchain: Stories = {
  'an HTLC that timed out on the chain': {
    options: { holds: true },
    loses: ['far'],
    async play(world) {
      const { ended } = await held(world);
      await timeOut(world);
      await isBack(world, ended);
      const { asked } = await world.owned.approvals();
      if (asked.length > 0) throw new Error(`expected no question, got ${JSON.stringify(asked)}`);
      await paysOn(world);
    },
  },

  'an HTLC that timed out on a chain nobody tells of': {
    options: { holds: true, chain: false },
    loses: ['far', 'near'],
    async play(world) {
      const { near, node, owned } = world;
      const { ended } = await held(world);
      await timeOut(world);
      await node.eventually('the question', async () => (await owned.approvals()).asked.length > 0);
      // Nothing hangs meanwhile, and nothing is given back.
      await node.rpc('getinfo');
      const before = await Promise.race([ended, Promise.resolve(forever)]);
      if (before !== forever) throw new Error(`expected the payment to wait for the owner, got ${before}`);
      const [asked] = await owned.yes();
      if (asked?.gives_back !== true || asked.amount_msat !== `${msat}`)
        throw new Error(`expected the question to say what it is about, got ${JSON.stringify(asked)}`);
      await node.rpc('disconnect', { id: near.id, force: true }).catch(() => undefined);
      await near.connect(node);
      await isBack(world, ended);
      await paysOn(world);
    },
  },
};
