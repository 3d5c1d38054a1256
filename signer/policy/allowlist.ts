/**
 * Where value may go without asking, as the policy file's `[allow]` names it: addresses, scripts and extended public keys
 * become scripts, nodes their ids.
 */

import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { createBase58check } from '@scure/base';
import { concat, fromHex, toHex } from '../../proto/bytes.ts';
import { AddressError, scriptOfAddress } from '../approvals/address.ts';
import { p2pkh, p2sh, p2tr, p2wpkh, tapTweak } from '../bitcoin/script.ts';
import type { Network } from '../chain/networks.ts';
import { hash160 } from '../crypto/hash.ts';
import type { Secp } from '../crypto/secp.ts';
import { PolicyFileError } from './policy_file_error.ts';

export interface Allow {
  readonly addresses: readonly string[];
  /** scriptPubKeys in hex. */
  readonly scripts: readonly string[];
  readonly xpubs: readonly string[];
  /** How many addresses of each chain (receiving, change) of each of the `xpubs`. */
  readonly xpubAddresses: number;
  /** Node ids in hex. */
  readonly nodes: readonly string[];
}

export const allowNothing: Allow = { addresses: [], scripts: [], xpubs: [], xpubAddresses: 100, nodes: [] };

/** What Settings.allowedScripts and Settings.allowedNodes are. @throws PolicyFileError */
export function allowedOn(allow: Allow, network: Network, secp: Secp) {
  const addresses = allow.addresses.map((address, i) => ofAddress(address, network, `allow.addresses[${i}]`));
  const scripts = allow.scripts.map((script, i) =>
    hexOf(script, /^([0-9a-f]{2}){1,10000}$/, `allow.scripts[${i}]`, 'a scriptPubKey'),
  );
  const derived = allow.xpubs.flatMap((xpub, i) =>
    ofXpub(xpub, allow.xpubAddresses, { network, secp, where: `allow.xpubs[${i}]` }),
  );
  const nodes = allow.nodes.map((node, i) => {
    const where = `allow.nodes[${i}]`;
    const id = hexOf(node, /^0[23][0-9a-f]{64}$/, where, 'a node id of 33 bytes');
    if (!secp.isPoint(fromHex(id)))
      throw new PolicyFileError(`${where}: expected a node id, got no point of the curve`);
    return id;
  });
  return { allowedScripts: new Set([...addresses, ...scripts, ...derived]), allowedNodes: new Set(nodes) };
}

function ofAddress(address: string, network: Network, where: string): string {
  try {
    return toHex(scriptOfAddress(address.trim(), network));
  } catch (error: unknown) {
    if (error instanceof AddressError)
      throw new PolicyFileError(`${where}: ${error.message}, got ${JSON.stringify(address)}`);
    throw error;
  }
}

function hexOf(text: string, form: RegExp, where: string, what: string): string {
  const hex = text.trim().toLowerCase();
  if (!form.test(hex)) throw new PolicyFileError(`${where}: expected ${what} in hex`);
  return hex;
}

type ToScripts = (key: Uint8Array, secp: Secp) => readonly Uint8Array[];

const native: ToScripts = (key) => [p2wpkh(key)];
const nested: ToScripts = (key) => [p2sh(p2wpkh(key))];
/** A version that does not say which addresses its wallet makes: BIP 44, 49, 84 and 86 all use it. */
const any: ToScripts = (key, secp) => [
  p2pkh(hash160(key)),
  ...nested(key, secp),
  ...native(key, secp),
  ...taproot(key, secp),
];
const taproot: ToScripts = (key, secp) => {
  const internal = key.subarray(1);
  const output = secp.addToPoint(concat(Uint8Array.of(2), internal), tapTweak(internal));
  return output === undefined ? [] : [p2tr(output.subarray(1))];
};

/** BIP 32's and SLIP 132's versions of public keys. */
const versions: Readonly<Record<'main' | 'test', Readonly<Record<string, ToScripts>>>> = {
  main: { '0488b21e': any, '049d7cb2': nested, '04b24746': native },
  test: { '043587cf': any, '044a5262': nested, '045f1cf6': native },
};

const base58check = createBase58check(sha256);
const xpubBytes = 78;

function decodeBase58(text: string): Uint8Array {
  // Longer texts cannot be extended keys, and base 58 takes quadratic time.
  if (text.length > 120) return new Uint8Array();
  try {
    return base58check.decode(text);
  } catch {
    return new Uint8Array();
  }
}

interface Place {
  readonly network: Network;
  readonly secp: Secp;
  readonly where: string;
}

/** The scripts of m/0/i and m/1/i below an account's key, in hex. Never says the text: it may be a private key. */
function ofXpub(xpub: string, each: number, { network, secp, where }: Place): readonly string[] {
  const bytes = decodeBase58(xpub.trim());
  const key = bytes.subarray(45);
  if (bytes.length === xpubBytes && bytes[45] === 0)
    throw new PolicyFileError(
      `${where}: expected an extended public key, got a private one: take it out, and do not use it any more`,
    );
  const kind = network.name === 'bitcoin' ? 'main' : 'test';
  const toScripts = versions[kind][toHex(bytes.subarray(0, 4))];
  if (bytes.length !== xpubBytes || toScripts === undefined || !secp.isPoint(key))
    throw new PolicyFileError(
      `${where}: expected an extended public key of ${network.name} (${kind === 'main' ? 'xpub, ypub or zpub' : 'tpub, upub or vpub'})`,
    );
  const account: PublicKey = { key, chainCode: bytes.subarray(13, 45) };
  return [0, 1].flatMap((chain) => {
    const parent = child(secp, account, chain);
    return Array.from({ length: each }, (_, i) => i)
      .flatMap((i) => toScripts(child(secp, parent, i).key, secp))
      .map((script) => toHex(script));
  });
}

interface PublicKey {
  readonly key: Uint8Array;
  readonly chainCode: Uint8Array;
}

/** BIP 32, §Public parent key to public child key. */
function child(secp: Secp, { key, chainCode }: PublicKey, index: number): PublicKey {
  const data = new Uint8Array(37);
  data.set(key);
  new DataView(data.buffer).setUint32(33, index);
  const i = hmac(sha512, chainCode, data);
  const point = secp.addToPoint(key, i.subarray(0, 32));
  // One in 2^127.
  if (point === undefined) throw new PolicyFileError(`an extended public key has no child ${index}`);
  return { key: point, chainCode: i.subarray(32) };
}
