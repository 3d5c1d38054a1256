/** Sweeps of closed channels. */

import test from 'ava';
import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import { p2wpkh } from '../../../signer/bitcoin/script.ts';
import { momentOf, withTx } from './recorded_scope.ts';
import { refuses } from './refusals.ts';

const delayed = ['close_no_anchors/l1', 'signAnyDelayedPaymentToUs'] as const;
const theirHtlc = ['close_no_anchors/l2', 'signAnyRemoteHtlcToUs'] as const;
const penalty = ['penalty/l2', 'signAnyPenaltyToUs'] as const;
/** For watchtowers. */
const early = ['everyday/l1', 'signPenaltyToUs'] as const;

type Tx = RequestOf<'signMutualCloseTx'>['tx'];

function changed(change: Partial<Tx['tx']> | ((tx: Tx['tx']) => Partial<Tx['tx']>)) {
  return <T extends { readonly tx: Tx }>({ request }: { readonly request: T }): T => ({
    ...request,
    tx: withTx(request.tx, typeof change === 'function' ? change(request.tx.tx) : change),
  });
}

function output(change: { readonly amount?: bigint; readonly script?: Uint8Array }) {
  return changed(({ outputs }) => ({ outputs: outputs.map((each) => ({ ...each, ...change })) }));
}

const nobody = { script: p2wpkh(new Uint8Array(33).fill(2)) };

for (const at of [delayed, theirHtlc, penalty, early] as const) {
  const of = `${at[1]} of ${at[0]}`;
  refuses('policy-sweep-destination-allowlisted', {
    refuses: `to sweep to somebody else: ${of}`,
    at,
    request: output(nobody),
  });
  refuses('policy-sweep-fee-range', {
    refuses: `to sweep all of it into fees: ${of}`,
    at,
    request: output({ amount: 1n }),
  });
}
refuses('policy-sweep-fee-range', {
  refuses: 'a sweep beyond the feerates',
  at: delayed,
  request: output({ amount: 2_000_000n }),
});
refuses('policy-sweep-fee-range', {
  refuses: 'a sweep that pays more than there is',
  at: delayed,
  request: output({ amount: 20_000_000n }),
});
refuses('policy-sweep-version', { refuses: 'version 1', at: delayed, request: changed({ version: 1 }) });
refuses('policy-sweep-locktime', {
  refuses: 'a locktime that is not needed',
  at: delayed,
  request: changed({ locktime: 500 }),
});
refuses('policy-sweep-sequence', {
  refuses: 'another delay than the script’s',
  at: delayed,
  request: changed(({ inputs }) => ({ inputs: inputs.map((input) => ({ ...input, sequence: 4 })) })),
});
refuses('policy-sweep-format', {
  refuses: 'a second output',
  at: delayed,
  request: changed(({ outputs }) => ({ outputs: [...outputs, ...outputs] })),
});
refuses('policy-sweep-format', {
  refuses: 'a script of another commitment',
  at: delayed,
  request: ({ request }) => ({ ...request, commitNum: 1n }),
});
refuses('policy-sweep-format', {
  refuses: 'a channel that was never set up',
  at: delayed,
  request: ({ request }) => ({ ...request, dbid: 77n }),
});

/** lightningd v26.06 asks for any channel; an onchaind may ask for its own, and no recording has that. */
test('an onchaind’s sweep of a delayed output is judged like lightningd’s', async (t) => {
  const moment = await momentOf(...delayed);
  const { peerId: nodeId, dbid } = moment.request;
  const onchaind = { nodeId, dbid, capabilities: 12n };
  await t.notThrowsAsync(moment.judgeOther('signDelayedPaymentToUs', moment.request, onchaind));
  await t.throwsAsync(moment.judgeOther('signDelayedPaymentToUs', output(nobody)(moment), onchaind), {
    message: /what is swept goes to our wallet/,
  });
});

test('an onchaind’s sweep of an HTLC is judged like lightningd’s', async (t) => {
  const moment = await momentOf(...theirHtlc);
  const { peerId: nodeId, dbid } = moment.request;
  const onchaind = { nodeId, dbid, capabilities: 12n };
  await t.notThrowsAsync(moment.judgeOther('signRemoteHtlcToUs', moment.request, onchaind));
  await t.throwsAsync(moment.judgeOther('signRemoteHtlcToUs', output(nobody)(moment), onchaind), {
    message: /what is swept goes to our wallet/,
  });
});
