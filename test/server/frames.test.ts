/** The frames between the stand-in and its host: one encoding, found again however the bytes are cut. */

import test from 'ava';
import fc from 'fast-check';
import { concat, toHex } from '../../proto/bytes.ts';
import { WireError } from '../../proto/hsmd/codec.ts';
import {
  decodeHello,
  encodeFrame,
  encodeHello,
  type Frame,
  FrameDecoder,
  type Kind,
  kinds,
} from '../../server/shim/frames.ts';
import { bytes } from './lightningd.ts';

const fromHost = (Object.keys(kinds) as Kind[]).filter((kind) => kinds[kind].from === 'host');

const frames = fc.array(
  fc.record({
    kind: fc.constantFrom(...fromHost),
    conn: fc.integer({ min: 0, max: 0xffffffff }),
    payload: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 8 },
);

const plain = (found: readonly Frame[]) => found.map(({ kind, conn, payload }) => [kind, conn, toHex(payload)]);

test('a frame is its length, kind, conn and payload', (t) => {
  t.is(toHex(encodeFrame('replyFd', 0x01020304, bytes('ab'), bytes('c'))), '00000008' + '05' + '01020304' + '616263');
});

test('finds every frame again, however the bytes are cut', (t) => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(2000), { maxLength: 20 }), (sent, cuts) => {
      const all = concat(...sent.map(({ kind, conn, payload }) => encodeFrame(kind, conn, payload)));
      const edges = [0, ...cuts.filter((at) => at < all.length).sort((a, b) => a - b), all.length];
      const decoder = new FrameDecoder('host');
      const found = edges.flatMap((at, i) => decoder.push(all.subarray(at, edges[i + 1] ?? all.length)));
      t.deepEqual(plain(found), plain(sent));
    }),
    { numRuns: 200 },
  );
});

test('finds a large frame that comes one byte at a time', (t) => {
  const sent = encodeFrame('status', 0, new Uint8Array(200_000).fill(7));
  const decoder = new FrameDecoder('host');
  const found = Array.from(sent, (byte) => decoder.push(Uint8Array.of(byte))).flat();
  t.deepEqual(
    found.map(({ kind, payload }) => [kind, payload.length]),
    [['status', 200_000]],
  );
});

test('refuses kinds of the other side, unknown ones, and impossible lengths, before the payload is there', (t) => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['0000000504' + '00000000', /expected a kind of frame that a shim sends, found 4/],
    ['00000005ff' + '00000000', /found 255/],
    ['0000000402' + '00000000', /expected a frame of 5 to 134217733 bytes, found 4/],
    ['ffffffff02' + '00000000', /found 4294967295/],
  ];
  for (const [hex, message] of refused) {
    const decoder = new FrameDecoder('shim');
    t.throws(() => decoder.push(Uint8Array.from(Buffer.from(hex, 'hex'))), { instanceOf: WireError, message });
  }
});

test('reads a hello back, and refuses one that is cut or of another version', (t) => {
  const hello = { developer: true, node: 'alice', lightningd: 'v26', clients: [1, 0xffffffff], kept: bytes('kept') };
  const payload = encodeHello(hello);
  t.deepEqual(decodeHello(payload), hello);
  for (let cut = 0; cut < payload.length - hello.kept.length; cut++) {
    t.throws(() => decodeHello(payload.subarray(0, cut)), { instanceOf: WireError });
  }
  const other = Uint8Array.from(payload);
  other[0] = 2;
  t.throws(() => decodeHello(other), { instanceOf: WireError, message: /expected version 1 .* found 2/ });
});
