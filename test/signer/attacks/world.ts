/**
 * The assembled signer under test: requests in, replies out, as bytes. It can be stopped and started again over the same
 * store, and its owner, clock and chain are in the test's hands.
 */

import type { Answer, ClientIdentity } from '../../../proto/answer.ts';
import { toHex } from '../../../proto/bytes.ts';
import {
  type Call,
  calls,
  lightningdCapabilities,
  type Message,
  type ReplyOf,
  type RequestOf,
} from '../../../proto/hsmd/calls.ts';
import { toWirestring } from '../../../proto/hsmd/codec.ts';
import { decodeMessage, encodeMessage } from '../../../proto/hsmd/message.ts';
import { Secret } from '../../../proto/secret.ts';
import type { SignedRequest } from '../../../proto/signed_request.ts';
import { parseHeader } from '../../../signer/chain/header.ts';
import { networkNamed } from '../../../signer/chain/networks.ts';
import type { ChainView, ExpectedOutput } from '../../../signer/chain/view.ts';
import type { Secp } from '../../../signer/crypto/secp.ts';
import { tiny } from '../../../signer/crypto/tiny.ts';
import { Signer } from '../../../signer/dispatch.ts';
import { NodeKeys } from '../../../signer/keys/node_keys.ts';
import { native } from '../../../signer/node/native.ts';
import type { Approver, Consent, Purpose } from '../../../signer/policy/purpose.ts';
import type { Tag } from '../../../signer/policy/rules.ts';
import { profiles, type Settings } from '../../../signer/policy/settings.ts';
import { validating } from '../../../signer/policy/validating.ts';
import { type Memory, openMemoryStore } from '../../../signer/store/memory.ts';
import type { Store } from '../../../signer/store/store.ts';

/** Nothing here is secret, so nothing needs blinding. */
const ones = (length: number) => new Uint8Array(length).fill(1);
export const secp: Secp = native(ones) ?? tiny(ones);

/** The keys of a node whose plain hsm_secret is 32 times this byte. */
export function nodeKeys(seed: number): NodeKeys {
  return new NodeKeys(secp, { type: 0, seed: new Secret(new Uint8Array(32).fill(seed)) }, undefined);
}

export const lightningd: ClientIdentity = {
  nodeId: new Uint8Array(33),
  dbid: 0n,
  capabilities: lightningdCapabilities,
};

/** An answer that is no reply; `tag` is the rule's where the policy said no. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly tag: Tag | string;

  constructor(tag: string, message: string) {
    super(`${tag}: ${message}`);
    this.tag = tag;
  }
}

const ourSeed = 1;

export interface WorldOptions {
  readonly settings?: Partial<Settings>;
  readonly profile?: keyof typeof profiles;
  readonly memory?: Memory;
  /** Whether a feed of the chain is in force; without it nothing is proven. */
  readonly feed?: boolean;
  /** The owner, in place of `answer`. */
  readonly approver?: Approver;
  /** Opens the state in another way than from `memory`. */
  readonly openStore?: (keys: NodeKeys) => Promise<Store>;
}

export class World {
  /** Ours, as the test knows them; the signer has its own copy. */
  readonly keys = nodeKeys(ourSeed);
  readonly settings: Settings;
  /** What stands in for the signer's disk. */
  readonly memory: Memory;
  /** Unix milliseconds. */
  now = 1_780_000_000_000;
  /** What the chain feed proves. */
  height: number | undefined;
  /** What it proves of outputs, if there is one: confirmations, by `textOf`. */
  readonly #buried = new Map<string, number>();
  readonly #feed: boolean;
  readonly #approver: Approver;
  /** The owner: what they were asked, and what they say. */
  readonly asked: Purpose[] = [];
  answer: (purpose: Purpose) => Consent | Promise<Consent> = () => false;
  readonly #openStore: (keys: NodeKeys) => Promise<Store>;
  #signer: Signer | undefined;
  #store: Store | undefined;
  #dbids = 0n;

  constructor({ settings = {}, profile = 'test', memory = {}, feed = false, approver, openStore }: WorldOptions = {}) {
    this.#approver = approver ?? this.#asking();
    this.settings = { ...profiles[profile], ...settings };
    this.memory = memory;
    this.#feed = feed;
    this.#openStore =
      openStore ?? (() => Promise.resolve(openMemoryStore(memory, memory.state === undefined ? 'create' : 'fail')));
  }

  static async open(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    await world.start();
    return world;
  }

  /** A number that no channel has yet. */
  nextDbid(): bigint {
    this.#dbids += 1n;
    return this.#dbids;
  }

