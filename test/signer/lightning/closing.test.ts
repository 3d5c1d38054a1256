/** Recorded mutual closes, and the simple form made from them, which the recorded lightningd does not speak. */

import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import { calls, type RequestOf } from '../../../proto/hsmd/calls.ts';
import { encodeMessage } from '../../../proto/hsmd/message.ts';
import type { Funding } from '../../../signer/lightning/channel.ts';
import { buildClose, type CloseOutput, recogniseClose } from '../../../signer/lightning/closing.ts';
import type { MismatchTag } from '../../../signer/lightning/mismatch.ts';
import { commitmentIn, recognise } from './commitments.ts';
import { fundingAt, present, recordedNodes, replay } from './replay.ts';

type Request = RequestOf<'signMutualCloseTx'>;

interface RecordedClose {
  readonly where: string;
  readonly bytes: Uint8Array;
  readonly request: Request;
  readonly funding: Funding;
  /** What the last commitments gave us and the peer, satoshi; undefined where there was no output. */
  readonly balance: { readonly local: bigint | undefined; readonly remote: bigint | undefined };
}

function* closes(): Generator<RecordedClose> {
  for (const node of recordedNodes()) {
    const balances = new Map<object, RecordedClose['balance']>();
    for (const { where, bytes, request, channel, ...step } of replay(node)) {
      const recorded = commitmentIn({ where, bytes, request, channel, ...step });
      if (recorded?.id.owner === 'local') {
        const { toOwner, toOther } = recognise(recorded);
        balances.set(channel, { local: toOwner, remote: toOther });
      }
      if (request.call !== 'signMutualCloseTx') continue;
      const input = present(request.fields.tx.tx.inputs[0], 'an input');
      const funding = fundingAt(channel, input.txid, input.vout);
      yield { where, bytes, request: request.fields, funding, balance: present(balances.get(channel), 'a commitment') };
    }
  }
}

/** No request says where a close pays us (it may be any address the owner named): the balance shows it here. */
function ours({ balance }: RecordedClose): (output: Omit<CloseOutput, 'of'>) => boolean {
  const distance = (a: bigint, b = 0n) => (a > b ? a - b : b - a);
  return ({ amount }) => distance(amount, balance.local) < distance(amount, balance.remote);
}

const recordedCloses = [...closes()];

test('every recorded mutual close is taken apart and rebuilt', (t) => {
  let count = 0;
  for (const recorded of recordedCloses) {
    const { tx } = recorded.request;
    const close = recogniseClose(recorded.funding, tx, ours(recorded));
    if (!close.ok) {
      t.fail(`${recorded.where}: ${close.tag} ${Object.values(close.facts).join(' ')}`);
      continue;
    }
    t.is(close.form, 'legacy');
    t.true(close.fee > 100n && close.fee < 4000n, recorded.where);
    const rebuilt = buildClose(recorded.funding, close.form, close.locktime, close.outputs.toReversed());
    const request = { ...recorded.request, tx: { ...tx, tx: rebuilt, psbt: { ...tx.psbt, tx: rebuilt } } };
    t.is(toHex(encodeMessage(calls.signMutualCloseTx.request, request)), toHex(recorded.bytes), recorded.where);
    for (const { of, walletIndex } of close.outputs)
      t.false(of === 'remote' && walletIndex !== undefined, recorded.where);
    count++;
  }
  t.is(count, 27);
});

const recorded = present(
  recordedCloses.find(({ request }) => request.tx.tx.outputs.length === 2),
  'a close',
);

function withTx(change: Partial<Request['tx']['tx']>): Request['tx'] {
  const tx = { ...recorded.request.tx.tx, ...change };
  return { tx, psbt: { ...recorded.request.tx.psbt, tx } };
}

function withSequence(sequence: number): Request['tx']['tx']['inputs'] {
  return recorded.request.tx.tx.inputs.map((input) => ({ ...input, sequence }));
}

test('a simple close has another sequence, and a locktime of its own', (t) => {
  const given = withTx({ inputs: withSequence(0xfffffffd), locktime: 800000 });
  const close = recogniseClose(recorded.funding, given, ours(recorded));
  t.true(close.ok);
  if (close.ok) t.like(close, { form: 'simple', locktime: 800000 });
});

test('a simple close may burn one side in an output of 0', (t) => {
  const [output] = recorded.request.tx.tx.outputs;
  const outputs = [{ amount: 0n, script: Uint8Array.of(0x6a, 1, 1) }, present(output, 'an output')];
  const close = recogniseClose(
    recorded.funding,
    withTx({ inputs: withSequence(0xfffffffd), outputs }),
    ({ amount }) => amount > 0n,
  );
  t.true(close.ok);
});

const psbtChanged = (change: Partial<Request['tx']['psbt']>): Request['tx'] => ({
  ...recorded.request.tx,
  psbt: { ...recorded.request.tx.psbt, ...change },
});
const { outputs } = recorded.request.tx.tx;
const { inputs: psbtInputs } = recorded.request.tx.psbt;

// biome-ignore format: one mutation a row
const mutations: readonly (readonly [title: string, given: Request['tx'], tag: MismatchTag])[] = [
  ['a legacy close with a locktime', withTx({ locktime: 1 }), 'policy-mutual-format'],
  ['another sequence', withTx({ inputs: withSequence(0) }), 'policy-mutual-format'],
  ['another version', withTx({ version: 3 }), 'policy-mutual-format'],
  ['another outpoint', withTx({ inputs: recorded.request.tx.tx.inputs.map((input) => ({ ...input, vout: 9 })) }), 'policy-mutual-format'],
  ['two inputs', withTx({ inputs: [...withSequence(0xffffffff), ...withSequence(0xffffffff)] }), 'policy-mutual-format'],
  ['outputs in another order', withTx({ outputs: outputs.toReversed() }), 'policy-mutual-format'],
  ['another amount spent, in the PSBT', psbtChanged({ inputs: psbtInputs.map((input) => ({ ...input, witnessUtxo: outputs[0] })) }), 'policy-mutual-format'],
  ['more paid than there is', withTx({ outputs: outputs.map((output, i) => (i === 1 ? { ...output, amount: recorded.funding.value } : output)) }), 'policy-mutual-fee-range'],
];

for (const [title, given, tag] of mutations)
  test(`${tag}: ${title}`, (t) => {
    const close = recogniseClose(recorded.funding, given, ours(recorded));
    t.is(close.ok ? 'recognised' : close.tag, tag);
  });

test('policy-mutual-destination-allowlisted: two outputs, and neither pays us', (t) => {
  const close = recogniseClose(recorded.funding, recorded.request.tx, () => false);
  t.is(close.ok ? 'recognised' : close.tag, 'policy-mutual-destination-allowlisted');
});
