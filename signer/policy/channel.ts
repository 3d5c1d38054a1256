/** A channel's life outside its commitments: announced, set up, spliced, locked, forgotten. */

import { fromHex, toHex } from '../../proto/bytes.ts';
import type { Call, RequestOf } from '../../proto/hsmd/calls.ts';
import { channelType } from '../lightning/channel.ts';
import type { Facts } from '../lightning/mismatch.ts';
import { type ChannelState, type FundingState, freshChannel, highest } from '../state/channel_state.ts';
import { unburied } from './burial.ts';
import { channelNames } from './channel_names.ts';
import { outpointOf } from './commitment.ts';
import { nodeWithout } from './finished.ts';
import { lockedTo, wasLeft, withoutIdle } from './fundings.ts';
import { paysWallet, withWalletIndex } from './our_scripts.ts';
import { withProven } from './returned.ts';
import { type Changes, type Checks, onlyWarns, type Scope } from './scope.ts';
import { copyOf, type Described, describedBy, inconsistency, type Opening, openingOf } from './setup.ts';
import { isValidated } from './wallet_outputs.ts';

/** Openings that came to nothing are forgotten from the oldest; a peer may begin as many as it likes. */
const mostBegun = 32;
/** An opening may be replaced while it waits; each takes part in every commitment that is checked. */
const mostFundings = 32;

/** Whether nothing rests on the channel yet: nothing was signed for it, validated or revealed, so it may be forgotten. */
function isBegun({ sides: { local, remote }, closing, forgotten }: ChannelState): boolean {
  return highest(local) < 0n && highest(remote) < 0n && closing === undefined && forgotten === undefined;
}

/**
 * What stays of a channel that is forgotten: fundings by transactions which spend other channels or our wallet too, or may.
 * What such a transaction takes from us is judged as a whole, by whatever signs last; undefined where there are none.
 */
function remains({ peer, dbid, fundings, left }: ChannelState): ChannelState | undefined {
  const isShared = ({ splicedFrom, live, walletInputs }: FundingState) =>
    splicedFrom === undefined ? walletInputs.size > 0 : live;
  if (left.length === 0 && !fundings.some(isShared)) return undefined;
  return { ...freshChannel(peer, dbid), fundings, left, forgotten: true };
}

/** Whether another channel may be opened, with this number. */
function checkOpen({ state, settings, broken }: Scope, dbid: bigint): void {
  const { forgottenDbid } = state.node;
  if (dbid <= forgottenDbid)
    broken('policy-channel-original-channel-id-reuse', { dbid: `${dbid}`, forgotten: `${forgottenDbid}` });
  const open = [...state.channels.values()].filter((each) => !isBegun(each) && each.forgotten === undefined).length;
  if (open >= settings.maxChannels) broken('policy-channel-max-channels', { open, most: settings.maxChannels });
}

/** One more channel; where too many were only begun, the oldest of them goes. */
function begin(scope: Scope, channel: ChannelState): Changes {
  const begun = [...scope.state.channels.values()].filter(isBegun);
  const oldest = begun.reduce((least, each) => (each.dbid < least.dbid ? each : least), begun[0] ?? channel);
  if (begun.length < mostBegun) return { channel };
  return { channel, forget: { peer: fromHex(oldest.peer), dbid: oldest.dbid }, node: nodeWithout(scope, oldest) };
}

/** What one setup by itself must keep to. */
function checkTerms({ settings, broken }: Scope, setup: RequestOf<'setupChannel'>): void {
  const { staticRemotekey, anchorOutputs } = channelType(setup.channelType);
  const { minDelayBlocks: least, maxDelayBlocks: most } = settings;
  const isOutside = (delay: number) => delay < least || delay > most;
  if (!staticRemotekey || anchorOutputs)
    broken('policy-channel-safe-type', { staticRemotekey: `${staticRemotekey}`, oldAnchors: `${anchorOutputs}` });
  if (isOutside(setup.remoteToSelfDelay))
    broken('policy-channel-contest-delay-range-holder', { delay: setup.remoteToSelfDelay, least, most });
  if (isOutside(setup.localToSelfDelay))
    broken('policy-channel-contest-delay-range-counterparty', { delay: setup.localToSelfDelay, least, most });
  if (setup.channelValue > settings.maxChannelSat)
    broken('policy-funding-max', { value: setup.channelValue, most: settings.maxChannelSat });
}

