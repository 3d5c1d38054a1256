/**
 * Which scripts pay our wallet: those of BIP 32 keys (m/0/0/i) and BIP 86 keys (m/86'/0'/0'/0/i), in every form lightningd
 * gives out. lightningd mostly says the index in the PSBT; where it does not, the indexes it used last are tried.
 */

import type { PsbtOutput } from '../../proto/bitcoin/psbt.ts';
import { toHex } from '../../proto/bytes.ts';
import { p2sh, p2tr, p2wpkh, tapTweak } from '../bitcoin/script.ts';
import type { Context } from '../context.ts';
import type { NodeKeys } from '../keys/node_keys.ts';
import { walletIndexOf } from '../lightning/closing.ts';
import type { NodeState } from '../state/node_state.ts';
import type { Scope } from './scope.ts';

/** What a recovery can search through in minutes: a key beyond it would be ours, but as good as lost. */
const lastIndex = 1_000_000;
/** lightningd looks this far ahead of the last index it gave out, and so do we. */
const ahead = 64;
/** How far back an output without an index is looked for. */
const window = 1_000;
/** Indexes whose scripts are remembered. */
const remembered = 4_000;

interface Known {
  readonly indexes: Set<number>;
  /** In hex. */
  readonly scripts: Set<string>;
}

const knownOf = new WeakMap<NodeKeys, Known>();

/** BIP 86's output key of a point. */
function taprootOf({ secp }: Pick<Context, 'secp'>, point: Uint8Array): Uint8Array {
  const x = point.subarray(1);
  const even = Uint8Array.of(2, ...x);
  const output = secp.addToPoint(even, tapTweak(x));
  if (output === undefined) throw new RangeError('expected an output key, derived the point at infinity');
  return p2tr(output.subarray(1));
}

/** The scripts of one key: P2WPKH, P2TR and P2SH-wrapped P2WPKH. */
export function scriptsOf(context: Pick<Context, 'secp'>, point: Uint8Array): readonly Uint8Array[] {
  const plain = p2wpkh(point);
  return [plain, taprootOf(context, point), p2sh(plain)];
}

/** Every script of the wallet's key `index`, whichever way it is derived. */
export function walletScripts(context: Pick<Context, 'secp' | 'keys'>, index: number): readonly Uint8Array[] {
  const points = [context.keys.bip86Key(index)?.point, context.keys.bip32Key(index).point];
  return points.flatMap((point) => (point === undefined ? [] : scriptsOf(context, point)));
}

function learn(context: Context, { indexes, scripts }: Known, index: number): void {
  if (indexes.has(index)) return;
  if (indexes.size >= remembered) {
    indexes.clear();
    scripts.clear();
  }
  indexes.add(index);
  for (const script of walletScripts(context, index)) scripts.add(toHex(script));
}

/** Whether `script` pays our wallet; `index` is the key lightningd says it is. */
export function paysWallet({ context, state }: Scope, script: Uint8Array, index: number | undefined): boolean {
  const known = knownOf.get(context.keys) ?? { indexes: new Set(), scripts: new Set() };
  knownOf.set(context.keys, known);
  const hex = toHex(script);
  if (index !== undefined && index <= lastIndex) learn(context, known, index);
  if (known.scripts.has(hex)) return true;
  const { walletIndex } = state.node;
  for (let near = Math.max(0, walletIndex - window); near <= walletIndex + ahead; near++) learn(context, known, near);
  return known.scripts.has(hex);
}

/** Whether value may go to `script` without asking: it is our wallet's, or on the owner's list. */
export function isSafe(scope: Scope, script: Uint8Array, pairs: PsbtOutput = []): boolean {
  return scope.settings.allowedScripts.has(toHex(script)) || paysWallet(scope, script, walletIndexOf(pairs));
}

/**
 * The node with the highest index that lightningd named, in steps, so that a start which names fifty is not fifty times
 * made durable. The same object where nothing changes.
 */
export function withWalletIndex(node: NodeState, index: number): NodeState {
  if (index <= node.walletIndex || index > lastIndex) return node;
  return { ...node, walletIndex: Math.ceil(index / ahead) * ahead };
}
