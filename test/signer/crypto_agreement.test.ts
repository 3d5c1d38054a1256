/** Every implementation of secp256k1 against that of another author, with random values and values at the edges. */

import { Point } from '@noble/secp256k1';
import fc, { type Arbitrary } from 'fast-check';
import { toHex } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';
import { noble } from '../../signer/crypto/noble.ts';
import type { RecoverableSignature, Secp } from '../../signer/crypto/secp.ts';
import { reportAddon, testEach } from './implementations.ts';
import { number, order, to32 } from './scalars.ts';

type Bytes = Uint8Array;
type Result = Bytes | Secret | RecoverableSignature | boolean | undefined;
type Kind = 'bytes' | 'true' | 'false' | 'undefined' | 'throws';

const numRuns = 'SLOW' in process.env ? 1000 : 60;

const pair = (a: Bytes, b: Bytes): [Bytes, Bytes] => [a, b];
const triple = (a: Bytes, b: Bytes, c: Bytes): [Bytes, Bytes, Bytes] => [a, b, c];
const negated = (point: Bytes) => point.with(0, (point[0] ?? 0) ^ 1);
const uncompressed = (point: Bytes) => Point.fromBytes(point).toBytes(false);
const nobleKey = (key: Bytes) => noble.publicKey(new Secret(key));

const scalar = number.filter((bytes) => noble.isScalar(bytes));
const point = scalar.map(nobleKey);
const anything = fc.uint8Array({ maxLength: 70 });
const maybeDigest = fc.oneof(number, number, anything);
const maybeScalar = fc.oneof({ weight: 4, arbitrary: number }, { weight: 1, arbitrary: anything });
/** Points, 33 bytes that may be one, and what is none: other lengths, the other forms of a point. */
const maybePoint = fc.oneof(
  point,
  fc.tuple(fc.constantFrom(0, 2, 3, 4), number).map(([prefix, x]) => Uint8Array.of(prefix, ...x)),
  anything,
  point.map((bytes) => bytes.subarray(1)),
  point.map(uncompressed),
);

/** A result in a form that compares; how a call fails is each library's own matter, that it fails is not. */
function outcome(call: () => Result): string {
  try {
    const result = call();
    if (result instanceof Uint8Array) return `bytes ${toHex(result)}`;
    if (result instanceof Secret) return `bytes ${result.use(toHex)}`;
    return typeof result === 'object' ? `bytes ${toHex(result.signature)} ${result.recoveryId}` : `${result}`;
  } catch {
    return 'throws';
  }
}

/** Holds a call to noble's results; each of `kinds` must have come up, or the values prove too little. */
function agrees<Args extends [Bytes, ...(Bytes | number)[]]>(
  what: string,
  kinds: readonly Kind[],
  args: Arbitrary<Args>,
  call: (secp: Secp, ...args: Args) => Result,
): void {
  const body: Parameters<typeof testEach>[1] = (t, secp) => {
    const seen = new Set<string | undefined>();
    const property = fc.property(args, (values) => {
      const before = structuredClone(values);
      const expected = outcome(() => call(noble, ...values));
      const actual = outcome(() => call(secp, ...values));
      t.is(actual, expected);
      t.deepEqual(values, before, 'what a call is given must stay as it is, secrets too');
      seen.add(expected.split(' ')[0]);
    });
    fc.assert(property, { numRuns });
    for (const kind of kinds) t.true(seen.has(kind), `no value made it answer ${kind}`);
  };
  testEach(`${what} as noble does`, body, 'noble');
}

reportAddon();

const { tuple } = fc;
agrees('isPoint tells', ['true', 'false'], tuple(maybePoint), (secp, bytes) => secp.isPoint(bytes));
agrees('isScalar tells', ['true', 'false'], tuple(maybeScalar), (secp, bytes) => secp.isScalar(bytes));
agrees('publicKey answers', ['bytes', 'throws'], tuple(maybeScalar), (secp, key) => secp.publicKey(new Secret(key)));
agrees('negateSecret answers', ['bytes', 'throws'], tuple(maybeScalar), (secp, key) =>
  secp.negateSecret(new Secret(key)),
);

const digestAndKey = fc.oneof(tuple(maybeDigest, scalar), tuple(number, maybeScalar));
agrees('sign answers', ['bytes', 'throws'], digestAndKey, (secp, digest, key) => secp.sign(digest, new Secret(key)));
agrees('sign with extra entropy answers', ['bytes'], tuple(number, scalar, number), (secp, digest, key, extra) =>
  secp.sign(digest, new Secret(key), extra),
);
agrees('signRecoverable answers', ['bytes', 'throws'], digestAndKey, (secp, digest, key) =>
  secp.signRecoverable(digest, new Secret(key)),
);
agrees('signSchnorr answers', ['bytes', 'throws'], digestAndKey, (secp, digest, key) =>
  secp.signSchnorr(digest, new Secret(key)),
);

const highS = (signature: Bytes) =>
  Uint8Array.of(...signature.subarray(0, 32), ...to32(order - BigInt(`0x${toHex(signature.subarray(32))}`)));