/** Where our part goes at a close: asked about now if it is not to us, as it will not be asked then. */
async function checkDestination(scope: Scope, setup: RequestOf<'setupChannel'>): Promise<void> {
  const { localShutdownScript: script, localShutdownWalletIndex: index, channelValue: amountSat } = setup;
  const { client, keys } = scope.context;
  const names = channelNames(toHex(client.nodeId), setup, keys.channel(client.nodeId, client.dbid));
  const isSafe =
    script.length === 0 ||
    paysWallet(scope, script, index) ||
    scope.settings.allowedScripts.has(toHex(script)) ||
    (await scope.approved({ kind: 'closeTo', script: toHex(script), amountSat, channel: names }));
  if (!isSafe) scope.broken('policy-mutual-destination-allowlisted', { walletIndex: index ?? 'none' });
}

/** What we give the peer at the opening. No list allows it: whose keys the host names as this peer's is not proven. */
async function checkPush(scope: Scope, peer: string, { funding, ours }: Described, pushMsat: bigint): Promise<void> {
  if (ours !== undefined && ours < 0n)
    scope.broken('policy-onchain-no-channel-push', { value: funding.value, pushed: funding.value - ours });
  if (funding.pushed === 0n) return;
  if (!(await scope.approved({ kind: 'push', peer, amountMsat: pushMsat })))
    scope.broken('policy-onchain-no-channel-push', { pushed: funding.pushed });
}

/** Why a channel that was set up may not get this funding too; undefined where it may. */
function objection(channel: ChannelState, opening: Opening, { outpoint }: FundingState): string | undefined {
  const number = [channel.sides.local, channel.sides.remote].reduce((most, side) => {
    const each = highest(side);
    return each > most ? each : most;
  }, -1n);
  if (opening === 'single') return 'a second funding';
  if (opening === 'dual' && number > 0n) return 'another opening of a channel in use';
  if (wasLeft(channel, { outpoint })) return 'a funding that was left';
  // One transaction is one splice, and says once what is ours.
  const [id = ''] = outpoint.split(':');
  if (channel.fundings.some((each) => each.outpoint.startsWith(id))) return 'a second funding by one transaction';
  return channel.fundings.length < mostFundings ? undefined : 'too many fundings';
}

/** A setup after the first: a splice, an opening replaced, or the same again. */
function setUpAgain(
  scope: Scope,
  channel: ChannelState,
  setup: RequestOf<'setupChannel'>,
  { funding }: Described,
  opening: Opening,
): Changes {
  const differs = channel.setup && inconsistency(channel.setup, setup);
  if (differs !== undefined) scope.broken('policy-channel-setup-consistent', { differs });
  const same = channel.fundings.find(({ outpoint }) => outpoint === funding.outpoint);
  if (same !== undefined) {
    if (same.value !== funding.value || same.ourShift !== funding.ourShift)
      scope.broken('policy-channel-setup-consistent', { differs: 'value or shares of a funding' });
    return {};
  }
  // One that was negotiated but never signed for is replaced.
  const kept = opening === 'splice' ? withoutIdle(channel) : channel;
  const refused = objection(kept, opening, funding);
  if (refused !== undefined) scope.broken('policy-channel-setup-consistent', { differs: refused });
  return { channel: { ...kept, fundings: [...kept.fundings, funding] } };
}

