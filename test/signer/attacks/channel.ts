/**
 * One channel of the node under test, as lightningd and an honest peer would run it: `open`, `add`, `fulfil`, `fail`,
 * `commit`. What a hostile host asks differently is a parameter of the single steps.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import type { ClientIdentity } from '../../../proto/answer.ts';
import { concat, utf8 } from '../../../proto/bytes.ts';
import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import type { Basepoints, Htlc } from '../../../proto/hsmd/fields.ts';
import { Secret } from '../../../proto/secret.ts';
import type { ChannelKeys } from '../../../signer/keys/channel_keys.ts';
import type { NodeKeys } from '../../../signer/keys/node_keys.ts';
import { type Channel, channelOf, type Funding, type Side } from '../../../signer/lightning/channel.ts';
import { htlcRequests } from '../../../signer/lightning/htlc_tx.ts';
import { commitmentKeys } from '../../../signer/lightning/keys.ts';
import type { Commitment } from '../../../signer/lightning/recognise.ts';
import { asRequest, commitmentOf, signedByPeer, type Terms, type Twist } from './terms.ts';
import { type Reach, Updates } from './updates.ts';
import { lightningd, nodeKeys, secp, type World } from './world.ts';

export interface ChannelOptions {
  /** The peer, by the byte its hsm_secret is made of. */
  readonly peer?: number;
  readonly opener?: 'us' | 'them';
  /** Satoshi. */
  readonly value?: bigint;
  /** Satoshi that the opener gives the other side. */
  readonly push?: bigint;
  readonly feerate?: number;
  readonly anchors?: boolean;
  readonly dust?: { readonly [S in Side]: bigint };
}

/** Feature bits of static_remotekey with anchors_zero_fee_htlc_tx, and without. */
const types = { anchors: Uint8Array.of(0x40, 0x10, 0x00), plain: Uint8Array.of(0x10, 0x00) };
const delay = 144;

/** Capabilities of the subdaemons. */
export const openingd = 24n;
export const channeld = 447n;
export const closingd = 40n;
export const onchaind = 12n;

/** What a step may have instead of what is honest. */
export interface Hostile {
  readonly number?: bigint;
  readonly terms?: (terms: Terms) => Terms;
  readonly twist?: Twist;
  readonly funding?: Funding;
  /** The peer's per-commitment point. */
  readonly point?: Uint8Array;
  /** What the message says, whatever the transaction has. */
  readonly feerate?: number;
}

const expiry = 500;

/** The payment hash with this name; everybody but us knows the preimage. */
export function hashOf(name: string): Uint8Array {
  return sha256(utf8(name));
}

export class TestChannel {
  readonly world: World;
  readonly dbid: bigint;
  readonly peer: NodeKeys;
  readonly options: Required<ChannelOptions>;
  readonly ourKeys: ChannelKeys;
  readonly theirKeys: ChannelKeys;
  setup: RequestOf<'setupChannel'>;
  readonly updates: Updates;
  readonly numbers: { [S in Side]: bigint } = { local: -1n, remote: -1n };
  readonly revoked: { [S in Side]: bigint } = { local: -1n, remote: -1n };
  /** The newest commitment accepted of each side, and all before it. */
  readonly commitments: { readonly [S in Side]: Commitment[] } = { local: [], remote: [] };
  /** The updates that each of them has. */
  readonly reaches = new Map<Commitment, Reach>();

  constructor(world: World, options: ChannelOptions = {}) {
    const defaults = {
      peer: 2,
      opener: 'us',
      value: 1_000_000n,
      push: 0n,
      feerate: 1000,
      anchors: true,
      dust: { local: 546n, remote: 546n },
    } as const;
    this.world = world;
    this.options = { ...defaults, ...options };
    this.dbid = world.nextDbid();
    this.peer = nodeKeys(this.options.peer);
    this.ourKeys = world.keys.channel(this.peer.node.point, this.dbid);
    this.theirKeys = this.peer.channel(world.keys.node.point, this.dbid);
    this.setup = this.setupRequest();
    const { value, push, feerate, opener } = this.options;
    const given = opener === 'us' ? value - push : push;
    this.updates = new Updates({ ours: given * 1000n, theirs: (value - given) * 1000n, htlcs: [], feerate });
  }

