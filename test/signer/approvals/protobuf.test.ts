import test from 'ava';
import fc from 'fast-check';
import { WireError } from '../../../proto/hsmd/codec.ts';
import { readFields, readMessage } from '../../../signer/approvals/protobuf.ts';
import { protobuf } from './clients.ts';

test('every kind of field reads back', (t) => {
  const message = readMessage(
    protobuf([
      [1, 'text'],
      [2, Uint8Array.of(1, 2)],
      [3, 2n ** 64n - 1n],
      [4, { double: 0.5 }],
      [5, { float: -2 }],
      [16, [[1, 7]]],
      [16, [[1, 8]]],
    ]),
  );
  t.is(message.text(1), 'text');
  t.deepEqual(message.bytes(2), Uint8Array.of(1, 2));
  t.is(message.number(3), 2n ** 64n - 1n);
  t.is(message.double(4), 0.5);
  t.is(message.float(5), -2);
  t.deepEqual(
    message.messages(16).map((one) => one.number(1)),
    [7n, 8n],
  );
  t.is(message.message(17), undefined);
  t.is(message.number(1), undefined, 'a field of another wire type is absent');
  t.is(message.text(3), undefined);
});

test('what could be read in two ways is no message', (t) => {
  const refused = (...bytes: number[]) => t.throws(() => readFields(Uint8Array.from(bytes)), { instanceOf: WireError });
  refused(0x08, 0x81, 0x00);
  refused(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02);
  refused(0x88, 0x00, 0x01);
  refused(0x00, 0x01);
  refused(0x0b, 0x0c);
  refused(0x0a, 0x02, 0x01);
  refused(0x0a);
  refused(0x09, 1, 2, 3);
  t.deepEqual(readFields(new Uint8Array()), []);
});

test('random bytes throw WireError, nothing else', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        const message = readMessage(bytes);
        for (let field = 1; field < 16; field++) {
          message.text(field);
          message.double(field);
          message.float(field);
          message.messages(field);
        }
      } catch (error: unknown) {
        if (!(error instanceof WireError)) throw error;
      }
    }),
    { numRuns: 1000 },
  );
  t.pass();
});
