/** On-chain addresses to the scripts they stand for (BIP 173, BIP 350, Base58Check), for one network. */

import { sha256 } from '@noble/hashes/sha2.js';
import { bech32, bech32m, createBase58check } from '@scure/base';
import { concat } from '../../proto/bytes.ts';
import type { Network } from '../chain/networks.ts';

/** A text that is no address of the network. It never contains the text. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
}

const base58check = createBase58check(sha256);
/** BIP 173: a whole address. */
const maxLength = 90;

/** The scriptPubKey of an address. Throws AddressError. */
export function scriptOfAddress(text: string, { address, name }: Pick<Network, 'address' | 'name'>): Uint8Array {
  const script = text.toLowerCase().startsWith(`${address.bech32}1`)
    ? witnessScript(text)
    : base58Script(text, address.p2pkh, address.p2sh);
  if (script === undefined) throw new AddressError(`expected an address of ${name}`);
  return script;
}

function witnessScript(text: string): Uint8Array | undefined {
  const decoded = bech32.decodeUnsafe(text, maxLength) || bech32m.decodeUnsafe(text, maxLength);
  if (!decoded) return undefined;
  const [version = 0, ...words] = decoded.words;
  // BIP 350: version 0 has BIP 173's checksum, every later one the new.
  const isOld = Boolean(bech32.decodeUnsafe(text, maxLength));
  const program = bech32.fromWordsUnsafe(words);
  if (!program || version > 16 || isOld !== (version === 0)) return undefined;
  const lengthFits =
    version === 0 ? program.length === 20 || program.length === 32 : program.length >= 2 && program.length <= 40;
  if (!lengthFits || decoded.words.length === 0) return undefined;
  return concat(Uint8Array.of(version === 0 ? 0 : 0x50 + version, program.length), program);
}

function base58Script(text: string, p2pkh: number, p2sh: number): Uint8Array | undefined {
  const decoded = decodeBase58(text);
  if (decoded?.length !== 21) return undefined;
  const hash = decoded.subarray(1);
  // HASH160 EQUAL around a script's hash; DUP HASH160 EQUALVERIFY CHECKSIG around a key's.
  if (decoded[0] === p2sh) return concat(Uint8Array.of(0xa9, 0x14), hash, Uint8Array.of(0x87));
  if (decoded[0] === p2pkh) return concat(Uint8Array.of(0x76, 0xa9, 0x14), hash, Uint8Array.of(0x88, 0xac));
  return undefined;
}

function decodeBase58(text: string): Uint8Array | undefined {
  // Longer texts cannot be addresses, and base 58 takes quadratic time.
  if (text.length > maxLength) return undefined;
  try {
    return base58check.decode(text);
  } catch {
    return undefined;
  }
}
