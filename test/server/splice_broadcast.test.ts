/** The splice that the host completes: recorded ones, in which lightningd's own signature is right and can be made wrong. */

import test from 'ava';
import { loadRecordings } from '../../cli/recordings.ts';
import { serializeTransaction, type TxInput } from '../../proto/bitcoin/tx.ts';
import { toHex } from '../../proto/bytes.ts';
import { calls, type ReplyOf, type RequestOf } from '../../proto/hsmd/calls.ts';
import { callOf, decodeMessage, encodeMessage } from '../../proto/hsmd/message.ts';
import { Splices } from '../../server/splice_broadcast.ts';
import { makeRelay } from './joined.ts';
import { settled } from './manual_clock.ts';
import { MemoryPort } from './memory_port.ts';
import { channeld } from './messages.ts';

interface Asked {
  readonly request: RequestOf<'signSpliceTx'>;
  readonly reply: ReplyOf<'signSpliceTx'>;
}

async function splicesOf(node: string): Promise<readonly Asked[]> {
  const [session] = await loadRecordings([`test/vectors/hsmd/traces/splice/${node}.jsonl.gz`]);
  return (session?.requests ?? []).flatMap(({ bytes, expected }) =>
    callOf(bytes) === 'signSpliceTx' && expected instanceof Uint8Array
      ? [
          {
            request: decodeMessage(calls.signSpliceTx.request, bytes),
            reply: decodeMessage(calls.signSpliceTx.reply, expected),
          },
        ]
      : [],
  );
}

/** The same as lightningd shows it when its first signature was another one. */
function withWorthless(
  request: RequestOf<'signSpliceTx'>,
  right: Uint8Array,
  at = request.inputIndex,
): RequestOf<'signSpliceTx'> {
  const { tx, psbt } = request.tx;
  const inputs = tx.inputs.map((input, index) =>
    index === at
      ? {
          ...input,
          witness: input.witness.map((item) => (toHex(item).includes(toHex(right)) ? Uint8Array.of(0x30, 1) : item)),
        }
      : input,
  );
  return { ...request, tx: { tx: { ...tx, inputs }, psbt } };
}

test('the initiator’s last request and our signature make the whole transaction, whatever stood in its place', async (t) => {
  const asked = await splicesOf('l1');
  t.is(asked.length, 9);
  for (const [i, { request, reply }] of asked.entries()) {
    const completed = new Splices().completed(request, reply);
    if (i % 3 !== 2) {
      t.is(completed, undefined, `request ${i}: the peer has not signed`);
      continue;
    }
    const expected = toHex(serializeTransaction(request.tx.tx));
    t.is(completed && toHex(completed), expected);
    const r = reply.sig.signature.subarray(0, 32);
    const wrong = withWorthless(request, r);
    t.not(toHex(serializeTransaction(wrong.tx.tx)), expected);
    const mended = new Splices().completed(wrong, reply);
    t.is(mended && toHex(mended), expected);
  }
});

test('of a splice of two channels our last signature for each is in it', async (t) => {
  const [, , last] = await splicesOf('l1');
  const [spent] = last?.request.tx.tx.inputs ?? [];
  if (last === undefined || spent === undefined) throw new Error('no third request');
  const { request, reply } = last;
  const { psbt } = request.tx;
  const { witness } = request.tx.tx.inputs[request.inputIndex] ?? spent;
  const unsigned = [spent, { ...spent, vout: spent.vout + 1 }].map((input): TxInput => ({ ...input, witness: [] }));
  const tx = { ...request.tx.tx, inputs: unsigned };
  const asked = (inputIndex: number, inputs = unsigned) => ({
    ...request,
    inputIndex,
    tx: { tx: { ...tx, inputs }, psbt },
  });
  const worthless = { sig: { ...reply.sig, signature: new Uint8Array(64).fill(1) } };
  const splices = new Splices();
  for (const index of [0, 1])
    for (const answer of [worthless, reply]) t.is(splices.completed(asked(index), answer), undefined);
  const signed = unsigned.map((input) => ({ ...input, witness }));
  const right = reply.sig.signature.subarray(0, 32);
  const shown = withWorthless(withWorthless(asked(1, signed), right), right, 0);
  const mended = splices.completed({ ...shown, inputIndex: 0 }, reply);
  t.is(mended && toHex(mended), toHex(serializeTransaction({ ...tx, inputs: signed })));
});

test('an accepter signs first: there is nothing to complete', async (t) => {
  for (const { request, reply } of await splicesOf('l2')) t.is(new Splices().completed(request, reply), undefined);
});

for (const [how, takes] of [
  ['has taken it', true],
  ['does not take it', false],
] as const)
  test(`lightningd gets our signature once a node ${how}`, async (t) => {
    const [, , last] = await splicesOf('l1');
    if (last === undefined) throw new Error('no third request');
    const { request, reply } = last;
    const sent: string[] = [];
    let end = () => {};
    const broadcast = (transaction: Uint8Array) => {
      sent.push(toHex(transaction));
      return new Promise<void>((resolve, reject) => {
        end = takes ? resolve : () => reject(new Error('bad-txns-inputs-missingorspent'));
      });
    };
    const relay = makeRelay({ broadcast });
    const port = new MemoryPort();
    relay.signers.attach(port);
    await settled();
    const bytes = encodeMessage(calls.signSpliceTx.request, request);
    const answer = relay.ask(relay.openLane(channeld(1n)), bytes, new AbortController().signal);
    await settled();
    const signature = encodeMessage(calls.signSpliceTx.reply, reply);
    port.reply(0, signature);
    await settled();
    t.deepEqual(sent, [toHex(serializeTransaction(request.tx.tx))]);
    t.is(await Promise.race([answer, 'waiting']), 'waiting');
    end();
    t.deepEqual(await answer, { kind: 'reply', bytes: signature });
  });
