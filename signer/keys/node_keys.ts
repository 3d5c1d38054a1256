/** The keys of a node that are no channel's: node id, wallet, BOLT 12, derived secrets (libhsmd.c hsmd_init, node_key). */

import { concat, toHex } from '../../proto/bytes.ts';
import type { Secret } from '../../proto/secret.ts';
import type { Secp } from '../crypto/secp.ts';
import { childKey, descend, type ExtendedKey, hardened, masterKey } from './bip32.ts';
import { ChannelKeys, type ForcedChannelSecrets, type KeyPair } from './channel_keys.ts';
import { counterSalt, derive, unsalted } from './hkdf.ts';
import type { HsmSecret, SecretType } from './hsm_secret.ts';

/** What a test network's lightningd may force in `init`. */
export interface ForcedKeys extends ForcedChannelSecrets {
  readonly nodeKey: Secret | undefined;
  readonly bip32Seed: Secret | undefined;
}

/** Channels whose keys are kept at hand; deriving one again costs six point multiplications. */
const rememberedChannels = 4096;
const rememberedWalletKeys = 1024;

export class NodeKeys {
  readonly secretType: SecretType;
  readonly node: KeyPair;
  /** m/0/0 */
  readonly wallet: ExtendedKey;
  /** m/9735' */
  readonly bolt12: KeyPair;
  /** m/86'/0'/0', only where the secret is a BIP 39 seed */
  readonly bip86: ExtendedKey | undefined;
  /** What the node's runes are made with (Greenlight's derivation). */
  readonly runes: Secret;
  /** What the copy of the signer's state is sealed with; no request can ask for it. */
  readonly state: Secret;
  readonly #bip86Receive: ExtendedKey | undefined;
  readonly #derivedSecret: Secret;
  readonly #channelBase: Secret;
  readonly #secp: Secp;
  readonly #forced: ForcedKeys | undefined;
  readonly #channels = new Map<string, ChannelKeys>();
  readonly #walletKeys = new Map<string, KeyPair>();

  constructor(secp: Secp, { seed, type }: HsmSecret, forced: ForcedKeys | undefined) {
    this.#secp = secp;
    this.#forced = forced;
    this.secretType = type;
    this.#channelBase = seed.use((bytes) => derive(bytes.subarray(0, 32), unsalted, 'peer seed'));
    this.#derivedSecret = seed.use((bytes) => derive(bytes, unsalted, 'derived secrets'));
    this.state = seed.use((bytes) => derive(bytes, unsalted, 'keyhold state'));
    this.runes = seed.use((bytes) => derive(bytes, unsalted, 'gl-commando'));
    const node = forced?.nodeKey ?? seed.use((bytes) => firstScalar(secp, bytes.subarray(0, 32)));
    this.node = { secret: node, point: secp.publicKey(node) };
    const master = seed.use((bytes) => walletMaster(secp, bytes, forced?.bip32Seed));
    this.wallet = descend(secp, master, [0, 0]);
    const bolt12 = childKey(secp, master, hardened + 9735);
    this.bolt12 = { secret: bolt12.privateKey, point: bolt12.publicKey };
    this.bip86 = seed.length === 64 ? bip86Base(secp, seed) : undefined;
    this.#bip86Receive = this.bip86 && childKey(secp, this.bip86, 0);
  }

  /** derive_secret: HKDF of the derived secret with `info` (handle_derive_secret). */
  derivedSecret(info: Uint8Array): Secret {
    return this.#derivedSecret.use((ikm) => derive(ikm, unsalted, info));
  }

  /** m/0/0/index (bitcoin_key). */
  bip32Key(index: number): KeyPair {
    return this.#remembered(`32/${index}`, () => childKey(this.#secp, this.wallet, index));
  }

  /** m/86'/0'/0'/0/index (bip86_key); undefined where the secret has no BIP 86 keys. */
  bip86Key(index: number): KeyPair | undefined {
    const receive = this.#bip86Receive;
    return receive && this.#remembered(`86/${index}`, () => childKey(this.#secp, receive, index));
  }

  /** The wallet key lightningd means by `index`: BIP 86 where the secret has it, whatever the script type. */
  walletKey(index: number): KeyPair {
    return this.bip86Key(index) ?? this.bip32Key(index);
  }

  #remembered(name: string, make: () => ExtendedKey): KeyPair {
    const known = this.#walletKeys.get(name);
    if (known !== undefined) return known;
    const { privateKey, publicKey } = make();
    const pair = { secret: privateKey, point: publicKey };
    remember(this.#walletKeys, name, pair, rememberedWalletKeys);
    return pair;
  }

  /** The keys of the channel `dbid` with `peer` (get_channel_seed, derive_basepoints). */
  channel(peer: Uint8Array, dbid: bigint): ChannelKeys {
    const name = `${toHex(peer)}/${dbid}`;
    const known = this.#channels.get(name);
    if (known !== undefined) return known;
    const littleEndianDbid = new Uint8Array(8);
    new DataView(littleEndianDbid.buffer).setBigUint64(0, dbid, true);
    const seed = this.#channelBase.use((base) => derive(base, concat(peer, littleEndianDbid), 'per-peer seed'));
    const keys = new ChannelKeys(this.#secp, seed, this.#forced);
    seed[Symbol.dispose]();
    remember(this.#channels, name, keys, rememberedChannels);
    return keys;
  }
}

/** Adds to a map of at most `limit` entries; the oldest goes. */
function remember<T>(map: Map<string, T>, name: string, value: T, limit: number): void {
  map.set(name, value);
  const [oldest] = map.keys();
  if (map.size > limit && oldest !== undefined) map.delete(oldest);
}

function bip86Base(secp: Secp, seed: Secret): ExtendedKey {
  const master = masterKey(secp, seed);
  if (master === undefined) throw new RangeError('this seed has no BIP 32 master key');
  return descend(secp, master, [hardened + 86, hardened, hardened]);
}

/** node_key: the first counter whose output is a scalar. */
function firstScalar(secp: Secp, first32: Uint8Array): Secret {
  for (let counter = 0; ; counter++) {
    const key = derive(first32, counterSalt(counter), 'nodeid');
    if (key.use((bytes) => secp.isScalar(bytes))) return key;
  }
}

/** The BIP 32 master of the wallet: from HKDF of the whole seed, or the one forced. */
function walletMaster(secp: Secp, seed: Uint8Array, forced: Secret | undefined): ExtendedKey {
  if (forced !== undefined) {
    const master = masterKey(secp, forced);
    if (master === undefined) throw new RangeError('the forced seed has no BIP 32 master key');
    return master;
  }
  for (let counter = 0; ; counter++) {
    const master = masterKey(secp, derive(seed, counterSalt(counter), 'bip32 seed'));
    if (master !== undefined) return master;
  }
}
