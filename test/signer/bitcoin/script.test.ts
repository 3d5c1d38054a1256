/** Scripts of known keys: BOLT 3's appendix C, and the two delays a to_remote output may have. */

import test from 'ava';
import { derSignature } from '../../../proto/bitcoin/der.ts';
import { derAndSighash } from '../../../proto/bitcoin/psbt_checks.ts';
import { concat, fromHex, toHex } from '../../../proto/bytes.ts';
import { fundingScript, p2wpkh, p2wsh, toRemoteAnchoredScript } from '../../../signer/bitcoin/script.ts';
import { BadRequest } from '../../../signer/context.ts';

const local = fromHex('023da092f6980e58d2c037173180e9a465476026ee50f96695963e8efe436f54eb');
const remote = fromHex('030e9f7b623d2ccc7c9bd44d66d5ce21ce504c0acf6385a132cec6d3c39fa711c1');
const funding =
  '5221023da092f6980e58d2c037173180e9a465476026ee50f96695963e8efe436f54eb21030e9f7b623d2ccc7c9bd44d66d5ce21ce504c0acf6385a132cec6d3c39fa711c152ae';

test("BOLT 3 appendix C: the funding script and output, whichever side's key comes first", (t) => {
  t.is(toHex(fundingScript(local, remote)), funding);
  t.is(toHex(fundingScript(remote, local)), funding);
  t.is(toHex(fundingScript(local, local)), `5221${toHex(local)}21${toHex(local)}52ae`);
  t.is(toHex(p2wsh(fromHex(funding))), '0020c015c4a6be010e21657068fc2e6a9d02b27ebe4d490a25846f7237f104d1a3cd');
});

test('BIP 143: the P2WPKH output of its first example', (t) => {
  const key = fromHex('025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357');
  t.is(toHex(p2wpkh(key)), '00141d0f172a0ecb48aee1be1f2687d2963ae33f71a1');
});

test('an anchored to_remote has its delay in the shortest form, and at most two bytes of it', (t) => {
  const delays = {
    0: '00',
    1: '51',
    16: '60',
    17: '0111',
    127: '017f',
    128: '028000',
    4032: '02c00f',
    32767: '02ff7f',
  };
  for (const [csv, push] of Object.entries(delays))
    t.is(toHex(toRemoteAnchoredScript(local, Number(csv))), `21${toHex(local)}ad${push}b2`);
  t.throws(() => toRemoteAnchoredScript(local, 32768), { instanceOf: BadRequest });
});

test('DER drops zeros in front and adds one where a number would look negative', (t) => {
  const padded = (hex: string) => fromHex(hex.padStart(64, '0'));
  const der = (r: string, s: string) => toHex(derSignature(concat(padded(r), padded(s))));
  t.is(der('01', '7f'), '300602010102017f');
  t.is(der('80', '0'), '30070202008002' + '0100');
  t.is(der('ff'.repeat(32), '01').length / 2, 2 + 2 + 33 + 3);
  for (const r of ['01', '80', 'ff'.repeat(32)])
    t.is(derAndSighash(concat(fromHex(der(r, r)), Uint8Array.of(1))), undefined);
});
