/**
 * What a witness script that came with a request is: one of the four that a commitment's keys make, whose hash, expiry
 * or delay no request says elsewhere.
 */

import { equalBytes } from '../../proto/bytes.ts';
import type { CommitmentBasis } from './outputs.ts';
import { offeredHtlcScript, receivedHtlcScript, toLocalScript } from './scripts.ts';
import { pushedNumber, readScript, type ScriptField, type ScriptTemplate } from './template.ts';

/** A script that our keys of this commitment make. */
export type KnownScript =
  | { readonly kind: 'delayed' /** Blocks. */; readonly delay: number }
  | { readonly kind: 'offeredHtlc'; readonly hash160: Uint8Array }
  | { readonly kind: 'receivedHtlc'; readonly hash160: Uint8Array; readonly cltvExpiry: number };

/** The fields that no key decides. */
const free: ReadonlySet<ScriptField> = new Set(['delay', 'paymentHash', 'cltvExpiry']);

/** The fields of `script` where it has the template's shape and keys. */
function read(template: ScriptTemplate, script: Uint8Array): ReadonlyMap<ScriptField, Uint8Array> | undefined {
  const found = readScript(template, script);
  const sameKeys = template.every(
    (piece) =>
      typeof piece === 'number' ||
      free.has(piece.field) ||
      equalBytes(found?.get(piece.field) ?? piece.push, piece.push),
  );
  return sameKeys ? found : undefined;
}

const anyHash = new Uint8Array(20);

/** Which script of the commitment with these keys `script` is; undefined where it has other keys or another shape. */
export function knownScript(
  { channel, keys }: Pick<CommitmentBasis, 'channel' | 'keys'>,
  script: Uint8Array,
): KnownScript | undefined {
  const delay = read(toLocalScript(keys, 0), script)?.get('delay');
  const blocks = delay && pushedNumber(delay);
  if (blocks !== undefined) return { kind: 'delayed', delay: blocks };
  const offered = read(offeredHtlcScript(keys, channel.anchors, anyHash), script)?.get('paymentHash');
  if (offered !== undefined) return { kind: 'offeredHtlc', hash160: offered.subarray(1) };
  const received = read(receivedHtlcScript(keys, channel.anchors, anyHash, 0), script);
  const hash = received?.get('paymentHash');
  const expiry = received?.get('cltvExpiry');
  const cltvExpiry = expiry && pushedNumber(expiry);
  if (hash === undefined || cltvExpiry === undefined) return undefined;
  return { kind: 'receivedHtlc', hash160: hash.subarray(1), cltvExpiry };
}
