import test from 'ava';
import fc from 'fast-check';
import { loadRecordings } from '../../cli/recordings.ts';
import type { Message } from '../../proto/hsmd/calls.ts';
import { type Call, calls, capabilities, hsmdName } from '../../proto/hsmd/calls.ts';
import { trustPoints, WireError } from '../../proto/hsmd/codec.ts';
import { callOf, decodeMessage, decodeRequest, encodeMessage } from '../../proto/hsmd/message.ts';
import { arbitraryOf } from '../arbitraries.ts';
import { hsmdTable } from '../vectors/hsmd_table.ts';

const names = Object.keys(calls) as Call[];
const rows: readonly (readonly [Call, { readonly request: Message; readonly reply: Message | undefined }])[] =
  names.map((name) => [name, calls[name]]);
const messages: readonly (readonly [string, Message])[] = rows.flatMap(([name, row]) => [
  [`${hsmdName(name)} request`, row.request] as const,
  ...(row.reply === undefined ? [] : [[`${hsmdName(name)} reply`, row.reply] as const]),
]);

/** The shortest encoding of a value in which every optional part is there. */
function fullExample(message: Message): Uint8Array {
  const [value] = fc.sample(arbitraryOf(message.codec.shape), { numRuns: 1, seed: 7 });
  return encodeMessage(message, value as never);
}

test('the table has the 49 requests of v26.06, each with its number, capability, fields and reply', (t) => {
  t.is(names.length, 49);
  for (const row of hsmdTable) {
    const name = callOf(Uint8Array.of(row.number >> 8, row.number & 0xff));
    if (name === undefined) {
      t.fail(`no request ${row.number} (${row.name})`);
      continue;
    }
    const { needs, request, reply } = calls[name];
    t.is(hsmdName(name), row.name);
    t.is(Number(capabilities[needs]), row.capability, row.name);
    t.is(Object.keys(request.fields).length, row.fields, `${row.name}: number of fields`);
    t.is(reply?.number, row.reply, row.name);
  }
});

for (const [title, message] of messages) {
  test(`${title}: what is written reads back to the same bytes`, (t) => {
    fc.assert(
      fc.property(arbitraryOf(message.codec.shape), (value) => {
        const written = encodeMessage(message, value as never);
        t.deepEqual(encodeMessage(message, decodeMessage(message, written)), written);
      }),
      { numRuns: 25 },
    );
  });
}

for (const [name, { request }] of rows) {
  test(`${hsmdName(name)}: every truncation is an error of the wire, bytes behind the last field are not`, (t) => {
    const whole = fullExample(request);
    const streams =
      request.codec.shape.kind === 'struct' && request.codec.shape.fields.some(([, { kind }]) => kind === 'tlvs');
    for (let length = 2; length < whole.length; length++) {
      const cut = whole.subarray(0, length);
      try {
        // A TLV stream may end anywhere a record ends; what it gives back must then be what stood there.
        const read = decodeRequest(cut, trustPoints);
        t.true(streams, `${length} of ${whole.length} bytes were taken`);
        t.deepEqual(encodeMessage(request, read.fields as never), cut);
      } catch (error: unknown) {
        t.true(error instanceof WireError, String(error));
      }
    }
    if (!streams) t.notThrows(() => decodeRequest(Uint8Array.of(...whole, 1, 2, 3), trustPoints));
  });

  test(`${hsmdName(name)}: random bytes and random damage give a message or a WireError, nothing else`, (t) => {
    const whole = fullExample(request);
    const harmless = (bytes: Uint8Array) => {
      try {
        decodeRequest(bytes, trustPoints);
      } catch (error: unknown) {
        if (!(error instanceof WireError)) throw error;
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) =>
        harmless(Uint8Array.of(request.number >> 8, request.number & 0xff, ...tail)),
      ),
      { numRuns: 100 },
    );
    fc.assert(
      fc.property(fc.nat(whole.length * 8 - 1), fc.nat(whole.length * 8 - 1), (a, b) => {
        const damaged = whole.slice();
        for (const bit of [a, b]) damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        harmless(damaged);
      }),
      { numRuns: 100 },
    );
    t.pass();
  });
}

test('a WireError names the field it happened in', (t) => {
  const request = encodeMessage(calls.ecdh.request, { point: new Uint8Array(33) });
  const error = t.throws(() => decodeRequest(request, { isPoint: () => false }), { instanceOf: WireError });
  t.is(error.message, 'point: not a point on secp256k1 (at byte 2)');
  const nested = t.throws(() => decodeRequest(Uint8Array.of(0, 7, 0, 1, 1), trustPoints), { instanceOf: WireError });
  t.is(nested.path, 'inputs[0].txid');
});

test('every recorded request that hsmd answered decodes, and every reply encodes back to its bytes', async (t) => {
  let checked = 0;
  for (const { requests, name } of await loadRecordings(['test/vectors/hsmd'])) {
    for (const { bytes, expected } of requests) {
      if (!(expected instanceof Uint8Array)) continue;
      const request = decodeRequest(bytes, trustPoints);
      const { reply } = calls[request.call];
      if (reply === undefined || (request.call === 'init' && expected[1] === 115)) continue;
      const message: Message = reply;
      t.deepEqual(encodeMessage(message, decodeMessage(message, expected)), expected, name);
      checked++;
    }
  }
  t.true(checked > 8000, `${checked} replies`);
});