  get store(): Store {
    if (this.#store === undefined) throw new Error('the signer is not started');
    return this.#store;
  }

  async start(): Promise<void> {
    const policy = validating({
      settings: this.settings,
      approver: this.#approver,
      openStore: async (keys) => {
        this.#store = await this.#openStore(keys);
        return this.#store;
      },
      clock: { now: () => this.now, monotonic: () => this.now, after: () => () => undefined },
      log: () => undefined,
      height: () => this.height,
      chain: this.#feed ? this.#chain() : undefined,
    });
    const open = () => Promise.resolve({ type: 0, seed: new Secret(new Uint8Array(32).fill(ourSeed)) } as const);
    this.#signer = new Signer({ secp, secret: { open }, policy });
    await this.ask(lightningd, 'init', initRequest);
  }

  #asking(): Approver {
    return {
      name: 'test',
      approve: async (purpose) => {
        this.asked.push(purpose);
        return this.answer(purpose);
      },
    };
  }

  #chain(): ChainView {
    return {
      inForce: true,
      height: () => this.height,
      estimate: undefined,
      confirmations: (output) => Promise.resolve(this.#buried.get(textOf(output)) ?? 0),
    };
  }

  /** The chain has this output, so deep. */
  bury(output: ExpectedOutput, confirmations: number): void {
    this.#buried.set(textOf(output), confirmations);
  }

  /** Stops the signer and starts a new one over what it left behind. */
  async restart(): Promise<void> {
    await this.#store?.[Symbol.asyncDispose]();
    await this.start();
  }

  /** The reply's fields. @throws Refused for every other answer */
  async ask<C extends Call>(client: ClientIdentity, call: C, request: RequestOf<C>): Promise<ReplyOf<C>> {
    // The request and its row are of the same call; TypeScript cannot follow the pairing through the union.
    const bytes = await this.askBytes(client, encodeMessage(calls[call].request as Message, request));
    const { reply }: { reply: Message | undefined } = calls[call];
    return (reply === undefined ? undefined : decodeMessage(reply, bytes)) as ReplyOf<C>;
  }

  async askBytes(client: ClientIdentity, bytes: Uint8Array): Promise<Uint8Array> {
    const answer = await this.handle(client, bytes);
    switch (answer.kind) {
      case 'reply':
        return answer.bytes;
      case 'silent':
        return new Uint8Array();
      case 'refused':
        throw new Refused(answer.tag, answer.message);
      case 'malformed':
      case 'unavailable':
        throw new Refused(answer.kind, answer.message);
    }
  }

  /** The host shows what a client signed. */
  async show(request: SignedRequest): Promise<void> {
    await this.#signer?.show(request);
  }

  /** The answer as it is. */
  handle(client: ClientIdentity, bytes: Uint8Array): Promise<Answer> {
    if (this.#signer === undefined) throw new Error('the signer is not started');
    return this.#signer.handle(client, bytes.slice());
  }

  /** The owner says yes to paying this hash (hex), up to an amount in msat where one is given. */
  allowPayment(hash: Uint8Array, most?: bigint): void {
    const before = this.answer;
    const wanted = toHex(hash);
    this.answer = (purpose) =>
      (purpose.kind === 'pay' && purpose.hash === wanted && (most === undefined || purpose.amountMsat <= most)) ||
      before(purpose);
  }

  /** Preapproves an invoice; whether it was approved. */
  async preapproveInvoice(invoice: string): Promise<boolean> {
    const request = { invstring: toWirestring(invoice), checkOnly: false };
    return (await this.ask(lightningd, 'preapproveInvoiceCheck', request)).approved;
  }

  /** Preapproves a keysend; whether it was approved. */
  async preapproveKeysend(destination: Uint8Array, paymentHash: Uint8Array, amountMsat: bigint): Promise<boolean> {
    const request = { destination, paymentHash, amountMsat, checkOnly: false };
    return (await this.ask(lightningd, 'preapproveKeysendCheck', request)).approved;
  }
}

function textOf({ txid, vout, value, script }: ExpectedOutput): string {
  return [toHex(txid), vout, value, toHex(script)].join();
}

function regtest(): Uint8Array {
  const network = networkNamed('regtest');
  if (network === undefined) throw new Error('no regtest');
  return parseHeader(network.genesis).hash;
}

/** The genesis block's hash, internal order. */
export const chain = regtest();

/** What lightningd says at its start. */
export const initRequest: RequestOf<'init'> = {
  bip32PubVersion: 0x043587cf,
  bip32PrivVersion: 0x04358394,
  chainparams: chain,
  encryptionKey: undefined,
  devForcePrivkey: undefined,
  devForceBip32Seed: undefined,
  devForceChannelSecrets: undefined,
  devForceChannelSecretsShaseed: undefined,
  minVersion: 5,
  maxVersion: 6,
  tlvs: {},
};
