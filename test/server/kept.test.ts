import test from 'ava';
import fc from 'fast-check';
import { WireError } from '../../proto/hsmd/codec.ts';
import { decodeKept, encodeKept, nothingKept } from '../../server/kept.ts';
import { channeld, init, nodeId, preinit } from './messages.ts';

const kept = {
  start: { preinit, init, nodeId },
  preinit: undefined,
  withoutChannel: 1,
  nextConn: 7,
  clients: [{ conn: 5, ...channeld(3n) }],
};

test('what a host keeps comes back as it was', (t) => {
  t.deepEqual(decodeKept(encodeKept(kept)), { version: 1, ...kept } as never);
  t.deepEqual(decodeKept(new Uint8Array()), nothingKept);
});

test('what cannot be read is a WireError and nothing else', (t) => {
  const bytes = encodeKept(kept);
  for (let end = 1; end < bytes.length; end++)
    t.throws(() => decodeKept(bytes.subarray(0, end)), { instanceOf: WireError });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (noise) => {
      try {
        decodeKept(noise);
        return true;
      } catch (error: unknown) {
        return error instanceof WireError;
      }
    }),
  );
});
