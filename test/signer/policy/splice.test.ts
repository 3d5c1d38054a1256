/** Splices: the worthless first signature, and when the real one is given. */

import test from 'ava';
import { toHex } from '../../../proto/bytes.ts';
import type { ReplyOf } from '../../../proto/hsmd/calls.ts';
import { fundingScript, p2wpkh } from '../../../signer/bitcoin/script.ts';
import { digestOf } from '../../../signer/bitcoin/sign_input.ts';
import type { Purpose } from '../../../signer/policy/purpose.ts';
import type { FundingState } from '../../../signer/state/channel_state.ts';
import { follow, type Moment, momentOf, secp, withTx } from './recorded_scope.ts';
import { refuses } from './refusals.ts';

const output = { amount: 1000n, script: p2wpkh(new Uint8Array(33).fill(2)) };

type At = Moment<'signSpliceTx'>;

/** The initiator's first request, with an input of our wallet and without; the second, and the peer's only one. */
const earlyIn = ['splice/l1', 'signSpliceTx', 0] as const;
const earlyOut = ['splice/l1', 'signSpliceTx', 3] as const;
const real = ['splice/l1', 'signSpliceTx', 1] as const;
const peers = ['splice/l2', 'signSpliceTx', 0] as const;
/** 50 000 go from the channel to an address of our wallet. */
const out = ['splice/l1', 'signSpliceTx', 4] as const;

function ofNew(change: Partial<FundingState>): (at: At) => void {
  return ({ change: apply }) =>
    apply((channel) => ({
      ...channel,
      fundings: channel.fundings.map((each, i) => (i === 1 ? { ...each, ...change } : each)),
    }));
}

refuses('policy-splice-input-match-funding', {
  refuses: 'an input that is no funding',
  at: real,
  request: ({ request }) => ({ ...request, inputIndex: 0 }),
});
refuses('policy-splice-input-match-funding', {
  refuses: 'another key of the peer’s',
  at: real,
  request: ({ request, keys }) => ({ ...request, remoteFundingKey: keys.node.point }),
});
refuses('policy-splice-input-match-funding', {
  refuses: 'a funding that was never signed for',
  at: real,
  state: ({ change }) =>
    change((channel) => ({ ...channel, fundings: channel.fundings.map((each) => ({ ...each, live: false })) })),
});
refuses('policy-splice-new-funding-validated', {
  refuses: 'the real signature while our newest commitment is of the old funding',
  at: real,
  state: ({ change }) =>
    change((channel) => {
      const { local } = channel.sides;
      const [base] = channel.fundings;
      const accepted = local.accepted.map((each) => ({
        ...each,
        contents: new Map([...each.contents].filter(([outpoint]) => outpoint === base?.outpoint)),
      }));
      return { ...channel, sides: { ...channel.sides, local: { ...local, accepted } } };
    }),
});
refuses('policy-splice-new-funding-validated', {
  refuses: 'a splice of another funding',
  at: real,
  state: ofNew({ splicedFrom: `${'00'.repeat(32)}:1` }),
});
refuses('policy-splice-balance', { refuses: 'a new funding of another value', at: real, state: ofNew({ value: 5n }) });
refuses('policy-splice-balance', {
  refuses: 'to let our share go where nobody is paid',
  at: peers,
  state: ofNew({ ourShift: -500_000_000n }),
});
refuses('policy-splice-destination', {
  refuses: 'to pay somebody from our share without approval',
  at: peers,
  state: ofNew({ ourShift: -200_000n }),
  under: { approves: () => false },
});

refuses('policy-splice-destination', {
  refuses: 'to begin a splice that pays somebody else without approval',
  at: earlyOut,
  request: ({ request }) => {
    const isFunding = ({ length }: Uint8Array) => length === 34;
    const outputs = request.tx.tx.outputs.map((each) =>
      isFunding(each.script) ? each : { ...each, script: p2wpkh(new Uint8Array(33).fill(2)) },
    );
    return { ...request, tx: withTx(request.tx, { outputs: [...outputs, output] }) };
  },
  under: { approves: () => false },
});

test('before the new funding is known the signature is one that nothing takes', async (t) => {
  const moment = await momentOf(...earlyOut);
  const verdict = await moment.judge();
  // The verdict is that of this call.
  const { signature } = (verdict.reply as unknown as ReplyOf<'signSpliceTx'>).sig;
  const { tx, inputIndex, remoteFundingKey } = moment.request;
  const { point } = moment.keys.channel(moment.client.nodeId, moment.client.dbid).funding;
  const digest = digestOf(tx, inputIndex, fundingScript(point, remoteFundingKey), 1);
  t.is(signature.length, 64);
  t.true((signature[0] ?? 0x80) < 0x80, 'low R, as every other one');
  t.false(secp.verify(digest, point, signature));
  t.deepEqual(await moment.judge(), verdict, 'the same again');
});

test('before the new funding is known a transaction that spends our wallet too gets no other one', async (t) => {
  const moment = await momentOf(...earlyIn);
  t.truthy((await moment.judge()).reply);
});

test('an owner who only wants to be warned gets the real signature at once', async (t) => {
  const moment = await momentOf(...earlyOut);
  const warnings: string[] = [];
  const settings = { severities: new Map([['policy-splice-new-funding-validated', 'warn'] as const]) };
  t.deepEqual(await moment.judge(undefined, { settings, warnings }), {});
  t.deepEqual(warnings, ['policy-splice-new-funding-validated']);
});

test('the repeat gets the real one, and the new funding may confirm from then on', async (t) => {
  const { reply, changes } = await (await momentOf(...real)).judge();
  t.is(reply, undefined);
  t.deepEqual(
    changes?.channel?.fundings.map(({ live }) => live),
    [true, true],
  );
});

test('a splice-out to our own wallet asks nobody', async (t) => {
  const moment = await momentOf(...out);
  t.is(moment.request.tx.tx.outputs[0]?.amount, 50_000n);
  await t.notThrowsAsync(moment.judge(undefined, { approves: () => false }));
});

test('a splice-out to somebody else asks for what leaves, without the fee', async (t) => {
  const moment = await momentOf(...out);
  const { tx } = moment.request;
  const stranger = p2wpkh(new Uint8Array(33).fill(2));
  const outputs = tx.tx.outputs.map((each, i) => (i === 0 ? { ...each, script: stranger } : each));
  const changed = withTx(tx, { outputs });
  follow(moment, tx.psbt, changed.psbt);
  const asked: Purpose[] = [];
  await moment.judge({ ...moment.request, tx: changed }, { approves: (purpose) => asked.push(purpose) > 0 });
  const paid = [{ script: toHex(stranger), amountSat: 50_000n }];
  t.like(asked, { 0: { kind: 'spliceOut', amountSat: 50_000n, outputs: paid }, length: 1 });
});