  private setupRequest(): RequestOf<'setupChannel'> {
    const { opener, value, push, anchors, peer } = this.options;
    return {
      isOutbound: opener === 'us',
      channelValue: value,
      pushValue: push * 1000n,
      fundingTxid: sha256(concat(utf8('funding'), Uint8Array.of(peer, Number(this.dbid)))),
      fundingTxout: 0,
      localToSelfDelay: delay,
      localShutdownScript: new Uint8Array(),
      localShutdownWalletIndex: undefined,
      remoteBasepoints: this.theirKeys.basepoints,
      remoteFundingPubkey: this.theirKeys.funding.point,
      remoteToSelfDelay: delay,
      remoteShutdownScript: new Uint8Array(),
      channelType: anchors ? types.anchors : types.plain,
    };
  }

  client(capabilities: bigint): ClientIdentity {
    return { nodeId: this.peer.node.point, dbid: this.dbid, capabilities };
  }

  get ours(): Basepoints {
    return this.ourKeys.basepoints;
  }

  get channel(): Channel {
    return channelOf(this.setup, this.ours);
  }

  get funding(): Funding {
    const {
      fundingTxid: txid,
      fundingTxout: vout,
      channelValue: value,
      remoteFundingPubkey: remotePubkey,
    } = this.setup;
    return { txid, vout, value, localPubkey: this.ourKeys.funding.point, remotePubkey };
  }

  /** An open channel. */
  static async open(world: World, options: ChannelOptions = {}): Promise<TestChannel> {
    const channel = new TestChannel(world, options);
    await channel.announce();
    await channel.sayWhatItIs();
    await channel.signTheirs();
    await channel.signOurs();
    await world.ask(channel.client(channeld), 'getPerCommitmentPoint', { n: 1n });
    return channel;
  }

  async announce(): Promise<void> {
    const on = { peerId: this.peer.node.point, dbid: this.dbid };
    await this.world.ask(lightningd, 'newChannel', on);
    await this.world.ask(lightningd, 'getChannelBasepoints', on);
    await this.world.ask(lightningd, 'clientHsmfd', { ...on, permissions: openingd });
    await this.world.ask(this.client(openingd), 'getPerCommitmentPoint', { n: 0n });
  }

  async sayWhatItIs(change: Partial<RequestOf<'setupChannel'>> = {}, capabilities = openingd): Promise<void> {
    await this.world.ask(this.client(capabilities), 'setupChannel', { ...this.setup, ...change });
  }

  add(htlc: {
    readonly from: 'us' | 'them';
    readonly msat: bigint;
    readonly hash: Uint8Array;
    readonly cltv?: number;
  }): Htlc {
    const side: Side = htlc.from === 'us' ? 'local' : 'remote';
    const { msat, hash, cltv } = htlc;
    const added: Htlc = { side, amount: msat, paymentHash: hash, cltvExpiry: cltv ?? expiry };
    this.updates.logs[side].push({ kind: 'add', htlc: added });
    return added;
  }

  /** The receiver of an HTLC takes it, or gives it back. */
  settle(kind: 'fulfil' | 'fail', htlc: Htlc): void {
    this.updates.logs[htlc.side === 'local' ? 'remote' : 'local'].push({ kind, htlc });
  }

  fulfil(htlc: Htlc): void {
    this.settle('fulfil', htlc);
  }

  fail(htlc: Htlc): void {
    this.settle('fail', htlc);
  }

  setFeerate(feerate: number): void {
    this.updates.logs[this.options.opener === 'us' ? 'local' : 'remote'].push({ kind: 'fee', feerate });
  }

  /** The commitment of a side that its next number would have. */
  build(owner: Side, hostile: Hostile = {}): { readonly commitment: Commitment; readonly point: Uint8Array } {
    const number = hostile.number ?? this.numbers[owner] + 1n;
    const keys = owner === 'local' ? this.ourKeys : this.theirKeys;
    const point = hostile.point ?? keys.perCommitmentPoint(number) ?? new Uint8Array();
    const funding = hostile.funding ?? this.funding;
    const { channel } = this;
    const id = { channel, funding, owner, number, keys: commitmentKeys(secp, channel, owner, point) };
    const terms = (hostile.terms ?? ((same) => same))(this.updates.terms(this.updates.next(owner)));
    return { commitment: commitmentOf(id, terms, this.options.dust[owner], hostile.twist), point };
  }

