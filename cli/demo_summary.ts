/** What a demo says at its end: what the keys were used for, how long it took, and whether every byte was right. */

import type { Call } from '../proto/hsmd/calls.ts';
import { requestName } from '../proto/hsmd/describe.ts';
import { callOf } from '../proto/hsmd/message.ts';
import { clientLabel, type Exchange, isEqual } from './demo_exchange.ts';
import { explain } from './play.ts';

const differencesShown = 5;

/** What the calls are for, in the order in which they are told. */
const kinds = [
  'commitments signed for the peer',
  'commitments of our own checked',
  'old commitments revoked',
  'revocations by the peer checked',
  'HTLC transactions signed',
  'splice signatures made',
  'mutual closes signed',
  'commitments of our own signed',
  'penalties signed, against revoked commitments',
  'claims from closed channels signed',
  'withdrawals and channel fundings signed',
  'invoices signed',
  'offers and their invoices signed (BOLT 12)',
  'announcements of channels and the node signed',
  'messages signed',
  'payments approved',
  'shared secrets for connections and onions (ECDH)',
  'channels made, set up and forgotten',
  'keys, points and secrets derived',
  'addresses checked',
  'starts and connections of daemons',
] as const;

type Kind = (typeof kinds)[number];

// biome-ignore format: one call a row
const kindOf: Readonly<Record<Call, Kind>> = {
  signRemoteCommitmentTx:    'commitments signed for the peer',
  validateCommitmentTx:      'commitments of our own checked',
  revokeCommitmentTx:        'old commitments revoked',
  validateRevocation:        'revocations by the peer checked',
  signRemoteHtlcTx:          'HTLC transactions signed',
  signAnyLocalHtlcTx:        'HTLC transactions signed',
  signHtlcTxMingle:          'HTLC transactions signed',
  signSpliceTx:              'splice signatures made',
  signMutualCloseTx:         'mutual closes signed',
  signCommitmentTx:          'commitments of our own signed',
  signAnchorspend:           'claims from closed channels signed',
  signDelayedPaymentToUs:    'claims from closed channels signed',
  signRemoteHtlcToUs:        'claims from closed channels signed',
  signPenaltyToUs:           'penalties signed, against revoked commitments',
  signAnyDelayedPaymentToUs: 'claims from closed channels signed',
  signAnyRemoteHtlcToUs:     'claims from closed channels signed',
  signAnyPenaltyToUs:        'penalties signed, against revoked commitments',
  signWithdrawal:            'withdrawals and channel fundings signed',
  signInvoice:               'invoices signed',
  signBolt12:                'offers and their invoices signed (BOLT 12)',
  signBolt12_2:              'offers and their invoices signed (BOLT 12)',
  cannouncementSig:          'announcements of channels and the node signed',
  cupdateSig:                'announcements of channels and the node signed',
  signAnyCannouncement:      'announcements of channels and the node signed',
  nodeAnnouncementSig:       'announcements of channels and the node signed',
  signOptionWillFundOffer:   'announcements of channels and the node signed',
  signMessage:               'messages signed',
  bip137SignMessage:         'messages signed',
  preapproveInvoice:         'payments approved',
  preapproveKeysend:         'payments approved',
  preapproveInvoiceCheck:    'payments approved',
  preapproveKeysendCheck:    'payments approved',
  ecdh:                      'shared secrets for connections and onions (ECDH)',
  newChannel:                'channels made, set up and forgotten',
  setupChannel:              'channels made, set up and forgotten',
  forgetChannel:             'channels made, set up and forgotten',
  checkOutpoint:             'channels made, set up and forgotten',
  lockOutpoint:              'channels made, set up and forgotten',
  getChannelBasepoints:      'keys, points and secrets derived',
  getPerCommitmentPoint:     'keys, points and secrets derived',
  checkFutureSecret:         'keys, points and secrets derived',
  getOutputScriptpubkey:     'keys, points and secrets derived',
  deriveSecret:              'keys, points and secrets derived',
  checkPubkey:               'addresses checked',
  checkBip86Pubkey:          'addresses checked',
  init:                      'starts and connections of daemons',
  devPreinit:                'starts and connections of daemons',
  clientHsmfd:               'starts and connections of daemons',
  devMemleak:                'starts and connections of daemons',
};

/** The value below which that share of the sorted values lies. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

function counted(exchanges: readonly Exchange[]): readonly string[] {
  const counts = new Map<Kind, number>();
  for (const { bytes, outcome } of exchanges) {
    const call = callOf(bytes);
    if (call === undefined || outcome === 'refused') continue;
    counts.set(kindOf[call], (counts.get(kindOf[call]) ?? 0) + 1);
  }
  return kinds.flatMap((kind) => (counts.has(kind) ? [`${String(counts.get(kind)).padStart(6)}  ${kind}`] : []));
}

function verdict(exchanges: readonly Exchange[], different: number): string {
  const compared = exchanges.filter((one) => one.expected !== undefined).length;
  if (compared < exchanges.length)
    return `${compared} of ${exchanges.length} replies were compared with the real lightning_hsmd’s, ${different} differ`;
  if (different > 0) return `${different} of ${exchanges.length} replies differ from the real lightning_hsmd’s bytes`;
  return `all ${exchanges.length} replies equal the real lightning_hsmd’s bytes`;
}

/** The summary's text, its last line the verdict, and the exit code: 1 where any byte differs. */
export function summary(exchanges: readonly Exchange[]): { readonly text: string; readonly exitCode: 0 | 1 } {
  const different = [...exchanges.entries()].filter(([, passed]) => isEqual(passed) === false);
  const explained = different.slice(0, differencesShown).map(([row, { conn, client, bytes, outcome, expected }]) => {
    const request = { conn, client, bytes, expected: expected ?? 'silent' };
    return explain({ session: 'demo', row: row + 1, request, outcome }); // numbered as they were shown
  });
  const sorted = exchanges.map((passed) => passed.milliseconds).sort((a, b) => a - b);
  const slowest = exchanges.reduce<Exchange | undefined>(
    (most, one) => (most === undefined || one.milliseconds > most.milliseconds ? one : most),
    undefined,
  );
  const lines = [
    ...explained,
    'what the keys were used for',
    ...counted(exchanges),
    `latency  p50 ${percentile(sorted, 0.5).toFixed(1)} ms, p95 ${percentile(sorted, 0.95).toFixed(1)} ms` +
      (slowest === undefined
        ? ''
        : `, most ${slowest.milliseconds.toFixed(1)} ms (${requestName(slowest.bytes)} of ${clientLabel(slowest)})`),
    verdict(exchanges, different.length),
  ];
  return { text: lines.join('\n'), exitCode: different.length === 0 ? 0 : 1 };
}
