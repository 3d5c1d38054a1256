/** HTLC transactions of either side's commitments. */

import type { RequestOf } from '../../../proto/hsmd/calls.ts';
import type { Htlc } from '../../../proto/hsmd/fields.ts';
import { p2wsh } from '../../../signer/bitcoin/script.ts';
import type { ChannelState } from '../../../signer/state/channel_state.ts';
import { withTx } from './recorded_scope.ts';
import { refuses } from './refusals.ts';

/** With anchors and without: the latter pays fees. */
const theirs = ['everyday/l1', 'signRemoteHtlcTx'] as const;
const theirsWithFee = ['close_no_anchors/l1', 'signRemoteHtlcTx'] as const;
const ours = ['anchors_low_fee/l1', 'signAnyLocalHtlcTx'] as const;

type Tx = RequestOf<'signRemoteHtlcTx'>['tx'];

function changed(change: (tx: Tx['tx']) => Partial<Tx['tx']>) {
  return <T extends { readonly tx: Tx }>({ request }: { readonly request: T }): T => ({
    ...request,
    tx: withTx(request.tx, change(request.tx.tx)),
  });
}

function input(change: { readonly sequence?: number; readonly txid?: Uint8Array }) {
  return changed(({ inputs }) => ({ inputs: inputs.map((each) => ({ ...each, ...change })) }));
}

/** The channel with other HTLCs in its accepted commitments. */
function withHtlcs(by: (htlc: Htlc) => Htlc) {
  return ({ change }: { change(by: (channel: ChannelState) => ChannelState): void }) =>
    change((channel) => {
      const with_ = (side: ChannelState['sides']['local']) => ({
        ...side,
        accepted: side.accepted.map((each) => ({ ...each, htlcs: each.htlcs.map(by) })),
      });
      return { ...channel, sides: { local: with_(channel.sides.local), remote: with_(channel.sides.remote) } };
    });
}

for (const at of [theirs, ours] as const) {
  const of = `${at[1]}`;
  refuses('policy-htlc-format', {
    refuses: `a transaction of no commitment that was accepted: ${of}`,
    at,
    request: input({ txid: new Uint8Array(32).fill(3) }),
  });
  refuses('policy-htlc-format', {
    refuses: `an HTLC that the commitment does not have: ${of}`,
    at,
    state: withHtlcs((htlc) => ({ ...htlc, amount: 1_000_000_000n })),
  });
  refuses('policy-htlc-format', {
    refuses: `the anchors flag of the other kind: ${of}`,
    at,
    request: ({ request }) => ({ ...request, optionAnchorOutputs: false }),
  });
  refuses('policy-htlc-version', { refuses: `version 1: ${of}`, at, request: changed(() => ({ version: 1 })) });
  refuses('policy-htlc-sequence', { refuses: `another sequence: ${of}`, at, request: input({ sequence: 5 }) });
  refuses('policy-htlc-locktime', {
    refuses: `another expiry than the HTLC’s: ${of}`,
    at,
    state: withHtlcs((htlc) => ({ ...htlc, cltvExpiry: htlc.cltvExpiry + 1 })),
  });
  refuses('policy-htlc-fee-range', {
    refuses: `a fee where there is none: ${of}`,
    at,
    request: changed(({ outputs }) => ({ outputs: outputs.map((each) => ({ ...each, amount: each.amount - 1n })) })),
  });
}
refuses('policy-htlc-fee-range', {
  refuses: 'a fee that the feerate does not make',
  at: theirsWithFee,
  request: changed(({ outputs }) => ({ outputs: outputs.map((each) => ({ ...each, amount: each.amount - 1n })) })),
});
refuses('policy-htlc-format', {
  refuses: 'a point that is not the commitment’s',
  at: theirs,
  request: ({ request, keys }) => ({ ...request, remotePerCommitPoint: keys.node.point }),
});

/** The transaction pays a script with one part changed, and shows that script. */
function paying(from: number, bytes: (script: Uint8Array) => Uint8Array) {
  return <T extends { readonly tx: Tx }>({ request }: { readonly request: T }): T => {
    const [pairs = []] = request.tx.psbt.outputs;
    const shown = pairs[0]?.value ?? new Uint8Array();
    const script = Uint8Array.from(shown);
    script.set(bytes(shown), from);
    const { outputs } = request.tx.tx;
    const tx = withTx(request.tx, { outputs: outputs.map((each) => ({ ...each, script: p2wsh(script) })) });
    return {
      ...request,
      tx: { ...tx, psbt: { ...tx.psbt, outputs: [pairs.map((pair) => ({ ...pair, value: script }))] } },
    };
  };
}

/** OP_IF, a push of 33 bytes, OP_ELSE, the delay in one byte, two opcodes and a length: there the keys begin. */
const at = { revocation: 2, delay: 36, delayedKey: 40 } as const;

refuses('policy-htlc-revocation-pubkey', {
  refuses: 'an output with another revocation key',
  at: theirs,
  request: (moment) => paying(at.revocation, () => moment.keys.node.point)(moment),
});
refuses('policy-htlc-to-self-delay', {
  refuses: 'an output with another delay',
  at: theirs,
  request: paying(at.delay, () => Uint8Array.of(0x51)),
});
refuses('policy-htlc-delayed-pubkey', {
  refuses: 'an output with another delayed key',
  at: theirs,
  request: (moment) => paying(at.delayedKey, () => moment.keys.node.point)(moment),
});

refuses('policy-commitment-holder-not-revoked', {
  refuses: 'an HTLC of a commitment that we revoked',
  at: ours,
  request: ({ request }) => ({ ...request, commitNum: 2n }),
});
