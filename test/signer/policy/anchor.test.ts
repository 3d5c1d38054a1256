/** Fees from the wallet for a commitment, through its anchor or beside an HTLC of it. */

import type { Psbt, PsbtInput } from '../../../proto/bitcoin/psbt.ts';
import { inputFields } from '../../../proto/bitcoin/psbt_fields.ts';
import type { TxInput } from '../../../proto/bitcoin/tx.ts';
import { fromHex } from '../../../proto/bytes.ts';
import { fundingScript, p2wpkh, p2wsh } from '../../../signer/bitcoin/script.ts';
import { withPsbtTx } from './recorded_scope.ts';
import { refuses } from './refusals.ts';

/** An input of the wallet, then the anchor; the third has a segwit key. */
const anchor = ['anchors_low_fee/l1', 'signAnchorspend'] as const;
const withSegwitKey = ['anchors_low_fee/l1', 'signAnchorspend', 2] as const;
/** An HTLC of ours, then an input of the wallet. */
const mingle = ['anchors_low_fee/l1', 'signHtlcTxMingle'] as const;

function spent(psbt: Psbt, index: number, tx: Partial<TxInput>, input: Partial<PsbtInput> = {}): Psbt {
  const inputs = psbt.tx.inputs.map((each, i) => (i === index ? { ...each, ...tx } : each));
  const next = withPsbtTx(psbt, { inputs });
  return { ...next, inputs: next.inputs.map((each, i) => (i === index ? { ...each, ...input } : each)) };
}

function paid(psbt: Psbt, index: number, change: { readonly amount?: bigint; readonly script?: Uint8Array }): Psbt {
  return withPsbtTx(psbt, { outputs: psbt.tx.outputs.map((each, i) => (i === index ? { ...each, ...change } : each)) });
}

/** The same request with another PSBT. */
function changed(by: (psbt: Psbt) => Psbt) {
  return <T extends { readonly psbt: Psbt }>({ request }: { readonly request: T }): T => ({
    ...request,
    psbt: by(request.psbt),
  });
}

const nobody = p2wpkh(new Uint8Array(33).fill(2));
const elsewhere = new Uint8Array(32).fill(9);

refuses('policy-anchor-input', {
  refuses: 'an anchor of a commitment that it does not know',
  at: anchor,
  request: changed((psbt) => spent(psbt, 1, { txid: elsewhere })),
});
refuses('policy-anchor-input', {
  refuses: 'the 2-of-2 in place of an anchor',
  at: anchor,
  request(at) {
    const channel = at.state.channel(at.request.peerId, at.request.dbid);
    const [funding] = channel?.fundings ?? [];
    const script = fundingScript(
      at.keys.channel(at.request.peerId, at.request.dbid).funding.point,
      funding?.remotePubkey ?? new Uint8Array(33),
    );
    const [txid = '', vout] = funding?.outpoint.split(':') ?? [];
    return changed((psbt) =>
      spent(
        psbt,
        1,
        { txid: fromHex(txid), vout: Number(vout) },
        {
          witnessUtxo: { amount: funding?.value ?? 0n, script: p2wsh(script) },
          pairs: (psbt.inputs[1]?.pairs ?? []).map((pair) =>
            pair.type === inputFields.witnessScript.type ? { ...pair, value: script } : pair,
          ),
        },
      ),
    )(at);
  },
});
refuses('policy-anchor-input', {
  refuses: 'the funding key beside a key of the wallet',
  at: anchor,
  request: (at) =>
    changed((psbt) => {
      const { point } = at.keys.channel(at.request.peerId, at.request.dbid).funding;
      const pairs = [{ type: inputFields.bip32Derivation.type, key: point, value: new Uint8Array(8) }];
      return spent(psbt, 0, {}, { ...psbt.inputs[0], pairs });
    })(at),
});
refuses('policy-anchor-input', {
  refuses: 'an input that is neither the wallet’s nor an anchor',
  at: anchor,
  request: ({ request }) => ({ ...request, inputs: [] }),
});
refuses('policy-onchain-no-unknown-outputs', {
  refuses: 'an anchor’s change that is not ours',
  at: anchor,
  request: changed((psbt) => paid(psbt, 0, { script: nobody })),
});
refuses('policy-onchain-fee-range', {
  refuses: 'an anchor spent at any price',
  at: anchor,
  request: changed((psbt) => paid(psbt, 0, { amount: 94_000_000n })),
});
refuses('policy-onchain-fee-range', {
  refuses: 'more for an anchor than its commitment is worth to us',
  at: anchor,
  state: ({ change }) =>
    change((channel) => {
      const accepted = channel.sides.local.accepted.map((each) => ({
        ...each,
        htlcs: [],
        contents: new Map(
          [...each.contents].map(([outpoint, content]) => [outpoint, { ...content, toLocal: 2000n }] as const),
        ),
      }));
      return { ...channel, sides: { ...channel.sides, local: { ...channel.sides.local, accepted } } };
    }),
});
refuses('policy-onchain-input-ours', {
  refuses: 'an anchor’s fee from an input worth something else',
  at: withSegwitKey,
  request: changed((psbt) =>
    spent(psbt, 0, {}, { witnessUtxo: { amount: 5n, script: psbt.inputs[0]?.witnessUtxo?.script ?? nobody } }),
  ),
});

refuses('policy-onchain-input-ours', {
  refuses: 'beside an HTLC what is no HTLC',
  at: mingle,
  request: changed((psbt) => spent(psbt, 0, { txid: elsewhere })),
});
refuses('policy-onchain-input-ours', {
  refuses: 'an HTLC whose output goes elsewhere',
  at: mingle,
  request: changed((psbt) => paid(psbt, 0, { script: nobody })),
});
refuses('policy-onchain-no-unknown-outputs', {
  refuses: 'change that is not ours beside an HTLC',
  at: mingle,
  request: changed((psbt) => paid(psbt, 1, { script: nobody })),
});
refuses('policy-onchain-fee-range', {
  refuses: 'to pay more than an HTLC is worth',
  at: mingle,
  request: changed((psbt) => paid(psbt, 1, { amount: 90_000_000n })),
});
