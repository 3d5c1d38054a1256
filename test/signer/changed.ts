/** Requests that are well-formed, but for one field that is not what it was: what gets past decoding meets the policy. */

import fc from 'fast-check';
import type { Transaction } from '../../proto/bitcoin/tx.ts';
import { calls, type Message } from '../../proto/hsmd/calls.ts';
import type { Shape } from '../../proto/hsmd/codec.ts';
import type { TxWithPsbt } from '../../proto/hsmd/fields.ts';
import { callOf, decodeMessage, encodeMessage } from '../../proto/hsmd/message.ts';
import { arbitraryOf } from '../arbitraries.ts';

type Random = (limit: number) => number;

function oneOf<T>(list: readonly T[], random: Random): T | undefined {
  return list[random(list.length)];
}

function drawn(shape: Shape, random: Random): unknown {
  return fc.sample(arbitraryOf(shape), { numRuns: 1, seed: random(2 ** 31) })[0];
}

/** One item of the list changed, left out, there twice, or moved to the front. */
function inList<T>(list: readonly T[], random: Random, change: (item: T) => T): readonly T[] {
  const at = random(list.length);
  const item = list[at];
  if (item === undefined) return list;
  const rest = list.toSpliced(at, 1);
  return (
    oneOf([list.with(at, change(item)), list.with(at, change(item)), rest, [...list, item], [item, ...rest]], random) ??
    list
  );
}

const steps = [1n, -1n, 1000n, -1000n, 2n ** 32n, -(2n ** 62n)];

function amountNear(amount: bigint, random: Random): bigint {
  return BigInt.asUintN(63, amount + (oneOf(steps, random) ?? 0n));
}

function bytesNear(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random(bytes.length);
  return bytes.length === 0 ? Uint8Array.of(random(256)) : bytes.with(at, random(256));
}

function txNear(tx: Transaction, random: Random): Transaction {
  const number = () => oneOf([0, 1, 2, 0xfffffffd, 0xffffffff, random(2 ** 31)], random) ?? 0;
  const ways: readonly (() => Partial<Transaction>)[] = [
    () => ({ version: number() }),
    () => ({ locktime: number() }),
    () => ({ inputs: inList(tx.inputs, random, (each) => ({ ...each, sequence: number() })) }),
    () => ({ inputs: inList(tx.inputs, random, (each) => ({ ...each, vout: number() })) }),
    () => ({ inputs: inList(tx.inputs, random, (each) => ({ ...each, txid: bytesNear(each.txid, random) })) }),
    () => ({ outputs: inList(tx.outputs, random, (each) => ({ ...each, amount: amountNear(each.amount, random) })) }),
    () => ({ outputs: inList(tx.outputs, random, (each) => ({ ...each, amount: amountNear(each.amount, random) })) }),
    () => ({ outputs: inList(tx.outputs, random, (each) => ({ ...each, script: bytesNear(each.script, random) })) }),
  ];
  return { ...tx, ...oneOf(ways, random)?.() };
}

/** The transaction changed, the one in the PSBT, or both alike. */
function pairNear({ tx, psbt }: TxWithPsbt, random: Random): TxWithPsbt {
  const changed = txNear(tx, random);
  const within = { ...psbt, tx: changed };
  return (
    oneOf(
      [
        { tx: changed, psbt },
        { tx, psbt: within },
        { tx: changed, psbt: within },
      ],
      random,
    ) ?? { tx, psbt }
  );
}

type Named = readonly (readonly [name: string, Shape])[];

function withOneField(fields: Named, value: Readonly<Record<string, unknown>>, random: Random): unknown {
  const [name, shape] = oneOf(fields, random) ?? [];
  return name === undefined || shape === undefined ? value : { ...value, [name]: near(shape, value[name], random) };
}

/** A value of this shape that is not far from this one. What a shape's values are is known from the codec that read them. */
function near(shape: Shape, value: unknown, random: Random): unknown {
  if (value === undefined || random(6) === 0) return drawn(shape, random);
  switch (shape.kind) {
    case 'uint':
      return typeof value === 'bigint'
        ? amountNear(value, random)
        : oneOf([Number(value) + 1, Number(value) - 1, 0], random);
    case 'octets':
      return value instanceof Uint8Array ? bytesNear(value, random) : value;
    case 'array':
      return Array.isArray(value) ? inList(value, random, (item: unknown) => near(shape.item, item, random)) : value;
    case 'optional':
      return random(3) === 0 ? undefined : near(shape.item, value, random);
    case 'struct':
      return withOneField(shape.fields, value as Readonly<Record<string, unknown>>, random);
    case 'tlvs':
      return withOneField(shape.records, value as Readonly<Record<string, unknown>>, random);
    case 'tx':
      return pairNear(value as TxWithPsbt, random);
    default:
      return drawn(shape, random);
  }
}

/** The request with one field changed; as it was, where that is no message or cannot be written. */
export function withFieldChanged(bytes: Uint8Array, random: Random): Uint8Array {
  const call = callOf(bytes);
  if (call === undefined) return bytes;
  const message: Message = calls[call].request;
  try {
    const changed = near(message.codec.shape, decodeMessage(message, bytes), random);
    return encodeMessage(message, changed as Readonly<Record<string, unknown>>);
  } catch {
    return bytes;
  }
}
