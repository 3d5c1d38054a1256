/** What an owner notices of the distance to the signer: five things that a node does, each timed from outside. */

import { Lightningd, type LightningdOptions } from '../../cli/regtest_lightningd.ts';

/** Seconds, the median of several; undefined where it did not come to an end. */
export interface Measures {
  /** Until lightningd's RPC answers; host and signer run already. */
  readonly start: number | undefined;
  readonly pay: number | undefined;
  readonly receive: number | undefined;
  /** Twenty payments asked for at the same moment, until the last is done. */
  readonly burst: number | undefined;
  /** From connecting to the channel in gossip, six blocks included. */
  readonly open: number | undefined;
}

/** How often each is done. */
export interface Repeats {
  readonly start: number;
  readonly pay: number;
  readonly receive: number;
  readonly burst: number;
  readonly open: number;
}

/** Amounts: satoshi in wallet and channel, millisatoshi in payments. */
const amounts = { wallet: 100_000_000, channel: 10_000_000, first: 1_000_000_000, payment: 2_000_000 } as const;
const atOnce = 20;
/** How long after a payment the next begins, in milliseconds, so that what follows the one is not part of the other. */
const restMs = 500;

async function seconds(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await act();
  return (performance.now() - from) / 1000;
}

function median(times: readonly number[]): number | undefined {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

/** Does it so often; what fails ends it, with what there is by then. */
async function timed(times: number, act: () => Promise<number>): Promise<number | undefined> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) {
    try {
      all.push(await act());
    } catch (error: unknown) {
      console.error(error instanceof Error ? error.message : error);
      break;
    }
  }
  return median(all);
}

async function invoice(payee: Lightningd, msat: number): Promise<string> {
  const params = { amount_msat: msat, label: `${performance.now()} ${Math.random()}`, description: 'bench' };
  return (await payee.rpc<{ readonly bolt11: string }>('invoice', params)).bolt11;
}

/** One payment that nothing else disturbs; what is timed is the payer's RPC. */
async function payment(payer: Lightningd, payee: Lightningd): Promise<number> {
  const bolt11 = await invoice(payee, amounts.payment);
  const taken = await seconds(() => payer.rpc('pay', { bolt11 }));
  await payer.settled(payee);
  await new Promise((resolve) => setTimeout(resolve, restMs));
  return taken;
}

async function burst(payer: Lightningd, payee: Lightningd): Promise<number> {
  const one = async () => payer.rpc('pay', { bolt11: await invoice(payee, amounts.payment) });
  const taken = await seconds(() => Promise.all(Array.from({ length: atOnce }, one)));
  await payer.settled(payee);
  return taken;
}

/** Starts the node, has it do everything with the peer, and stops it. The peer goes on. */
export async function measure(options: LightningdOptions, peer: Lightningd, repeats: Repeats): Promise<Measures> {
  const starts: number[] = [];
  for (let i = 1; i < repeats.start; i++) {
    const from = performance.now();
    await using _node = await Lightningd.start(options);
    starts.push((performance.now() - from) / 1000);
  }
  const from = performance.now();
  await using node = await Lightningd.start(options);
  starts.push((performance.now() - from) / 1000);
  await node.fund(amounts.wallet);
  const first = await seconds(() => node.open(peer, amounts.channel));
  await node.pay(peer, amounts.first, 'first');
  // These first: host and signer are daemons, and V8 has compiled what they do often.
  const together = await timed(repeats.burst, () => burst(node, peer));
  const pay = await timed(repeats.pay, () => payment(node, peer));
  const receive = await timed(repeats.receive, () => payment(peer, node));
  const opens = [first];
  const open = await timed(repeats.open, async () => {
    if (opens.length === 1) return opens.pop() ?? first;
    return seconds(() => node.open(peer, amounts.channel));
  });
  return { start: median(starts), pay, receive, burst: together, open };
}
