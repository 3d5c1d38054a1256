/** Spends of the wallet: withdrawals, openings, transactions made with a peer. */

import test from 'ava';
import type { Psbt, PsbtInput } from '../../../proto/bitcoin/psbt.ts';
import { inputFields } from '../../../proto/bitcoin/psbt_fields.ts';
import type { TxOutput } from '../../../proto/bitcoin/tx.ts';
import { fromHex, toHex } from '../../../proto/bytes.ts';
import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import { p2pkh, p2wpkh } from '../../../signer/bitcoin/script.ts';
import type { FundingState } from '../../../signer/state/channel_state.ts';
import { level } from '../../../signer/state/node_state.ts';
import { follow, type Moment, momentOf, withPsbtTx } from './recorded_scope.ts';
import { refuses } from './refusals.ts';

type Spend = RequestOf<'signWithdrawal'>;
type At = Moment<'signWithdrawal'>;

/** One input of ours; 1 000 000 to a channel with a push of 100 000, the rest back to us. */
const opening = ['everyday/l1', 'signWithdrawal', 0] as const;
/** 100 000 to somebody, the rest back. */
const withdrawal = ['everyday/l1', 'signWithdrawal', 1] as const;
/** An input of ours and one of the peer's; a channel of both; both's change. */
const joint = ['dual_funding/l1', 'signWithdrawal', 0] as const;
/** Our wallet adds 100 000 to a channel. */
const splice = ['splice/l1', 'signWithdrawal', 1] as const;

function output(psbt: Psbt, index: number, change: Partial<TxOutput>): Psbt {
  return withPsbtTx(psbt, { outputs: psbt.tx.outputs.map((each, i) => (i === index ? { ...each, ...change } : each)) });
}

function input(psbt: Psbt, index: number, change: Partial<PsbtInput>): Psbt {
  return { ...psbt, inputs: psbt.inputs.map((each, i) => (i === index ? { ...each, ...change } : each)) };
}

/** The request with another PSBT, which funds the same channels. */
function changed(by: (psbt: Psbt) => Psbt): (at: At) => Spend {
  return (at) => ({ ...at.request, psbt: follow(at, at.request.psbt, by(at.request.psbt)) });
}

function ofFunding(change: Partial<FundingState>): (at: At) => void {
  return ({ change: apply }) =>
    apply((channel) => ({
      ...channel,
      fundings: [
        ...channel.fundings.slice(0, -1),
        ...channel.fundings.slice(-1).map((each) => ({ ...each, ...change })),
      ],
    }));
}

const nobody = p2wpkh(new Uint8Array(33).fill(2));

