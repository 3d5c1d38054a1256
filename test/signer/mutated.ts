/** Requests as nobody would send them: recorded ones cut, glued, turned over and filled with extremes, and bytes at random. */

import { concat } from '../../proto/bytes.ts';
import { withFieldChanged } from './changed.ts';

type Random = (limit: number) => number;
type Mutation = (bytes: Uint8Array, random: Random, other: () => Uint8Array) => Uint8Array;

function put(bytes: Uint8Array, at: number, what: Uint8Array): Uint8Array {
  const changed = bytes.slice();
  if (at < bytes.length) changed.set(what.subarray(0, bytes.length - at), at);
  return changed;
}

function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random(256));
}

/** What lengths, amounts and numbers stumble over, big-endian and little-endian. */
const extremes = [
  '00',
  'ff',
  'fd',
  'fe',
  '0000000000000000',
  'ffffffffffffffff',
  '7fffffffffffffff',
  '8000000000000000',
  '00000000ffffffff',
  'ffffffff00000000',
  '0001000000000000',
  '0000ffffffffffff',
  'ffff',
  '7fff',
  '80000000',
  '00000001',
  '01000000',
].map((hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));

const mutations: readonly Mutation[] = [
  (bytes) => bytes,
  (_bytes, random) => randomBytes(random, random(400)),
  (bytes, random) => concat(bytes.subarray(0, 2), randomBytes(random, random(400))),
  (bytes, random) => bytes.slice(0, random(bytes.length + 1)),
  (bytes, random) => concat(bytes, randomBytes(random, 1 + random(40))),
  (bytes, random) => put(bytes, random(bytes.length + 1), Uint8Array.of(random(256))),
  (bytes, random) => put(bytes, random(bytes.length + 1), extremes[random(extremes.length)] ?? new Uint8Array()),
  (bytes, random) => put(bytes, 2 + random(bytes.length + 1), randomBytes(random, 1 + random(40))),
  // A byte more or less, as with numbers that count.
  (bytes, random) => {
    const at = random(bytes.length + 1);
    return put(bytes, at, Uint8Array.of((bytes[at] ?? 0) + (random(2) === 0 ? 1 : 255)));
  },
  (bytes, random) => {
    const [from, at] = [random(bytes.length + 1), random(bytes.length + 1)];
    return put(bytes, at, bytes.slice(from, from + 1 + random(40)));
  },
  (bytes, random) => {
    const [from, length] = [random(bytes.length + 1), random(60)];
    return concat(bytes.subarray(0, from), bytes.subarray(from + length));
  },
  (bytes, random) => {
    const [from, length] = [random(bytes.length + 1), random(60)];
    return concat(bytes.subarray(0, from + length), bytes.subarray(from));
  },
  // The beginning of one with the end of another.
  (bytes, random, other) => {
    const second = other();
    return concat(bytes.subarray(0, random(bytes.length + 1)), second.subarray(random(second.length + 1)));
  },
  // One's fields under another's type.
  (bytes, _random, other) => concat(other().subarray(0, 2), bytes.subarray(2)),
];

/** One of these, with one field changed, or all of it in one to four ways. */
export function mutated(requests: readonly Uint8Array[], random: Random): Uint8Array {
  const other = () => requests[random(requests.length)] ?? new Uint8Array();
  let bytes = other();
  if (random(2) === 0) return withFieldChanged(bytes, random);
  for (let times = 1 + random(2) * random(4); times > 0; times--)
    bytes = mutations[random(mutations.length)]?.(bytes, random, other) ?? bytes;
  return bytes;
}