const signed = tuple(number, scalar).map(([digest, key]) =>
  triple(digest, nobleKey(key), noble.sign(digest, new Secret(key))),
);
const maybeSigned = fc.oneof(
  { weight: 4, arbitrary: signed },
  signed.map(([digest, key, signature]) => triple(digest, key, highS(signature))),
  signed.map(([digest, key, signature]) => triple(digest, uncompressed(key), signature)),
  tuple(signed, maybeDigest).map(([[, key, signature], digest]) => triple(digest, key, signature)),
  tuple(signed, maybePoint).map(([[digest, , signature], key]) => triple(digest, key, signature)),
  tuple(number, point, number, number).map(([digest, key, r, s]) => triple(digest, key, Uint8Array.of(...r, ...s))),
  tuple(anything, anything, anything),
);
agrees('verify tells', ['true', 'false'], maybeSigned, (secp, digest, key, signature) =>
  secp.verify(digest, key, signature),
);

type Recoverable = [digest: Bytes, signature: Bytes, recoveryId: number];
const recoverable = tuple(number, scalar).map(([digest, key]): Recoverable => {
  const { signature, recoveryId } = noble.signRecoverable(digest, new Secret(key));
  return [digest, signature, recoveryId];
});
const recoveryId = fc.integer({ min: 0, max: 4 });
/** Below p − n, so that ids 2 and 3 may be right: a point has the x coordinate r + n, or r, or both, or none. */
const smallR = fc.integer({ min: 0, max: 100 }).map((r) => to32(BigInt(r)));
const generatorX = Point.BASE.toBytes(true).subarray(1);
const maybeRecoverable = fc.oneof(
  { weight: 3, arbitrary: recoverable },
  recoverable.map(([digest, signature, id]): Recoverable => [digest, highS(signature), id]),
  tuple(recoverable, recoveryId).map(([[digest, signature], id]): Recoverable => [digest, signature, id]),
  tuple(recoverable, maybeDigest).map(([[, signature, id], digest]): Recoverable => [digest, signature, id]),
  tuple(number, fc.oneof(smallR, number), number, recoveryId).map(
    ([digest, r, s, id]): Recoverable => [digest, Uint8Array.of(...r, ...s), id],
  ),
  // What leads to infinity: the generator for R, and the digest for s.
  tuple(number, recoveryId).map(([digest, id]): Recoverable => [digest, Uint8Array.of(...generatorX, ...digest), id]),
  tuple(anything, anything, recoveryId),
);
agrees('recover answers', ['bytes', 'undefined'], maybeRecoverable, (secp, digest, signature, id) =>
  secp.recover(digest, signature, id),
);

/** A key and a tweak, the key's negative among them. */
const keyAndTweak = fc.oneof(
  tuple(scalar, maybeScalar),
  scalar.map((key) =>
    pair(
      key,
      noble.negateSecret(new Secret(key)).use((bytes) => bytes),
    ),
  ),
);
const anyKeyAndTweak = tuple(maybeScalar, scalar);
const add = (secp: Secp, key: Bytes, tweak: Bytes) => secp.addToSecret(new Secret(key), new Secret(tweak));
const multiply = (secp: Secp, key: Bytes, tweak: Bytes) => secp.multiplySecret(new Secret(key), tweak);
agrees('addToSecret takes tweaks', ['bytes', 'undefined'], keyAndTweak, add);
agrees('addToSecret takes keys', ['bytes', 'throws'], anyKeyAndTweak, add);
agrees('multiplySecret takes tweaks', ['bytes', 'undefined'], keyAndTweak, multiply);
agrees('multiplySecret takes keys', ['bytes', 'throws'], anyKeyAndTweak, multiply);

/** A point and a tweak, the negative of its key among them. */
const pointAndTweak = fc.oneof(
  tuple(point, maybeScalar),
  scalar.map((key) => pair(negated(nobleKey(key)), key)),
);
const anyPointAndTweak = tuple(maybePoint, scalar);
const addTo = (secp: Secp, bytes: Bytes, tweak: Bytes) => secp.addToPoint(bytes, tweak);
const times = (secp: Secp, bytes: Bytes, tweak: Bytes) => secp.multiplyPoint(bytes, tweak);
agrees('addToPoint takes tweaks', ['bytes', 'undefined'], pointAndTweak, addTo);
agrees('addToPoint takes points', ['bytes', 'throws'], anyPointAndTweak, addTo);
agrees('multiplyPoint takes tweaks', ['bytes', 'undefined'], pointAndTweak, times);
agrees('multiplyPoint takes points', ['bytes', 'throws'], anyPointAndTweak, times);

/** Two points, equal ones and each other's negative among them. */
const points = fc.oneof(
  tuple(point, maybePoint),
  tuple(maybePoint, point),
  point.map((bytes) => pair(bytes, bytes)),
  point.map((bytes) => pair(bytes, negated(bytes))),
);
agrees('addPoints answers', ['bytes', 'undefined', 'throws'], points, (secp, a, b) => secp.addPoints(a, b));

const pointAndKey = fc.oneof(tuple(point, maybeScalar), tuple(maybePoint, scalar));
agrees('ecdh answers', ['bytes', 'throws'], pointAndKey, (secp, bytes, key) => secp.ecdh(bytes, new Secret(key)));