async function setupChannel(scope: Scope, setup: RequestOf<'setupChannel'>): Promise<{ readonly changes?: Changes }> {
  const { client } = scope.context;
  const known = scope.state.channel(client.nodeId, client.dbid);
  if (known === undefined || known.forgotten) checkOpen(scope, client.dbid);
  const channel = known ?? freshChannel(toHex(client.nodeId), client.dbid);
  checkTerms(scope, setup);
  const opening = openingOf(client.capabilities);
  const described = describedBy(opening, setup, channel);
  if (described === undefined) {
    scope.broken('policy-channel-setup-consistent', { differs: 'a splice of a channel without funding' });
    return {};
  }
  if (channel.setup !== undefined) return { changes: setUpAgain(scope, channel, setup, described, opening) };
  await checkDestination(scope, setup);
  await checkPush(scope, channel.peer, described, setup.pushValue);
  const ourInitial = described.ours ?? 0n;
  const node = withWalletIndex(scope.state.node, setup.localShutdownWalletIndex ?? 0);
  const opened = { ...channel, setup: copyOf(setup), ourInitial, fundings: [described.funding] };
  const changes = known === undefined ? begin(scope, opened) : { channel: opened };
  return { changes: { ...changes, ...(node !== scope.state.node && { node }) } };
}

type ChannelCall = Extract<
  Call,
  | 'newChannel'
  | 'setupChannel'
  | 'forgetChannel'
  | 'checkOutpoint'
  | 'lockOutpoint'
  | 'getChannelBasepoints'
  | 'checkFutureSecret'
  | 'getOutputScriptpubkey'
>;

/** Public keys, and whether a secret is ours, which nobody could guess. */
const nothing = () => ({});

/** An outpoint that is no funding of the channel is not in the chain as one, as far as the chain is looked at. */
function notOfChannel({ chain }: Scope): Facts | undefined {
  return chain?.inForce === true ? { differs: 'it is no funding' } : undefined;
}

export const channelChecks: Checks<ChannelCall> = {
  getChannelBasepoints: nothing,
  checkFutureSecret: nothing,
  getOutputScriptpubkey: nothing,
  setupChannel,

  newChannel(scope, { peerId, dbid }) {
    const known = scope.state.channel(peerId, dbid);
    if (known === undefined || known.forgotten) checkOpen(scope, dbid);
    if (known !== undefined) return {};
    return { changes: begin(scope, freshChannel(toHex(peerId), dbid)) };
  },

  /** A number that was never used cannot be used up. */
  async forgetChannel(scope, { peerId: peer, dbid }) {
    const known = scope.state.channel(peer, dbid);
    if (known === undefined) return {};
    const channel = await withProven(scope, known, () => true);
    const node = nodeWithout(scope, channel);
    const forgottenDbid = dbid > node.forgottenDbid ? dbid : node.forgottenDbid;
    const left = remains(channel);
    const kept = left === undefined ? { forget: { peer, dbid } } : { channel: left };
    return { changes: { node: { ...node, forgottenDbid }, ...kept } };
  },

  /** Without a feed of the chain the answer is lightning_hsmd's: yes. A no is asked again after ten seconds. */
  async checkOutpoint(scope, { fundingTxid, fundingTxout }) {
    const { client } = scope.context;
    const outpoint = outpointOf({ txid: fundingTxid, vout: fundingTxout });
    const channel = scope.state.channel(client.nodeId, client.dbid);
    const funding = channel?.fundings.find((each) => each.outpoint === outpoint);
    const missing = funding === undefined ? notOfChannel(scope) : await unburied(scope, funding);
    return missing !== undefined && !onlyWarns(scope, 'policy-chain-outpoint-buried', missing)
      ? { reply: { isBuried: false } }
      : {};
  },

  /** From here on only this funding counts, and what is spliced from it; so we must be able to spend it. */
  async lockOutpoint(scope, { fundingTxid: txid, fundingTxout: vout }) {
    const { client } = scope.context;
    const channel = scope.state.channel(client.nodeId, client.dbid);
    const outpoint = `${toHex(txid)}:${vout}`;
    const locked = channel?.fundings.find((funding) => funding.outpoint === outpoint);
    if (channel === undefined || locked === undefined || !locked.live || !isValidated(channel, locked)) {
      scope.broken('policy-chain-outpoint-buried', {
        differs: locked === undefined ? 'it is no funding' : 'it has no commitment of ours, or was never signed for',
      });
      return {};
    }
    const missing = await unburied(scope, locked);
    if (missing !== undefined) scope.broken('policy-chain-outpoint-buried', missing);
    if (channel.fundings.length === 1 && locked.locked === true) return {};
    return { changes: { channel: lockedTo(scope, channel, locked, missing === undefined) } };
  },
};
