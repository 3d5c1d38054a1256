import { readFile } from 'node:fs/promises';
import { base64url } from '@scure/base';
import test from 'ava';
import fc from 'fast-check';
import { toHex } from '../../../proto/bytes.ts';
import { Secret } from '../../../proto/secret.ts';
import { isMadeWith, makeRune, parseRune, type Rune, RuneError, runeBytes } from '../../../signer/approvals/rune.ts';
import { holds, type RuneFields } from '../../../signer/approvals/rune_check.ts';
import { tiny } from '../../../signer/crypto/tiny.ts';
import { NodeKeys } from '../../../signer/keys/node_keys.ts';

interface Vector {
  readonly kind: 'valid' | 'malformed' | 'foreign' | 'derive';
  readonly title: string;
  readonly text?: string;
  readonly rune: string;
  readonly id?: string | null;
  readonly version?: string | null;
  readonly checks: readonly { readonly passes: boolean; readonly fields: RuneFields }[];
}

// The file holds what its name says; a wrong one fails the tests that read it.
const vectors = JSON.parse(await readFile('test/vectors/runes/runes.json', 'utf8')) as readonly Vector[];
const secret = new Secret(new Uint8Array(16));

/** A rune as it is passed around. */
function runeFromText(text: string): Rune {
  let bytes: Uint8Array;
  try {
    bytes = base64url.decode(text.padEnd(Math.ceil(text.length / 4) * 4, '='));
  } catch (error: unknown) {
    throw new RuneError('no base64', { cause: error });
  }
  return parseRune(bytes);
}

for (const { kind, title, text, rune, id, version, checks } of vectors) {
  test(`rune, ${kind}: ${title}`, (t) => {
    if (kind === 'malformed') {
      t.throws(() => runeFromText(rune), { instanceOf: RuneError });
      return;
    }
    const parsed = runeFromText(rune);
    t.is(isMadeWith(secret, parsed), kind !== 'foreign');
    t.is(base64url.encode(runeBytes(parsed)), rune);
    if (kind === 'valid') {
      t.is(`${toHex(parsed.code)}:${new TextDecoder().decode(runeBytes(parsed).subarray(32))}`, text ?? '');
      t.is(parsed.id, id ?? undefined);
      t.is(parsed.version, version ?? undefined);
    }
    for (const { passes, fields } of checks) {
      const known = { f1: undefined, f2: undefined, f3: undefined, f_with_underscores: undefined, ...fields };
      const met = parsed.restrictions.every((restriction) => restriction.some((one) => holds(one, known)));
      t.is(met, passes, JSON.stringify(fields));
    }
  });
}

test("Greenlight's derivation and first restriction give its published rune", (t) => {
  const secp = tiny((length) => new Uint8Array(length).fill(1));
  const { runes: ours } = new NodeKeys(secp, { type: 0, seed: new Secret(new Uint8Array(32)) }, undefined);
  const made = makeRune(ours, '0', 'gl0', [[{ field: 'pubkey', condition: '=', value: '000000' }]]);
  const published = '2KbDsm4m62uytCvceNCtXIvo0Snjn6-q21J4hafbD049MC1nbDAmcHVia2V5PTAwMDAwMA';
  t.is(base64url.encode(runeBytes(made)), `${published}==`);
  const parsed = runeFromText(published);
  t.true(isMadeWith(ours, parsed));
  t.is(parsed.id, '0');
  t.is(parsed.version, 'gl0');
  t.false(isMadeWith(secret, parsed));
});

test('a restriction that is taken away, changed or added without the secret is noticed', (t) => {
  const made = makeRune(secret, '3', 'gl0', [
    [{ field: 'method', condition: '=', value: 'pay' }],
    [{ field: 'time', condition: '<', value: '5' }],
  ]);
  t.true(isMadeWith(secret, made));
  t.false(isMadeWith(secret, { ...made, restrictions: made.restrictions.slice(1) }));
  t.false(isMadeWith(secret, { ...made, id: '4' }));
  t.false(isMadeWith(secret, { ...made, id: undefined }));
  t.false(
    isMadeWith(secret, { ...made, restrictions: [...made.restrictions, [{ field: 'a', condition: '!', value: '' }]] }),
  );
});

test('another written form of a rune is not taken', (t) => {
  const bytes = (text: string) => Uint8Array.from([...new Uint8Array(32), ...new TextEncoder().encode(text)]);
  for (const text of ['a=1&', '&a=1', 'a=\\b', 'a=1\\', '|a=1', 'a', 'a=1&=2', 'a=1|=2', '=1|a=2'])
    t.throws(() => parseRune(bytes(text)), { instanceOf: RuneError }, text);
  t.throws(() => parseRune(Uint8Array.of(...new Uint8Array(32), 0xff)), { instanceOf: RuneError });
  t.throws(() => parseRune(new Uint8Array(31)), { instanceOf: RuneError });
});

test('what is made reads back the same, whatever stands in it', (t) => {
  const field = fc.stringMatching(/^[a-z_]{1,8}$/);
  const condition = fc.constantFrom('!', '=', '/', '^', '$', '~', '<', '>', '{', '}', '#');
  const restriction = fc.array(fc.record({ field, condition, value: fc.string({ unit: 'grapheme' }) }), {
    minLength: 1,
  });
  fc.assert(
    fc.property(fc.array(restriction), (restrictions) => {
      const made = makeRune(secret, '1', 'gl0', restrictions);
      const read = parseRune(runeBytes(made));
      t.deepEqual(read, made);
      t.true(isMadeWith(secret, read));
    }),
  );
});

test('random bytes throw RuneError, nothing else', (t) => {
  const harmless = (read: () => unknown) => {
    try {
      read();
    } catch (error: unknown) {
      if (!(error instanceof RuneError)) throw error;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => harmless(() => parseRune(bytes))));
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '=', '|', '&', '\\', '!', '1', '"') }), (text) =>
      harmless(() => parseRune(Uint8Array.from([...new Uint8Array(32), ...new TextEncoder().encode(text)]))),
    ),
  );
  t.pass();
});