refuses('policy-onchain-format-standard', {
  refuses: 'version 3',
  at: opening,
  request: changed((psbt) => withPsbtTx(psbt, { version: 3 })),
});
refuses('policy-onchain-format-standard', {
  refuses: 'a script that is none of the usual',
  at: withdrawal,
  request: changed((psbt) => output(psbt, 0, { script: Uint8Array.of(0x51) })),
});
refuses('policy-onchain-max-size', {
  refuses: 'what nobody relays',
  at: withdrawal,
  request: changed((psbt) =>
    withPsbtTx(psbt, { outputs: Array.from({ length: 4000 }, () => ({ amount: 1000n, script: nobody })) }),
  ),
});
refuses('policy-onchain-funding-non-malleable', {
  refuses: 'to fund a channel beside an input without witness',
  at: joint,
  request: changed((psbt) => input(psbt, 1, { witnessUtxo: { amount: 1n, script: p2pkh(new Uint8Array(20)) } })),
});
refuses('policy-onchain-output-scriptpubkey', {
  refuses: 'a funding with another key than the peer’s',
  at: opening,
  state: (at) => ofFunding({ remotePubkey: at.keys.node.point })(at),
});
refuses('policy-onchain-output-scriptpubkey', {
  refuses: 'a funding with one key twice',
  at: opening,
  state: (at) => {
    const [channel] = at.state.channels.values();
    const peer = channel?.peer ?? '';
    ofFunding({ remotePubkey: at.keys.channel(fromHex(peer), channel?.dbid ?? 0n).funding.point })(at);
  },
});
refuses('policy-onchain-output-match-commitment', {
  refuses: 'a funding of another value',
  at: opening,
  state: ofFunding({ value: 999_999n }),
});
refuses('policy-onchain-output-match-commitment', {
  refuses: 'a splice that does not spend the funding it is of',
  at: splice,
  state: ofFunding({ splicedFrom: `${'00'.repeat(32)}:0` }),
});
refuses('policy-onchain-output-match-commitment', {
  refuses: 'to take part in a splice that was not signed for',
  at: splice,
  state: ofFunding({ live: false }),
});
refuses('policy-onchain-output-match-commitment', {
  refuses: 'to spend beside a funding what is no splice of it',
  at: splice,
  state: ({ change }) => change((channel) => ({ ...channel, fundings: channel.fundings.slice(0, 1) })),
});
refuses('policy-onchain-initial-commitment-countersigned', {
  refuses: 'a funding without a commitment of ours',
  at: opening,
  state: ({ change }) =>
    change((channel) => ({ ...channel, sides: { ...channel.sides, local: { ...channel.sides.local, accepted: [] } } })),
});
refuses('policy-onchain-initial-commitment-countersigned', {
  refuses: 'a splice whose commitment lags behind',
  at: splice,
  state: ({ change }) =>
    change((channel) => {
      const { local } = channel.sides;
      const newest = local.accepted.at(-1);
      const next = { number: (newest?.number ?? 0n) + 1n, point: undefined, htlcs: [], contents: new Map() };
      return { ...channel, sides: { ...channel.sides, local: { ...local, accepted: [...local.accepted, next] } } };
    }),
});
refuses('policy-onchain-no-channel-push', {
  refuses: 'to give the peer more than was agreed',
  at: opening,
  state: ofFunding({ pushed: 99_999n }),
});
refuses('policy-onchain-no-channel-push', {
  refuses: 'to pay for the part of a peer who brings nothing',
  at: ['dual_funding_rbf/l1', 'signWithdrawal', 1],
  state: ofFunding({ ourShift: -200_000n }),
});
refuses('policy-onchain-signed-request', {
  refuses: 'a channel the owner did not ask for',
  at: opening,
  under: { approves: ({ kind }) => kind !== 'open' },
});
refuses('policy-onchain-no-unknown-outputs', {
  refuses: 'an output nobody allowed',
  at: withdrawal,
  under: { approves: () => false },
});
refuses('policy-onchain-no-unknown-outputs', {
  refuses: 'a second output to a script that one was allowed to',
  at: withdrawal,
  request: changed((psbt) =>
    withPsbtTx(psbt, {
      outputs: [
        ...psbt.tx.outputs.map((each, i) => (i === 1 ? { ...each, amount: each.amount - 100_000n } : each)),
        ...psbt.tx.outputs.slice(0, 1),
      ],
    }),
  ),
  under: { approves: (purpose) => purpose.kind === 'spend' && purpose.amountSat === 100_000n },
});
refuses('policy-onchain-no-unknown-outputs', {
  refuses: 'change that says it is ours and is not',
  at: withdrawal,
  request: changed((psbt) => output(psbt, 1, { script: nobody })),
  under: { approves: (purpose) => purpose.kind === 'spend' && purpose.amountSat === 100_000n },
});
refuses('policy-onchain-no-fund-inbound', {
  refuses: 'to pay for the peer’s part of a channel',
  at: joint,
  request: changed((psbt) => output(psbt, 2, { amount: 99_000_000n })),
  under: { approves: ({ kind }) => kind === 'open' },
});
refuses('policy-onchain-no-fund-inbound', {
  refuses: 'what takes more with the inputs of an earlier request',
  at: joint,
  state: (at) => ofFunding({ walletInputs: new Map([[`${'11'.repeat(32)}:0`, 100_000_000n]]) })(at),
  under: { approves: ({ kind }) => kind === 'open' },
});
refuses('policy-onchain-no-fund-inbound', {
  refuses: 'a splice that says it leaves us more than it does',
  at: splice,
  state: ofFunding({ ourShift: 0n }),
  under: { approves: ({ kind }) => kind === 'open' },
});
refuses('policy-onchain-fee-range', {
  refuses: 'a fee beyond the feerates, without approval',
  at: withdrawal,
  request: changed((psbt) => output(psbt, 1, { amount: 48_700_000n })),
  under: { approves: (purpose) => purpose.kind === 'spend' && purpose.script !== '' },
});
refuses('policy-onchain-fee-range', {
  refuses: 'a fee of most of the value, approved or not',
  at: withdrawal,
  request: changed((psbt) => output(psbt, 1, { amount: 1000n })),
});
refuses('policy-onchain-velocity', {
  refuses: 'more than a day allows, where the owner set a limit',
  at: withdrawal,
  under: { settings: { onchainSatPerDay: 99_999n }, approves: () => false },
});
refuses('policy-onchain-velocity', {
  refuses: 'more fees than a day allows',
  at: withdrawal,
  under: { settings: { onchainFeesSatPerDay: 100n } },
});

function utxo(change: Partial<Spend['inputs'][number]>): (at: At) => Spend {
  return ({ request }) => ({ ...request, inputs: request.inputs.map((each) => ({ ...each, ...change })) });
}

