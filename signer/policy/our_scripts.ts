/**
 * Which scripts pay our wallet: those of BIP 32 keys (m/0/0/i) and BIP 86 keys (m/86'/0'/0'/0/i), in every form lightningd
 * gives out. lightningd mostly says the index in the PSBT; where it does not, the indexes it used last are tried.
 */

import type { PsbtOutput } from '../../proto/bitcoin/psbt.ts';
import { equalBytes, toHex } from '../../proto/bytes.ts';
import { isP2sh, isP2tr, isP2wpkh, p2sh, p2tr, p2wpkh } from '../bitcoin/script.ts';
import type { Context } from '../context.ts';
import type { KeyPair } from '../keys/channel_keys.ts';
import type { NodeKeys } from '../keys/node_keys.ts';
import { taprootSecret } from '../keys/taproot.ts';
import { walletIndexOf } from '../lightning/closing.ts';
import { once } from '../once.ts';
import type { Setup } from '../state/channel_state.ts';
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

/** The forms in which lightningd gives a key out as an address, and how a script is told to be one. */
const forms = {
  p2wpkh: { is: isP2wpkh, of: (_context: Pick<Context, 'secp'>, { point }: KeyPair) => p2wpkh(point) },
  p2tr: { is: isP2tr, of: taprootOf },
  p2sh: { is: isP2sh, of: (_context: Pick<Context, 'secp'>, { point }: KeyPair) => p2sh(p2wpkh(point)) },
} as const;
type Form = keyof typeof forms;

interface Known {
  readonly indexes: Set<number>;
  /** In hex. */
  readonly scripts: Set<string>;
}

const nothing = (): Known => ({ indexes: new Set(), scripts: new Set() });
const knownOf = once((_keys: NodeKeys) => ({ p2wpkh: nothing(), p2tr: nothing(), p2sh: nothing() }));

/** BIP 86's output key, by the secret: that takes half as long as by the point. */
function taprootOf({ secp }: Pick<Context, 'secp'>, key: KeyPair): Uint8Array {
  using output = taprootSecret(secp, key);
  if (output === undefined) throw new RangeError('expected an output key, derived the point at infinity');
  return p2tr(secp.publicKey(output).subarray(1));
}

/** The scripts of one key: P2WPKH, P2TR and P2SH-wrapped P2WPKH. */
export function scriptsOf(context: Pick<Context, 'secp'>, key: KeyPair): readonly Uint8Array[] {
  return Object.values(forms).map(({ of }) => of(context, key));
}

function learn(context: Context, form: Form, { indexes, scripts }: Known, index: number): void {
  if (indexes.has(index)) return;
  if (indexes.size >= remembered) {
    indexes.clear();
    scripts.clear();
  }
  indexes.add(index);
  scripts.add(toHex(forms[form].of(context, context.keys.walletKey(index))));
}

/** Whether `script` pays our wallet; `index` is the key lightningd says it is. */
export function paysWallet({ context, state }: Scope, script: Uint8Array, index: number | undefined): boolean {
  const form = (Object.keys(forms) as Form[]).find((name) => forms[name].is(script));
  if (form === undefined) return false;
  const known = knownOf(context.keys)[form];
  const hex = toHex(script);
  if (index !== undefined && index <= lastIndex) learn(context, form, known, index);
  if (known.scripts.has(hex)) return true;
  const { walletIndex } = state.node;
  for (let near = Math.max(0, walletIndex - window); near <= walletIndex + ahead; near++)
    learn(context, form, known, near);
  return known.scripts.has(hex);
}

/** Whether value may go to `script` without asking: it is our wallet's, or on the owner's list. */
export function isSafe(scope: Scope, script: Uint8Array, pairs: PsbtOutput = []): boolean {
  return scope.settings.allowedScripts.has(toHex(script)) || paysWallet(scope, script, walletIndexOf(pairs));
}

/** Whether `script` is what was agreed on at setup as the one that a close pays us to: no script is not agreed on. */
export function isAgreed({ localShutdownScript: agreed }: Setup, script: Uint8Array): boolean {
  return agreed.length > 0 && equalBytes(script, agreed);
}

/**
 * The node with the highest index that lightningd named, in steps, so that a start which names fifty is not fifty times
 * made durable. The same object where nothing changes.
 */
export function withWalletIndex(node: NodeState, index: number): NodeState {
  if (index <= node.walletIndex || index > lastIndex) return node;
  return { ...node, walletIndex: Math.ceil(index / ahead) * ahead };
}
