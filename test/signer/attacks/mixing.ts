/**
 * Thieves who keep the protocol mostly, so that much of it is accepted, and mix payments of equal amounts: what one reading
 * of them could be turned into, once it was told that it is another.
 */

import { toHex } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { open, splice } from './anarchy.ts';
import type { TestChannel } from './channel.ts';
import type { Action, History } from './history.ts';
import type { Terms } from './terms.ts';

const sides = ['local', 'remote'] as const;
const steps = { local: 'signOurs', remote: 'signTheirs' } as const;
/** Msat: equal ones, nearly equal ones, and what is dust on one side only. */
const amounts = [
  10_000_000n,
  10_000_000n,
  10_000_000n,
  10_200_000n,
  10_001_900n,
  5_000_000n,
  400_000n,
  400_000n,
  560_000n,
  560_000n,
] as const;
/** More than any of them. */
const enough = 11_000_000n;

/** A commitment that gives the peer a little more. */
async function lie(history: History, channel: TestChannel): Promise<void> {
  const owner = history.oneOf(sides) ?? 'local';
  const taken = history.oneOf([1n, 700n, 1000n, 1900n, 200_000n, 400_000n, 560_000n]) ?? 0n;
  const shift = (now: Terms): Terms => ({ ...now, ours: now.ours - taken, theirs: now.theirs + taken });
  await channel[steps[owner]]({ terms: shift });
}

/** Whether as much went out for it as comes in with this one: income would hide what is stolen. */
function wasOut({ channels }: History, { paymentHash, amount }: Htlc): boolean {
  const hash = toHex(paymentHash);
  const logs = channels.flatMap(({ updates }) => [...updates.logs.local, ...updates.logs.remote]);
  const paid = logs.flatMap((each) =>
    each.kind === 'fulfil' && toHex(each.htlc.paymentHash) === hash ? [each.htlc] : [],
  );
  const sum = (side: Htlc['side']) => paid.reduce((all, each) => (each.side === side ? all + each.amount : all), 0n);
  return sum('local') >= sum('remote') + amount;
}

const nothing: Action = ['nothing', () => undefined];

type Hashes = readonly Uint8Array[];

function offers(history: History, channel: TestChannel, hashes: Hashes, approved: Hashes): readonly Action[] {
  const msat = () => history.oneOf(amounts) ?? 0n;
  const hash = () => history.oneOf(hashes) ?? history.newHash();
  const actions: Action[] = [];
  if (history.spendable(channel, 'ours') > enough) {
    const others = history.channels.filter((each) => each !== channel).flatMap(open);
    const incoming = others.filter(({ side }) => side === 'remote');
    for (const { amount, paymentHash } of [...incoming, ...incoming])
      actions.push(['forward', () => void channel.add({ from: 'us', msat: amount, hash: paymentHash, cltv: 500 })]);
    for (const each of [...approved, hash()])
      actions.push(['pay', () => void channel.add({ from: 'us', msat: msat(), hash: each, cltv: 500 })]);
  }
  const come: Action = ['come in', () => void channel.add({ from: 'them', msat: msat(), hash: hash(), cltv: 600 })];
  return history.spendable(channel, 'theirs') > enough ? [...actions, come, come] : actions;
}

function ends(history: History, channel: TestChannel): readonly Action[] {
  return open(channel).flatMap((htlc): readonly Action[] => {
    const fulfil: Action = ['fulfil', () => channel.fulfil(htlc)];
    const fail: Action = ['fail', () => channel.fail(htlc)];
    return htlc.side === 'local' || wasOut(history, htlc) ? [fail, fulfil, fulfil] : [fail];
  });
}

/** What can be done next. */
export function mixing(history: History, hashes: Hashes, approved: Hashes): readonly Action[] {
  const actions: Action[] = history.pick(4) === 0 ? [['restart', () => history.world.restart()]] : [];
  for (const channel of history.channels) {
    const ready = history.steps(channel);
    actions.push(...ready, ...ready);
    if (ready.length > 0) actions.push(['commit', () => channel.commit()]);
    const updates = [...offers(history, channel, hashes, approved), ...ends(history, channel)];
    // So that there are not more of them than of steps.
    for (let i = 0; i < 3 && updates.length > 0; i++) actions.push(updates[history.pick(updates.length)] ?? nothing);
    if (history.pick(5) === 0) actions.push(['lie', () => lie(history, channel)]);
    if (history.isQuiet(channel) && history.pick(20) === 0) actions.push(['splice', () => splice(history, channel)]);
  }
  return actions;
}
