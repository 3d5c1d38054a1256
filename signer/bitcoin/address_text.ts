/** Scripts to the addresses that stand for them, for people to read: the way back from approvals/address.ts. */

import { sha256 } from '@noble/hashes/sha2.js';
import { bech32, bech32m, createBase58check } from '@scure/base';
import { concat } from '../../proto/bytes.ts';
import type { Network } from '../chain/networks.ts';

const base58check = createBase58check(sha256);

/** The address of a scriptPubKey; undefined where it has none. */
export function addressOfScript(script: Uint8Array, { address }: Pick<Network, 'address'>): string | undefined {
  const [first = 0xff, length = 0] = script;
  if (isBetween(script, [0x76, 0xa9, 0x14], [0x88, 0xac], 20))
    return base58check.encode(concat(Uint8Array.of(address.p2pkh), script.subarray(3, 23)));
  if (isBetween(script, [0xa9, 0x14], [0x87], 20))
    return base58check.encode(concat(Uint8Array.of(address.p2sh), script.subarray(2, 22)));
  const version = first === 0 ? 0 : first - 0x50;
  const isProgram = version >= 0 && version <= 16 && first !== 0x50 && script.length === length + 2;
  if (!isProgram || length < 2 || length > 40 || (version === 0 && length !== 20 && length !== 32)) return undefined;
  const words = [version, ...bech32.toWords(script.subarray(2))];
  return (version === 0 ? bech32 : bech32m).encode(address.bech32, words);
}

function isBetween(script: Uint8Array, before: readonly number[], after: readonly number[], length: number): boolean {
  return (
    script.length === before.length + length + after.length &&
    before.every((byte, i) => script[i] === byte) &&
    after.every((byte, i) => script[before.length + length + i] === byte)
  );
}
