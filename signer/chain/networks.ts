/**
 * What differs from one Bitcoin network to another: where its chain begins, how its difficulty moves (chainparams.cpp,
 * BIP 94, BIP 325), and how addresses and invoices name it.
 */

import { equalBytes, fromHex } from '../../proto/bytes.ts';
import { parseHeader } from './header.ts';

export interface Network {
  /** As lightningd calls it. */
  readonly name: string;
  /** Block 0, 80 bytes. */
  readonly genesis: Uint8Array;
  /** The easiest target allowed, in compact form. */
  readonly limitBits: number;
  /** Whether the difficulty follows the time the last period took. */
  readonly retargets: boolean;
  /** A block this many seconds after the one before it may have the easiest target; undefined: none may. */
  readonly easyAfter: number | undefined;
  /** BIP 94: a new period starts from the target of the last one's first block, and not long before its last. */
  readonly bip94: boolean;
  /** What checked headers do not prove on this network, for the owner to read; undefined where nothing is missing. */
  readonly caveat: string | undefined;
  /** Addresses: the prefix of BIP 173 and the version bytes of Base58Check. */
  readonly address: { readonly bech32: string; readonly p2pkh: number; readonly p2sh: number };
  /** BOLT 11's prefix behind `ln`. */
  readonly invoicePrefix: string;
}

function genesis(root: string, rest: string): Uint8Array {
  return fromHex(`01000000${'00'.repeat(32)}${root}${rest}`);
}

const coinbaseOf2009 = '3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a';
const testAddress = { bech32: 'tb', p2pkh: 0x6f, p2sh: 0xc4 };
const cheap =
  'after twenty minutes without a block anyone may find one at the lowest difficulty: depth in this chain costs little';
const mainRules = { retargets: true, easyAfter: undefined, bip94: false };

export const networks: readonly Network[] = [
  {
    name: 'bitcoin',
    genesis: genesis(coinbaseOf2009, '29ab5f49ffff001d1dac2b7c'),
    limitBits: 0x1d00ffff,
    ...mainRules,
    caveat: undefined,
    address: { bech32: 'bc', p2pkh: 0x00, p2sh: 0x05 },
    invoicePrefix: 'bc',
  },
  {
    name: 'testnet',
    genesis: genesis(coinbaseOf2009, 'dae5494dffff001d1aa4ae18'),
    limitBits: 0x1d00ffff,
    retargets: true,
    easyAfter: 1200,
    bip94: false,
    caveat: cheap,
    address: testAddress,
    invoicePrefix: 'tb',
  },
  {
    name: 'testnet4',
    genesis: genesis('4e7b2b9128fe0291db0693af2ae418b767e657cd407e80cb1434221eaea7a07a', '046f3566ffff001dbb0c7817'),
    limitBits: 0x1d00ffff,
    retargets: true,
    easyAfter: 1200,
    bip94: true,
    caveat: cheap,
    address: testAddress,
    invoicePrefix: 'tb',
  },
  {
    name: 'signet',
    genesis: genesis(coinbaseOf2009, '008f4d5fae77031e8ad22203'),
    limitBits: 0x1e0377ae,
    ...mainRules,
    caveat:
      "a block's signature stands in its coinbase, which headers do not show: only linkage and the (low) work are checked",
    address: testAddress,
    invoicePrefix: 'tbs',
  },
  {
    name: 'regtest',
    genesis: genesis(coinbaseOf2009, 'dae5494dffff7f2002000000'),
    limitBits: 0x207fffff,
    retargets: false,
    easyAfter: undefined,
    bip94: false,
    caveat: 'anyone can make blocks of this network at will',
    address: { bech32: 'bcrt', p2pkh: 0x6f, p2sh: 0xc4 },
    invoicePrefix: 'bcrt',
  },
];

/** The network whose block 0 has this hash (32 bytes, internal order), as `init` names it; undefined for others. */
export function networkOfChain(hash: Uint8Array): Network | undefined {
  return networks.find((network) => equalBytes(parseHeader(network.genesis).hash, hash));
}

/** The network of this name; undefined for others. */
export function networkNamed(name: string): Network | undefined {
  return networks.find((network) => network.name === name);
}
