/** What host and peers may try in a history, honest or not: steps out of turn, and commitments, splices and closes that lie. */

import { equalBytes } from '../../../proto/bytes.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import type { Side } from '../../../signer/lightning/channel.ts';
import type { Commitment } from '../../../signer/lightning/recognise.ts';
import type { Hostile, TestChannel } from './channel.ts';
import { type Action, closeOutputs, type History } from './history.ts';
import { spliceAndLock, spliceOf } from './splicing.ts';
import type { Terms } from './terms.ts';
import { outputOf, takeFromOurs, takeFromTheirs } from './timeouts.ts';
import { closeAlone, closeTogether, output, walletScript } from './transactions.ts';

const sides = ['local', 'remote'] as const;
const steps = { local: 'signOurs', remote: 'signTheirs' } as const;
/** Msat; the smallest is dust, so that it stands in no commitment. */
const amounts = [10_000_000n, 20_000_000n, 30_000_001n, 200_000n] as const;

/** What a liar changes in the next commitment, or in one that was there. */
function lie(history: History, channel: TestChannel, owner: Side): Hostile {
  const taken = history.oneOf([1n, 700n, 1000n, 50_000n, 1_000_000n, 5_000_000n, 60_000_000n]) ?? 0n;
  const shift = (now: Terms): Terms => ({ ...now, ours: now.ours - taken, theirs: now.theirs + taken });
  const drop = ({ htlcs, ...now }: Terms): Terms => ({ ...now, htlcs: htlcs.slice(1) });
  const ours = owner === 'local' ? 'toOwner' : 'toOther';
  const theirs = owner === 'local' ? 'toOther' : 'toOwner';
  const number = channel.numbers[owner];
  const lies: readonly Hostile[] = [
    { terms: shift },
    { terms: shift },
    { terms: shift, number },
    { terms: drop },
    { terms: drop, number },
    { terms: (now) => ({ ...shift(now), htlcs: now.htlcs.slice(1) }) },
    { terms: (now) => ({ ...now, feerate: 253 + history.pick(80_000) }) },
    { feerate: 253 + history.pick(80_000) },
    { twist: (content) => ({ ...content, [theirs]: (content[theirs] ?? 0n) + 1n + taken / 1000n }) },
    { twist: (content) => ({ ...content, [ours]: undefined }) },
    {
      twist: (content) => ({
        ...content,
        [ours]: undefined,
        [theirs]: (content[theirs] ?? 0n) + (content[ours] ?? 0n),
      }),
    },
    { number: number + 2n },
    { number: number - 1n },
    { number },
  ];
  const [point] = [channel.theirKeys.perCommitmentPoint(77n)];
  return history.pick(12) === 0 && point !== undefined && owner === 'remote'
    ? { point, number }
    : (history.oneOf(lies) ?? {});
}

/** Takes a lie that was accepted into the model, if it is a new transaction. */
async function tell(history: History, channel: TestChannel, owner: Side): Promise<void> {
  const hostile = lie(history, channel, owner);
  const isRequest = (hostile.number ?? 0n) >= 0n && channel.build(owner, hostile).commitment.outputs.length > 0;
  if (!isRequest) return;
  const told = await channel[steps[owner]](hostile);
  const known = channel.commitments[owner];
  if (known.some((each) => each !== told && each.txid.join() === told.txid.join())) return;
  if (!known.includes(told)) known.push(told);
  channel.reaches.set(told, channel.updates.signed[owner]);
}

export async function splice(history: History, channel: TestChannel): Promise<void> {
  const amount = history.oneOf([1n, 600n, 50_000n]) ?? 0n;
  const wallet = output(walletScript(history.world.keys, 5), amount);
  const elsewhere = output(walletScript(channel.peer, 1), amount);
  const kinds = [
    spliceOf(channel, 0n, amount),
    spliceOf(channel, -amount, 0n, [wallet]),
    spliceOf(channel, -amount, 0n, [elsewhere]),
    spliceOf(channel, -amount, 0n),
    spliceOf(channel, -amount, amount),
  ];
  const kind = history.pick(kinds.length);
  const chosen = kinds[kind];
  if (chosen === undefined) return;
  await spliceAndLock(channel, chosen);
  if (kind === 1) history.claims.withdrawn(channel, amount * 1000n);
  history.claims.locked(channel);
}

async function close(history: History, channel: TestChannel): Promise<void> {
  const outputs = closeOutputs(channel, history.oneOf([0n, 0n, 1n, 400n, 100_000n]) ?? 0n);
  await closeTogether(channel, outputs);
  const left = channel.funding.value - outputs.reduce((sum, { amount }) => sum + amount, 0n);
  const fee = channel.options.opener === 'us' ? left : 0n;
  history.claims.closed(channel, ((outputs[0]?.amount ?? 0n) + fee) * 1000n);
}