refuses('policy-onchain-input-ours', {
  refuses: 'an input of another key',
  at: withdrawal,
  request: utxo({ keyindex: 9 }),
});
refuses('policy-onchain-input-ours', {
  refuses: 'an input worth more than it is said to be',
  at: withdrawal,
  request: utxo({ amount: 1n }),
});
refuses('policy-onchain-input-ours', {
  refuses: 'an input that is said to be what a peer’s close left us',
  at: withdrawal,
  request: (at) =>
    utxo({
      closeInfo: {
        channelDbid: 1n,
        peerId: at.keys.node.point,
        commitmentPoint: undefined,
        optionAnchors: true,
        csv: 1,
      },
    })(at),
});
refuses('policy-onchain-input-ours', {
  refuses: 'a signature that leaves the outputs open',
  at: withdrawal,
  request: changed((psbt) =>
    input(psbt, 0, {
      pairs: [{ type: inputFields.sighashType.type, key: new Uint8Array(), value: Uint8Array.of(0x83, 0, 0, 0) }],
    }),
  ),
});
refuses('policy-onchain-input-ours', {
  refuses: 'an input that our key would sign though nobody calls it ours',
  at: joint,
  request: (at) =>
    changed((psbt) =>
      input(psbt, 1, {
        pairs: [
          {
            type: inputFields.bip32Derivation.type,
            key: at.keys.walletKey(at.request.inputs[0]?.keyindex ?? 0).point,
            value: new Uint8Array(4),
          },
        ],
      }),
    )(at),
});

/** A withdrawal from two outputs with segwit keys, each worth what only its own signature covers. */
function twoInputs({ request, keys }: At, proven: boolean): Spend {
  const [first] = request.psbt.tx.inputs;
  const script = p2wpkh(keys.walletKey(2).point);
  const amount = 60_000n;
  const txid = new Uint8Array(32).fill(7);
  const inputs = [0, 1].map((vout) => ({
    scriptSig: new Uint8Array(),
    sequence: 0,
    witness: [],
    ...first,
    txid,
    vout,
  }));
  const psbt = withPsbtTx(request.psbt, { inputs, outputs: request.psbt.tx.outputs.slice(0, 1) });
  const previousTx = proven ? request.psbt.inputs[0]?.previousTx : undefined;
  return {
    inputs: inputs.map(({ vout }) => ({ txid, vout, amount, keyindex: 2, scriptpubkey: script, closeInfo: undefined })),
    psbt: { ...psbt, inputs: inputs.map(() => ({ previousTx, witnessUtxo: { amount, script }, pairs: [] })) },
  };
}

refuses('policy-onchain-input-ours', {
  refuses: 'amounts that nothing proves',
  at: withdrawal,
  request: (at) => twoInputs(at, false),
});
refuses('policy-onchain-input-ours', {
  refuses: 'amounts that another transaction proves',
  at: withdrawal,
  request: (at) => twoInputs(at, true),
});

test('within what a day allows nobody is asked, and signing it again counts no second time', async (t) => {
  const at = await momentOf(...withdrawal);
  const under = { settings: { onchainSatPerDay: 100_000n }, approves: () => false };
  const { changes } = await at.judge(undefined, under);
  if (changes !== undefined) at.state.apply(changes);
  t.is(level(at.state.node.buckets.onchain, 100_000n, 1_600_000_000), 100_000n);
  await t.notThrowsAsync(at.judge(undefined, under));
});

test('a script on the owner’s list needs no approval', async (t) => {
  const at = await momentOf(...withdrawal);
  const script = toHex(at.request.psbt.tx.outputs[0]?.script ?? new Uint8Array());
  const purposes: string[] = [];
  const approves = ({ kind }: { readonly kind: string }) => purposes.push(kind) < 0;
  await t.notThrowsAsync(at.judge(undefined, { settings: { allowedScripts: new Set([script]) }, approves }));
  t.deepEqual(purposes, []);
});

test('what is asked about an opening is our part of it', async (t) => {
  for (const [node, nth, amountSat] of [
    ['everyday/l1', 0, 900_000n],
    ['dual_funding/l2', 1, 504_600n],
    ['splice/l1', 1, 100_000n],
  ] as const) {
    const asked: unknown[] = [];
    const at = await momentOf(node, 'signWithdrawal', nth);
    await at.judge(undefined, { approves: (purpose) => asked.push(purpose) > 0 });
    t.like(asked[0], { kind: 'open', amountSat });
    t.is(asked.length, 1);
  }
});

test('a transaction without an input of ours is none of our business', async (t) => {
  const at = await momentOf(...withdrawal);
  t.deepEqual(await at.judge({ ...at.request, inputs: [] }, { approves: () => false }), {});
});

test('the highest index that lightningd names is remembered in steps', async (t) => {
  const at = await momentOf('everyday/l1', 'checkBip86Pubkey');
  const { changes } = await at.judge({ ...at.request, index: 65 });
  t.is(changes?.node?.walletIndex, 128);
  t.deepEqual(await at.judge({ ...at.request, index: 0 }), {});
  t.deepEqual(await at.judge({ ...at.request, index: 1_000_001 }), {});
});
