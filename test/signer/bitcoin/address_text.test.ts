/** Scripts to addresses and back, on every network. */

import test from 'ava';
import fc from 'fast-check';
import { concat, toHex } from '../../../proto/bytes.ts';
import { scriptOfAddress } from '../../../signer/approvals/address.ts';
import { addressOfScript } from '../../../signer/bitcoin/address_text.ts';
import { networks } from '../../../signer/chain/networks.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const around = (before: readonly number[], after: readonly number[]) =>
  bytes(20).map((hash) => concat(Uint8Array.from(before), hash, Uint8Array.from(after)));
const program = fc
  .tuple(fc.integer({ min: 1, max: 16 }), fc.uint8Array({ minLength: 2, maxLength: 40 }))
  .map(([version, data]) => concat(Uint8Array.of(0x50 + version, data.length), data));
const script = fc.oneof(
  around([0x76, 0xa9, 0x14], [0x88, 0xac]),
  around([0xa9, 0x14], [0x87]),
  around([0x00, 0x14], []),
  bytes(32).map((hash) => concat(Uint8Array.of(0, 32), hash)),
  program,
);

test('the address of a script stands for that script, on every network', (t) => {
  fc.assert(
    fc.property(script, fc.constantFrom(...networks), (bytesOfScript, network) => {
      const address = addressOfScript(bytesOfScript, network);
      return address !== undefined && toHex(scriptOfAddress(address, network)) === toHex(bytesOfScript);
    }),
  );
  t.pass();
});

test('other scripts have no address', (t) => {
  const [bitcoin] = networks;
  if (bitcoin === undefined) throw new Error('no networks');
  const without = [
    [],
    [0x6a, 0x01, 0x00],
    [0x00, 0x03, 1, 2, 3],
    [0x51, 0x01, 0],
    [0x50, 0x02, 1, 2],
    [0x51, 0x03, 1, 2],
  ];
  for (const each of without) t.is(addressOfScript(Uint8Array.from(each), bitcoin), undefined, String(each));
});
