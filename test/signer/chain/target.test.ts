import test from 'ava';
import fc from 'fast-check';
import { fromHex } from '../../../proto/bytes.ts';
import { parseHeader } from '../../../signer/chain/header.ts';
import { compactOf, meets, retarget, targetOf, workOf } from '../../../signer/chain/target.ts';
import { mainnet } from './mining.ts';

const limit = 0x1d00ffff;

for (const { height, first, last, next } of mainnet.retargets) {
  test(`the difficulty of mainnet block ${height} follows from the two ends of the period before it`, (t) => {
    const [start, end, opening] = [first, last, next].map((hex) => parseHeader(fromHex(hex)));
    if (start === undefined || end === undefined || opening === undefined) return t.fail();
    t.deepEqual(opening.previous, end.hash);
    t.is(retarget(end.bits, end.time - start.time, limit), opening.bits);
    for (const { bits, hash } of [start, end, opening]) t.true(meets(hash, targetOf(bits) ?? 0n));
  });
}

test('a change of difficulty stays within four times and below the limit', (t) => {
  // The cases of Bitcoin Core's own pow_tests.cpp.
  t.is(retarget(0x1d00ffff, 1262152739 - 1261130161, limit), 0x1d00d86a);
  t.is(retarget(0x1d00ffff, 1233061996 - 1231006505, limit), 0x1d00ffff);
  t.is(retarget(0x1c05a3f4, 1279297671 - 1279008237, limit), 0x1c0168fd);
  t.is(retarget(0x1c387f6f, 1269211443 - 1263163443, limit), 0x1d00e1fd);
  t.is(retarget(0x1c05a3f4, -5, limit), 0x1c0168fd);
});

test('bits that stand for no target are none', (t) => {
  for (const bits of [0, 0x01003456, 0x03000000, 0x04800001, 0x1d80ffff, 0x23000001, 0xff7fffff])
    t.is(targetOf(bits), undefined, bits.toString(16));
  t.is(targetOf(0x05009234), 0x92340000n);
  t.is(targetOf(0x207fffff), 0x7fffffn << 232n);
});

test('the compact form is the one of arith_uint256', (t) => {
  t.is(compactOf(0x80n), 0x02008000);
  t.is(compactOf(0x12345600n), 0x04123456);
  t.is(compactOf(0x92340000n), 0x05009234);
  fc.assert(
    fc.property(fc.bigInt(1n, 2n ** 256n - 1n), (target) => {
      const back = targetOf(compactOf(target));
      if (back === undefined || back > target || target - back > target >> 14n) throw new Error(`${target}: ${back}`);
    }),
  );
  t.is(workOf(targetOf(0x1d00ffff) ?? 0n), 0x100010001n);
});
