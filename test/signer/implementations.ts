/**
 * The implementations of `Secp` that tests hold to the same results. The native addon is optional: where it is missing,
 * what would have tested it stands in the report as skipped, by name.
 */

import test, { type ExecutionContext } from 'ava';
import { noble } from '../../signer/crypto/noble.ts';
import type { Secp } from '../../signer/crypto/secp.ts';
import { tiny } from '../../signer/crypto/tiny.ts';
import { native } from '../../signer/node/native.ts';

export const entropy = (length: number) => crypto.getRandomValues(new Uint8Array(length));

const addon = native(entropy);

/** A test of each implementation but those left out; `title` gets its name in front. */
export function testEach(title: string, body: (t: ExecutionContext, secp: Secp) => void, except?: Secp['name']): void {
  const all: Record<Secp['name'], Secp | undefined> = { tiny: tiny(entropy), native: addon, noble };
  for (const [name, secp] of Object.entries(all)) {
    if (name === except) continue;
    if (secp === undefined) test.skip(`${name}: ${title}`, () => undefined);
    else test(`${name}: ${title}`, (t) => body(t, secp));
  }
}

/** Says in the report whether the addon was there; once for each file of tests that needs it. */
export function reportAddon(): void {
  test('the native addon either takes part or is reported as missing', (t) => {
    t.log(
      addon === undefined
        ? 'the addon secp256k1 is not installed: tests of "native" were NOT RUN'
        : 'the addon secp256k1 takes part',
    );
    t.is(addon?.name, addon === undefined ? undefined : 'native');
  });
}
