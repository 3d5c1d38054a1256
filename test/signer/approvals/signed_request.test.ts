import test from 'ava';
import fc from 'fast-check';
import { concat, toHex } from '../../../proto/bytes.ts';
import type { SignedRequest } from '../../../proto/signed_request.ts';
import {
  boundSignedBytes,
  defaultFreshness,
  RequestError,
  stockSignedBytes,
  verifyRequest,
} from '../../../signer/approvals/signed_request.ts';
import { boundRequest, type Fields, newDevice, nodeId, now, stockRequest } from './clients.ts';

const device = await newDevice();
const other = await newDevice();
const uri = '/cln.Node/Pay';
const fields: Fields = [
  [1, 'lnbc1'],
  [5, 60],
];
const stock = await stockRequest({ device, uri, fields });
const bound = await boundRequest({ device, uri, fields });

const verify = (request: SignedRequest, at = now, node = nodeId) => verifyRequest(request, node, at, defaultFreshness);

test('a stock request verifies: its frame and time are signed', async (t) => {
  const verified = await verify(stock);
  t.is(verified.method, 'pay');
  t.false(verified.bound);
  t.deepEqual(verified.payload, stock.request.subarray(5));
  t.is(verified.signedAt, now);
});

test('a bound request verifies, and is the same request without what binds it', async (t) => {
  const verified = await verify(bound);
  t.true(verified.bound);
  const { bound: _dropped, ...stripped } = bound;
  t.deepEqual((await verify(stripped)).id, verified.id);
});

test('what a client signs is fixed to the byte', (t) => {
  const frame = Uint8Array.of(0, 0, 0, 0, 1, 7);
  t.is(toHex(stockSignedBytes(frame, 0x0102030405060708n)), '0000000001070102030405060708');
  const parts = { frame, uri: '/a', nodeId: nodeId.subarray(0, 2), nonce: Uint8Array.of(9), timestamp: 1n };
  const text = Buffer.from('keyhold request 1').toString('hex');
  t.is(toHex(boundSignedBytes(parts)), `${text}0000022f6102c10900000000000000010000000001${'07'}`);
});

const changes: readonly (readonly [what: string, change: (request: SignedRequest) => SignedRequest])[] = [
  ['its frame', (r) => ({ ...r, request: r.request.with(-1, 61) })],
  ['its time', (r) => ({ ...r, timestamp: r.timestamp + 1n })],
  ['its key', (r) => ({ ...r, pubkey: other.pubkey })],
  ['its signature', (r) => ({ ...r, signature: r.signature.with(3, (r.signature[3] ?? 0) ^ 1) })],
  ['a signature cut short', (r) => ({ ...r, signature: r.signature.subarray(1) })],
  ['a key that is no point', (r) => ({ ...r, pubkey: r.pubkey.with(64, (r.pubkey[64] ?? 0) ^ 1) })],
  ['a compressed key', (r) => ({ ...r, pubkey: Uint8Array.of(2, ...r.pubkey.subarray(1, 33)) })],
  ['a compression flag', (r) => ({ ...r, request: r.request.with(0, 1) })],
  ['a length too long', (r) => ({ ...r, request: r.request.with(4, (r.request[4] ?? 0) + 1) })],
  ['a byte behind the message', (r) => ({ ...r, request: concat(r.request, Uint8Array.of(0)) })],
  ['an empty frame', (r) => ({ ...r, request: new Uint8Array() })],
  ['no time', (r) => ({ ...r, timestamp: 0n })],
  ['a time of 64 bits', (r) => ({ ...r, timestamp: 2n ** 64n - 1n })],
  ['a URI of another service', (r) => ({ ...r, uri: '/scheduler.Scheduler/Register' })],
  ['a URI with more behind it', (r) => ({ ...r, uri: '/cln.Node/Pay/x' })],
];

for (const [what, change] of changes)
  test(`a request is refused for ${what}`, async (t) => {
    await t.throwsAsync(verify(change(stock)), { instanceOf: RequestError });
  });

test('a frame that is malformed is refused though its signature is good', async (t) => {
  const { request: good, timestamp } = stock;
  const length = good[4] ?? 0;
  for (const request of [
    good.with(0, 1),
    good.with(4, length + 1),
    concat(good, Uint8Array.of(0)),
    good.subarray(0, 4),
  ]) {
    const signature = await device.sign(stockSignedBytes(request, timestamp));
    await t.throwsAsync(verify({ ...stock, request, signature }), { instanceOf: RequestError, message: /^expected/ });
  }
});

test('a bound request is for one URI, one node and one nonce', async (t) => {
  await t.throwsAsync(verify({ ...bound, uri: '/cln.Node/Xpay' }), { instanceOf: RequestError });
  await t.throwsAsync(verify(bound, now, nodeId.with(5, 0)), { instanceOf: RequestError });
  const { signature = new Uint8Array(), nonce = new Uint8Array() } = bound.bound ?? {};
  const changed = (binding: SignedRequest['bound']) =>
    t.throwsAsync(verify({ ...bound, bound: binding }), { instanceOf: RequestError });
  await changed({ signature, nonce: nonce.with(0, 1) });
  await changed({ signature, nonce: nonce.subarray(1) });
  await changed({ signature: bound.signature, nonce });
});

test("yesterday's request and one from the future are refused", async (t) => {
  const { maxAge, maxAhead } = defaultFreshness;
  await t.notThrowsAsync(verify(stock, now + maxAge));
  await t.throwsAsync(verify(stock, now + maxAge + 1), { instanceOf: RequestError, message: /ms ago/ });
  await t.throwsAsync(verify(stock, now + 86_400_000), { instanceOf: RequestError });
  await t.notThrowsAsync(verify(stock, now - maxAhead));
  await t.throwsAsync(verify(stock, now - maxAhead - 1), { instanceOf: RequestError, message: /ahead/ });
});

/** P-256's order. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

test("a signature's second form is the same request, not a new one", async (t) => {
  const s = BigInt(`0x${toHex(stock.signature.subarray(32))}`);
  const second = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex');
  const twin = await verify({ ...stock, signature: concat(stock.signature.subarray(0, 32), new Uint8Array(second)) });
  t.deepEqual(twin.id, (await verify(stock)).id);
});

test('random requests throw RequestError, nothing else', async (t) => {
  const bytes = fc.uint8Array({ maxLength: 80 });
  const request = fc.record({
    request: fc.oneof(bytes, fc.constant(stock.request)),
    uri: fc.oneof(fc.string(), fc.constant(uri)),
    signature: fc.oneof(bytes, fc.uint8Array({ minLength: 64, maxLength: 64 })),
    pubkey: fc.oneof(
      bytes,
      fc.uint8Array({ minLength: 65, maxLength: 65 }).map((key) => key.with(0, 4)),
      fc.constant(device.pubkey),
    ),
    timestamp: fc.oneof(fc.bigInt(), fc.constant(BigInt(now))),
    rune: bytes,
  });
  await fc.assert(
    fc.asyncProperty(request, async (one) => {
      try {
        await verify(one);
        throw new Error('it verified');
      } catch (error: unknown) {
        if (!(error instanceof RequestError)) throw error;
      }
    }),
    { numRuns: 200 },
  );
  t.pass();
});
