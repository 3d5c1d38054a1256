/**
 * What the node key signs and derives besides: nothing that could pass for something else, of lightningd's or of the
 * signer's own.
 */

import { utf8 } from '../../proto/bytes.ts';
import type { Call, RequestOf } from '../../proto/hsmd/calls.ts';
import { readBolt11 } from '../lightning/bolt11.ts';
import { InvoiceError } from '../lightning/invoice_error.ts';
import { type Checks, fromMsat, type Scope } from './scope.ts';

/** Labels of secrets that the signer derives for itself begin so. */
export const reservedLabels = 'keyhold/';
/** Registration and recovery challenges are random and this long, and are signed in the format of messages. */
const challengeLength = 32;
/** The longest lease, and how much later than now it may begin. */
const longestLease = 4032;
const leaseLeeway = 144;

function isPrintable(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte >= 0x20 && byte <= 0x7e);
}

function signedText(scope: Scope, { msg }: { readonly msg: Uint8Array }): Record<string, never> {
  if (msg.length === challengeLength && !isPrintable(msg))
    scope.broken('policy-message-no-spoof', { length: msg.length, differs: 'it could be a challenge' });
  return {};
}

/** An invoice's beginning sets it apart from all else that the node key signs; the rest is read for its owner's sake. */
async function invoice(scope: Scope, { hrp, u5bytes }: RequestOf<'signInvoice'>): Promise<Record<string, never>> {
  const text = String.fromCharCode(...hrp);
  const prefix = `ln${scope.network.invoicePrefix}`;
  const rest = text.slice(prefix.length);
  if (!text.startsWith(prefix) || !/^(\d+[munp]?)?$/.test(rest) || u5bytes.some((word) => word >= 32)) {
    scope.broken('policy-invoice-format', { expected: prefix, length: u5bytes.length });
    return {};
  }
  try {
    const content = readBolt11(text, [...u5bytes]);
    if (!(await scope.approved({ kind: 'issue', content })))
      scope.broken('policy-invoice-signed-request', {
        amount: content.amountMsat === undefined ? 'any' : fromMsat(content.amountMsat),
      });
  } catch (error: unknown) {
    if (!(error instanceof InvoiceError)) throw error;
    scope.broken('policy-invoice-signed-request', { invoice: error.message });
  }
  return {};
}

function willFund(scope: Scope, { blockheight }: RequestOf<'signOptionWillFundOffer'>): Record<string, never> {
  const { height } = scope;
  if (height !== undefined && blockheight > height + longestLease + leaseLeeway)
    scope.broken('policy-lease', { until: blockheight, height, most: longestLease });
  return {};
}

function derived(scope: Scope, { info }: RequestOf<'deriveSecret'>): Record<string, never> {
  const reserved = utf8(reservedLabels);
  if (reserved.every((byte, index) => info[index] === byte))
    scope.broken('policy-message-no-spoof', { differs: `a label that begins with ${reservedLabels}` });
  return {};
}

type MessageCall = Extract<
  Call,
  | 'ecdh'
  | 'signInvoice'
  | 'signMessage'
  | 'bip137SignMessage'
  | 'deriveSecret'
  | 'signBolt12'
  | 'signBolt12_2'
  | 'signOptionWillFundOffer'
>;

/** A tagged hash is nothing else, and an onion's or a handshake's secret opens nothing but that. */
const nothing = () => ({});

export const messageChecks: Checks<MessageCall> = {
  ecdh: nothing,
  signBolt12: nothing,
  signBolt12_2: nothing,
  signInvoice: invoice,
  signMessage: signedText,
  bip137SignMessage: signedText,
  signOptionWillFundOffer: willFund,
  deriveSecret: derived,
};
