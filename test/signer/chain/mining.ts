/** Blocks of one's own on networks whose proof of work costs two hashes. */

import { readFile } from 'node:fs/promises';
import { LeWriter } from '../../../proto/bitcoin/stream.ts';
import { type Block, type ChainState, HeaderError, successor } from '../../../signer/chain/chain.ts';
import { parseHeader } from '../../../signer/chain/header.ts';
import { applyHeaders, maxHeaders } from '../../../signer/chain/headers.ts';
import { type Network, networkNamed } from '../../../signer/chain/networks.ts';
import { requiredBits } from '../../../signer/chain/rules.ts';
import { meets, targetOf } from '../../../signer/chain/target.ts';

/** A network by name, as it is or with other rules. */
export function network(name: string, changes: Partial<Network> = {}): Network {
  const found = networkNamed(name);
  if (found === undefined) throw new Error(`no network ${name}`);
  return { ...found, ...changes };
}

/** A network with another's rules and regtest's cheap work. */
export function cheap(rules: Network): Network {
  const { genesis, limitBits } = network('regtest');
  return { ...rules, genesis, limitBits };
}

export interface Wanted {
  readonly time?: number;
  readonly bits?: number;
  readonly previous?: Uint8Array;
  readonly merkleRoot?: Uint8Array;
  readonly version?: number;
  /** Whether the hash is to be below the target. */
  readonly work?: boolean;
}

/** A header behind `parent` that differs from a good one only where `wanted` says so. */
export function mine(rules: Network, parent: Block, wanted: Wanted = {}): Uint8Array {
  const time = wanted.time ?? parent.header.time + 600;
  const bits = wanted.bits ?? requiredBits(rules, parent, time);
  const target = targetOf(bits) ?? 0n;
  for (let nonce = 0; nonce < 100_000; nonce++) {
    const w = new LeWriter(80);
    w.u32(wanted.version ?? 0x20000000);
    w.put(wanted.previous ?? parent.header.hash);
    w.put(wanted.merkleRoot ?? new Uint8Array(32));
    w.u32(time);
    w.u32(bits);
    w.u32(nonce);
    const bytes = w.finish().slice();
    if (meets(parseHeader(bytes).hash, target) === (wanted.work ?? true)) return bytes;
  }
  throw new Error('no nonce found');
}

/** A clock that stands at a block's time. */
export function clockAt(seconds: number): { now(): number } {
  return { now: () => seconds * 1000 };
}

/** The state with `count` more blocks, `gap` seconds apart. */
export function grow(state: ChainState, count: number, gap = 600): ChainState {
  let grown = state;
  for (let left = count; left > 0; left -= maxHeaders) {
    let parent = grown.tip;
    const headers: Uint8Array[] = [];
    while (headers.length < Math.min(left, maxHeaders)) {
      const header = mine(grown.network, parent, { time: parent.header.time + gap });
      headers.push(header);
      parent = successor(parent, parseHeader(header));
    }
    grown = applyHeaders(grown, headers, clockAt(parent.header.time));
  }
  return grown;
}

/** What applying a header is refused for. */
export function problemOf(apply: () => unknown): string {
  try {
    apply();
  } catch (error: unknown) {
    if (error instanceof HeaderError) return error.problem;
    throw error;
  }
  return 'none';
}

export interface AnchorVector {
  readonly height: number;
  readonly header: string;
  readonly period: { readonly time: number; readonly bits: number };
}

export interface ProofVector {
  readonly block: string;
  readonly height: number;
  readonly transactions: number;
  readonly index: number;
  readonly tx: string;
  readonly path: readonly string[];
  readonly txid: string;
  readonly outputs: readonly { readonly sat: number; readonly script: string }[];
}

export interface MainnetVectors {
  readonly genesis: string;
  readonly retargets: readonly {
    readonly height: number;
    readonly first: string;
    readonly last: string;
    readonly next: string;
  }[];
  readonly crossing: { readonly anchor: AnchorVector; readonly headers: readonly string[] };
  readonly stale: {
    readonly anchor: AnchorVector;
    readonly headers: readonly string[];
    readonly stale: string;
    readonly staleHeight: number;
  };
  readonly block: {
    readonly anchor: AnchorVector;
    readonly transactions: number;
    readonly proofs: readonly Pick<ProofVector, 'index' | 'txid' | 'tx' | 'path'>[];
  };
}

export interface RegtestVectors {
  readonly genesis: string;
  readonly headers: readonly string[];
  readonly proofs: readonly ProofVector[];
  readonly reorganisation: {
    readonly from_height: number;
    readonly headers: readonly string[];
    readonly tip: string;
    readonly chainwork: string;
  };
}

async function load(name: string): Promise<unknown> {
  return JSON.parse(await readFile(`test/vectors/chain/${name}.json`, 'utf8'));
}

// The files hold what their names say; a wrong one fails the tests that read it.
export const mainnet = (await load('mainnet')) as MainnetVectors;
export const regtest = (await load('regtest')) as RegtestVectors;
