/** Closing together, and alone. */

import test from 'ava';
import type { Transaction } from '../../../proto/bitcoin/tx.ts';
import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import { p2wpkh } from '../../../signer/bitcoin/script.ts';
import type { Purpose } from '../../../signer/policy/purpose.ts';
import { momentOf, withTx } from './recorded_scope.ts';
import { refuses } from './refusals.ts';

type Close = RequestOf<'signMutualCloseTx'>;

/** We opened it and pay the fee: 839 820 are ours. */
const opener = ['everyday/l1', 'signMutualCloseTx'] as const;
/** The peer did: 159 984 are ours. */
const accepter = ['everyday/l2', 'signMutualCloseTx'] as const;
/** To a script that the owner named when closing. */
const elsewhere = ['varied/l2', 'signMutualCloseTx'] as const;
/** To the shutdown script that was agreed at setup. */
const agreed = ['varied/l1', 'signMutualCloseTx'] as const;

function closing(change: (tx: Transaction) => Partial<Transaction>) {
  return ({ request }: { readonly request: Close }): Close => {
    const { tx, psbt } = withTx(request.tx, change(request.tx.tx));
    return { ...request, tx: { tx, psbt } };
  };
}

/** Moves satoshi from the output with one index to that with another. */
function moved(from: number, to: number, amount: bigint) {
  return closing(({ outputs }) => ({
    outputs: outputs.map((each, i) => ({
      ...each,
      amount: each.amount + (i === to ? amount : 0n) - (i === from ? amount : 0n),
    })),
  }));
}

refuses('policy-mutual-value-matches-commitment', {
  refuses: 'a satoshi less than our balance, when we do not pay the fee',
  at: accepter,
  request: moved(0, 1, 1n),
});
refuses('policy-mutual-value-matches-commitment', {
  refuses: 'what is ours going to the peer',
  at: opener,
  request: moved(1, 0, 200_000n),
});
refuses('policy-mutual-fee-range', {
  refuses: 'a fee beyond the feerates where we pay it',
  at: opener,
  request: closing(({ outputs }) => ({
    outputs: outputs.map((each, i) => (i === 1 ? { ...each, amount: each.amount - 100_000n } : each)),
  })),
});
refuses('policy-mutual-destination-allowlisted', {
  refuses: 'a script that nobody allowed',
  at: elsewhere,
  under: { approves: ({ kind }) => kind !== 'closeTo' },
});
refuses('policy-mutual-destination-allowlisted', {
  refuses: 'another script than the one agreed at setup',
  at: agreed,
  request: closing(({ outputs }) => ({
    outputs: outputs.map((each, i) => (i === 1 ? { ...each, script: p2wpkh(new Uint8Array(33).fill(2)) } : each)),
  })),
  under: { approves: ({ kind }) => kind !== 'closeTo' },
});
refuses('policy-mutual-destination-allowlisted', {
  refuses: 'a close that leaves our part out',
  at: opener,
  request: closing(({ outputs }) => ({ outputs: outputs.slice(0, 1) })),
  under: { approves: () => false },
});
refuses('policy-mutual-no-pending-htlcs', {
  refuses: 'while an HTLC is pending',
  at: opener,
  state: ({ change }) =>
    change((channel) => {
      const { remote } = channel.sides;
      const htlc = { side: 'remote', amount: 5000n, paymentHash: new Uint8Array(32), cltvExpiry: 1 } as const;
      const accepted = remote.accepted.map((each) => ({ ...each, htlcs: [htlc] }));
      return { ...channel, sides: { ...channel.sides, remote: { ...remote, accepted } } };
    }),
});
refuses('policy-mutual-format', {
  refuses: 'a locktime in the legacy form',
  at: opener,
  request: closing(() => ({ locktime: 9 })),
});
refuses('policy-mutual-format', {
  refuses: 'what spends no funding of the channel',
  at: opener,
  request: closing(({ inputs }) => ({ inputs: inputs.map((each) => ({ ...each, vout: 7 })) })),
});

test('a close to a script of the owner’s asks for that script and amount', async (t) => {
  const asked: Purpose[] = [];
  await (await momentOf(...elsewhere)).judge(undefined, { approves: (purpose) => asked.push(purpose) > 0 });
  t.like(asked, { 0: { kind: 'closeTo', amountSat: 702_000n }, length: 1 });
});

test('the simple form of a close is judged by the same rules', async (t) => {
  const moment = await momentOf(...accepter);
  const simple = (less: bigint) =>
    closing(({ inputs, outputs }) => ({
      inputs: inputs.map((each) => ({ ...each, sequence: 0xfffffffd })),
      locktime: 150,
      outputs: outputs.map((each, i) =>
        i === 0 ? { ...each, amount: each.amount - less } : { ...each, amount: each.amount },
      ),
    }))(moment);
  await t.notThrowsAsync(moment.judge(simple(0n)));
  await t.throwsAsync(moment.judge(simple(100_000n)), { message: /close/ });
});

test('each close that was signed may be broadcast, and no other', async (t) => {
  const moment = await momentOf('varied/l1', 'signCommitmentTx');
  const [channel] = moment.state.channels.values();
  t.is(channel?.closing?.kind === 'mutual' && channel.closing.txids.length, 2);
  t.deepEqual(await moment.judge(), {});
});

/** A commitment of ours that the peer signed. */
const unilateral = ['anchors_low_fee/l1', 'signCommitmentTx'] as const;

refuses('policy-commitment-scripts', {
  refuses: 'what is no commitment that was validated',
  at: unilateral,
  request: ({ request }) => ({ ...request, tx: withTx(request.tx, { outputs: request.tx.tx.outputs.slice(1) }) }),
});
refuses('policy-commitment-scripts', {
  refuses: 'a close that was not signed',
  at: ['everyday/l1', 'signCommitmentTx'],
  state: ({ change }) => change((channel) => ({ ...channel, closing: { kind: 'mutual', txids: [] } })),
});
refuses('policy-commitment-input-match-funding', {
  refuses: 'the commitment of another funding',
  at: unilateral,
  request: ({ request }) => ({
    ...request,
    tx: withTx(request.tx, { inputs: request.tx.tx.inputs.map((each) => ({ ...each, vout: 8 })) }),
  }),
});
refuses('policy-commitment-input-match-funding', {
  refuses: 'another key of the peer’s',
  at: unilateral,
  request: ({ request, keys }) => ({ ...request, remoteFundingKey: keys.node.point }),
});
refuses('policy-commitment-holder-not-revoked', {
  refuses: 'a commitment that we revoked',
  at: unilateral,
  state: ({ change }) =>
    change((channel) => {
      const { local } = channel.sides;
      const revokedThrough = local.accepted.at(-1)?.number ?? 0n;
      return { ...channel, sides: { ...channel.sides, local: { ...local, accepted: [], revokedThrough } } };
    }),
});

test('policy-commitment-holder-not-revoked: lightningd asked for an old commitment after a splice, and lost the channel with it', async (t) => {
  const moment = await momentOf('splice_busy/l1', 'signCommitmentTx');
  await t.throwsAsync(moment.judge(), { message: /number 8, revoked 9/ });
});

test('after our own commitment was signed, a mutual close may still be', async (t) => {
  const moment = await momentOf(...opener);
  moment.change((channel) => ({ ...channel, closing: { kind: 'unilateral' } }));
  const { changes } = await moment.judge();
  t.is(changes?.channel?.closing?.kind, 'mutual');
});