async function force(history: History, channel: TestChannel): Promise<void> {
  const commitment = history.oneOf(channel.commitments.local);
  if (commitment === undefined) return;
  await closeAlone(channel, commitment);
  history.claims.published(channel, commitment);
}

/** HTLCs that we offered, in the commitment that is in the chain, or where there is none in those that may be. */
function minable({ claims }: History, channel: TestChannel): readonly (readonly [Commitment, Htlc])[] {
  const mined = claims.minedOf(channel);
  const isLive = ({ owner, number, funding }: Commitment) =>
    number > channel.revoked[owner] && equalBytes(funding.txid, channel.funding.txid);
  const live = mined === undefined ? sides.flatMap((side) => channel.commitments[side].filter(isLive)) : [mined];
  return live.flatMap((commitment) =>
    commitment.htlcs.flatMap((htlc) => (htlc.side === 'local' ? [[commitment, htlc] as const] : [])),
  );
}

/** A commitment confirms, and an HTLC of it comes back; or the signer only signs for that. */
async function mine(history: History, channel: TestChannel): Promise<void> {
  const [commitment, htlc] = history.oneOf(minable(history, channel)) ?? [];
  if (commitment === undefined || htlc === undefined) return;
  if (commitment.owner === 'local') await closeAlone(channel, commitment);
  const tx =
    commitment.owner === 'local'
      ? await takeFromOurs(channel, htlc, commitment)
      : await takeFromTheirs(channel, htlc, { commitment, fee: 500n + BigInt(history.pick(3)) });
  if (history.pick(3) === 0) return;
  history.world.bury(outputOf(tx), 3);
  history.claims.mined(channel, commitment, htlc);
}

/** HTLCs that both sides have seen, and that nothing took away yet. */
export function open({ updates: { logs, signed } }: TestChannel): readonly Htlc[] {
  const ended = new Set(
    [...logs.local, ...logs.remote].flatMap((each) =>
      each.kind === 'fulfil' || each.kind === 'fail' ? [each.htlc] : [],
    ),
  );
  const known = sides.flatMap((side) => logs[side].slice(0, Math.min(signed.local[side], signed.remote[side])));
  return known.flatMap((each) => (each.kind === 'add' && !ended.has(each.htlc) ? [each.htlc] : []));
}

function updatesOf(history: History, channel: TestChannel, hashes: readonly Uint8Array[]): readonly Action[] {
  const hash = () => history.oneOf(hashes) ?? history.newHash();
  const cltv = () => 400 + history.pick(4) * 20;
  const msat = () => history.oneOf(amounts) ?? 0n;
  const actions: Action[] = [];
  if (history.spendable(channel, 'ours') > amounts[2])
    actions.push(['out', () => void channel.add({ from: 'us', msat: msat(), hash: hash(), cltv: cltv() })]);
  if (history.spendable(channel, 'theirs') > amounts[2])
    actions.push(['in', () => void channel.add({ from: 'them', msat: msat(), hash: hash(), cltv: cltv() })]);
  for (const htlc of open(channel))
    actions.push(['fulfil', () => channel.fulfil(htlc)], ['fail', () => channel.fail(htlc)]);
  return actions;
}

/** What can be done next. */
export function anarchic(history: History, hashes: readonly Uint8Array[]): readonly Action[] {
  const actions: Action[] = [['restart', () => history.world.restart()]];
  for (const channel of history.channels) {
    const next: readonly Action[] = [
      ['signTheirs', async () => void (await channel.signTheirs())],
      ['theyRevoke', () => channel.theyRevoke()],
      ['signOurs', async () => void (await channel.signOurs())],
      ['weRevoke', async () => void (await channel.weRevoke())],
      ...history.steps(channel),
      ...history.steps(channel),
      ['lie to the peer', () => tell(history, channel, 'remote')],
      ['lie to us', () => tell(history, channel, 'local')],
      ...updatesOf(history, channel, hashes),
      ...(history.isQuiet(channel) && history.pick(3) === 0
        ? [['splice', () => splice(history, channel)] as const]
        : []),
      // An end leaves little to try afterwards.
      ...(history.pick(20) === 0 ? [['close', () => close(history, channel)] as const] : []),
      // Few of the channels have any.
      ...minable(history, channel).flatMap((): Action[] =>
        history.pick(3) === 0 ? [['mine', () => mine(history, channel)]] : [],
      ),
      ...(history.pick(20) === 0 ? [['force', () => force(history, channel)] as const] : []),
    ];
    // A peer that revokes what is in the chain loses all of the channel: no thief does.
    const isMined = history.claims.minedOf(channel)?.owner === 'remote';
    actions.push(...next.filter(([name]) => !isMined || name !== 'theyRevoke'));
  }
  return actions;
}
