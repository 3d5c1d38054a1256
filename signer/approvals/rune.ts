/**
 * Runes: bearer tokens whose restrictions anyone can add to and nobody can take away (ccan/rune). The code in front is
 * the SHA-256 state after the master secret and each restriction in turn, each padded to a whole block as the hash's own
 * end would be; so for whoever has the secret it is one SHA-256 over them all.
 *
 * A rune's bytes are the code (32) and the restrictions as text: alternatives joined by `|`, restrictions by `&`, those
 * two and `\` escaped by `\` in values. The first restriction may be `=id-version`. Only the written form that follows
 * from the meaning is taken, so no two texts are one rune.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { concat, utf8 } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';

export type Condition = '!' | '=' | '/' | '^' | '$' | '~' | '<' | '>' | '{' | '}' | '#';

export interface Alternative {
  readonly field: string;
  readonly condition: Condition;
  readonly value: string;
}

/** One of the alternatives must hold. */
export type Restriction = readonly Alternative[];

export interface Rune {
  /** 32 bytes. */
  readonly code: Uint8Array;
  /** All must hold; the id's is not among them. */
  readonly restrictions: readonly Restriction[];
  readonly id: string | undefined;
  readonly version: string | undefined;
}

/** A rune that is none, is not ours, or does not allow this. It never contains the rune. */
export class RuneError extends Error {
  override readonly name = 'RuneError';
}

const codeLength = 32;

/** Reads a rune's bytes. Throws RuneError. */
export function parseRune(bytes: Uint8Array): Rune {
  if (bytes.length < codeLength) throw new RuneError(`expected at least ${codeLength} bytes, got ${bytes.length}`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(codeLength));
  } catch (error: unknown) {
    throw new RuneError('restrictions that are not UTF-8', { cause: error });
  }
  const all = text === '' ? [] : split(text, '&').map(parseRestriction);
  const written = all.map(writeRestriction).join('&');
  if (written !== text) throw new RuneError('restrictions in another form than their own');
  const [first, ...rest] = all;
  if (first === undefined || !first.some(({ field }) => field === '')) {
    refuseIds(all);
    return { code: bytes.slice(0, codeLength), restrictions: all, id: undefined, version: undefined };
  }
  refuseIds(rest);
  const [only, second] = first;
  if (only === undefined || second !== undefined || only.condition !== '=')
    throw new RuneError('expected the id alone in its restriction, with =');
  const dash = only.value.indexOf('-');
  const [id, version] = dash < 0 ? [only.value, undefined] : [only.value.slice(0, dash), only.value.slice(dash + 1)];
  return { code: bytes.slice(0, codeLength), restrictions: rest, id, version };
}

function refuseIds(restrictions: readonly Restriction[]): void {
  if (restrictions.flat().some(({ field }) => field === ''))
    throw new RuneError('an id that is not in the first restriction');
}

/** A rune of our own with these restrictions. */
export function makeRune(secret: Secret, id: string, version: string, restrictions: readonly Restriction[]): Rune {
  if (id.includes('-')) throw new RangeError('a - in the id of a rune: expected it only before the version');
  const unsigned = { code: new Uint8Array(codeLength), restrictions, id, version };
  return { ...unsigned, code: codeOf(secret, unsigned) };
}

/** Its bytes. */
export function runeBytes(rune: Rune): Uint8Array {
  return concat(rune.code, utf8(written(rune).join('&')));
}

/** Whether it was made from this secret, in a time that does not depend on where the codes differ. */
export function isMadeWith(secret: Secret, rune: Rune): boolean {
  return new Secret(codeOf(secret, rune)).equals(Secret.copyOf(rune.code));
}

function written({ id, version, restrictions }: Rune): readonly string[] {
  const texts = restrictions.map(writeRestriction);
  if (id === undefined) return texts;
  return [`=${escaped(version === undefined ? id : `${id}-${version}`)}`, ...texts];
}

function codeOf(secret: Secret, rune: Rune): Uint8Array {
  return secret.use((key) => {
    const hash = sha256.create().update(key);
    let length = key.length;
    for (const text of written(rune)) {
      const piece = concat(padding(length), utf8(text));
      hash.update(piece);
      length += piece.length;
    }
    return hash.digest();
  });
}

/** SHA-256's own end of a message of so many bytes. */
function padding(length: number): Uint8Array {
  const end = new Uint8Array(1 + ((119 - (length % 64)) % 64) + 8);
  end[0] = 0x80;
  new DataView(end.buffer).setBigUint64(end.length - 8, BigInt(length) * 8n);
  return end;
}

function writeRestriction(restriction: Restriction): string {
  return restriction.map(({ field, condition, value }) => `${field}${condition}${escaped(value)}`).join('|');
}

function escaped(value: string): string {
  return value.replace(/[\\|&]/g, '\\$&');
}

function parseRestriction(text: string): Restriction {
  return split(text, '|').map(parseAlternative);
}

/** A field's name ends at the first ASCII punctuation but `_`; that is the condition. */
const alternativeForm = /^([^!-/:-@[-^`{-~]*)([!=/^$~<>{}#])(.*)$/s;

function parseAlternative(text: string): Alternative {
  const [, field, condition, value] = alternativeForm.exec(text) ?? [];
  if (field === undefined || condition === undefined || value === undefined)
    throw new RuneError('a restriction without a condition');
  // The pattern lets only conditions through.
  return { field, condition: condition as Condition, value: value.replace(/\\(.)/gs, '$1') };
}

/** Pieces between separators that have no `\` before them; the escapes stay. */
function split(text: string, separator: string): readonly string[] {
  const pieces: string[] = [];
  let piece = '';
  for (let i = 0; i < text.length; i++) {
    const letter = text.charAt(i);
    if (letter === '\\') piece += letter + text.charAt(++i);
    else if (letter === separator) {
      pieces.push(piece);
      piece = '';
    } else piece += letter;
  }
  return [...pieces, piece];
}