  /** sign_remote_commitment_tx, and sign_remote_htlc_tx of each HTLC in it. */
  async signTheirs(hostile: Hostile = {}): Promise<Commitment> {
    const { commitment, point } = this.build('remote', hostile);
    const { number, htlcs, feerate } = commitment;
    const client = this.client(number === 0n ? openingd : channeld);
    await this.world.ask(client, 'signRemoteCommitmentTx', {
      tx: asRequest(commitment),
      remoteFundingKey: commitment.funding.remotePubkey,
      remotePerCommit: point,
      optionStaticRemotekey: true,
      commitNum: number,
      htlcs,
      feerate: hostile.feerate ?? (number === 0n ? 0 : feerate),
    });
    for (const bytes of htlcRequests(commitment, point)) await this.world.askBytes(client, bytes);
    this.accepted('remote', commitment, hostile);
    return commitment;
  }

  /** validate_commitment_tx. */
  async signOurs(hostile: Hostile = {}): Promise<Commitment> {
    const { commitment, point } = this.build('local', hostile);
    const { number, htlcs, feerate } = commitment;
    const signatures = signedByPeer(commitment, this.theirKeys, point);
    await this.world.ask(this.client(number === 0n ? openingd : channeld), 'validateCommitmentTx', {
      tx: asRequest(commitment, number === 0n ? undefined : signatures.sig.signature),
      htlcs,
      commitNum: number,
      feerate: hostile.feerate ?? (number === 0n ? 0 : feerate),
      ...signatures,
    });
    this.accepted('local', commitment, hostile);
    return commitment;
  }

  private accepted(owner: Side, commitment: Commitment, hostile: Hostile): void {
    if (commitment.number <= this.numbers[owner] || hostile.funding !== undefined) return;
    this.numbers[owner] = commitment.number;
    this.commitments[owner].push(commitment);
    this.updates.sign(owner);
    this.reaches.set(commitment, this.updates.signed[owner]);
    if (commitment.number === 0n) this.updates.revoke(owner);
  }

  /** lock_outpoint of a splice: from here on the channel is about this funding. Changes in satoshi. */
  async lock(
    { txid: fundingTxid, vout: fundingTxout, value: channelValue }: Funding,
    ours: bigint,
    theirs: bigint,
  ): Promise<void> {
    await this.world.ask(this.client(channeld), 'lockOutpoint', { fundingTxid, fundingTxout });
    this.setup = { ...this.setup, fundingTxid, fundingTxout, channelValue };
    this.updates.shift(ours * 1000n, theirs * 1000n);
  }

  /** validate_revocation. */
  async theyRevoke(number = this.revoked.remote + 1n, secret?: Secret): Promise<void> {
    const perCommitmentSecret = secret ?? this.theirKeys.perCommitmentSecret(number) ?? new Secret(new Uint8Array(32));
    await this.world.ask(this.client(channeld), 'validateRevocation', { revokeNum: number, perCommitmentSecret });
    if (number <= this.revoked.remote) return;
    this.revoked.remote = number;
    this.updates.revoke('remote');
  }

  /** revoke_commitment_tx; gives the secret. */
  async weRevoke(number = this.revoked.local + 1n): Promise<Secret> {
    const { oldCommitmentSecret } = await this.world.ask(this.client(channeld), 'revokeCommitmentTx', {
      commitNum: number,
    });
    if (number > this.revoked.local) {
      this.revoked.local = number;
      this.updates.revoke('local');
    }
    return oldCommitmentSecret;
  }

  /** Signs and revokes until both sides have every update. */
  async commit(): Promise<void> {
    while (this.updates.isNew('remote') || this.updates.isNew('local')) {
      if (this.updates.isNew('remote')) {
        await this.signTheirs();
        await this.theyRevoke();
      }
      if (this.updates.isNew('local')) {
        await this.signOurs();
        await this.weRevoke();
      }
    }
  }
}
