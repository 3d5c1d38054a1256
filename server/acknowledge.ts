/**
 * Replies that the node may have before the signer has decided: those that say nothing, and those whose content is known
 * beforehand. docs/latency.md says what makes each of them safe.
 */

import { type Call, calls, type Message } from '../proto/hsmd/calls.ts';
import { WireError } from '../proto/hsmd/codec.ts';
import { decodeMessage, encodeReply } from '../proto/hsmd/message.ts';

export interface Acknowledgement {
  readonly reply: Uint8Array;
  /** Whether the request must be durable here before the node gets it: the node will not ask this again. */
  readonly durable: boolean;
}

export interface Known {
  /** The point of our commitment `n` of the channel in question, if it was given. */
  readonly point: (n: bigint) => Uint8Array | undefined;
  /** The signer says yes to every preapproval. */
  readonly approvesPayments: boolean;
  /** Penalty transactions for watchtowers may go without a signature. */
  readonly unsignedPenalties: boolean;
}

type Row = (request: Uint8Array, known: Known) => Acknowledgement | undefined;

/** A request that cannot be read is the signer's to refuse. */
function preapproval(
  call: 'preapproveInvoice' | 'preapproveInvoiceCheck' | 'preapproveKeysend' | 'preapproveKeysendCheck',
): Row {
  const { request: message }: { readonly request: Message } = calls[call];
  return (request, { approvesPayments }) => {
    if (!approvesPayments) return undefined;
    decodeMessage(message, request);
    return { reply: encodeReply(call, { approved: true }), durable: false };
  };
}

const rows: { readonly [C in Call]?: Row } = {
  validateRevocation(request) {
    decodeMessage(calls.validateRevocation.request, request).perCommitmentSecret[Symbol.dispose]();
    return { reply: encodeReply('validateRevocation', {}), durable: true };
  },

  validateCommitmentTx(request, { point }) {
    const { commitNum } = decodeMessage(calls.validateCommitmentTx.request, request);
    const nextPerCommitmentPoint = point(commitNum + 1n);
    if (nextPerCommitmentPoint === undefined) return undefined;
    const reply = { oldCommitmentSecret: undefined, nextPerCommitmentPoint };
    return { reply: encodeReply('validateCommitmentTx', reply), durable: true };
  },

  signPenaltyToUs(request, { unsignedPenalties }) {
    if (!unsignedPenalties) return undefined;
    decodeMessage(calls.signPenaltyToUs.request, request).revocationSecret[Symbol.dispose]();
    const sig = { signature: new Uint8Array(64), sighash: 0x01 } as const;
    return { reply: encodeReply('signPenaltyToUs', { sig }), durable: false };
  },

  preapproveInvoice: preapproval('preapproveInvoice'),
  preapproveInvoiceCheck: preapproval('preapproveInvoiceCheck'),
  preapproveKeysend: preapproval('preapproveKeysend'),
  preapproveKeysendCheck: preapproval('preapproveKeysendCheck'),
};

/** The reply to give at once; undefined where the node has to wait for the signer's. */
export function acknowledgementOf(call: Call, request: Uint8Array, known: Known): Acknowledgement | undefined {
  try {
    return rows[call]?.(request, known);
  } catch (error: unknown) {
    if (error instanceof WireError || error instanceof RangeError) return undefined;
    throw error;
  }
}
