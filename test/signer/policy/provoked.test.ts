/** Rules that a recorded, honest node breaks as soon as a limit is tighter, a request is left out, or another is put in. */

import test from 'ava';
import { lightningd, loadRecordings, type RecordedRequest } from '../../../cli/recordings.ts';
import { systemClock } from '../../../proto/clock.ts';
import { systemEntropy } from '../../../proto/entropy.ts';
import { type Call, calls } from '../../../proto/hsmd/calls.ts';
import { toWirestring, trustPoints } from '../../../proto/hsmd/codec.ts';
import { callOf, decodeMessage, encodeMessage } from '../../../proto/hsmd/message.ts';
import { Signer } from '../../../signer/dispatch.ts';
import { openHsmSecret } from '../../../signer/keys/hsm_secret.ts';
import { backend } from '../../../signer/node/backends.ts';
import { type Approver, approveAll } from '../../../signer/policy/purpose.ts';
import type { Tag } from '../../../signer/policy/rules.ts';
import { profiles, type Settings } from '../../../signer/policy/settings.ts';
import { validating } from '../../../signer/policy/validating.ts';
import { openMemoryStore } from '../../../signer/store/memory.ts';

const secp = backend(undefined, systemEntropy);
const refuseAll: Approver = { name: 'nobody', approve: () => Promise.resolve(false) };

interface Change {
  readonly node?: string;
  readonly settings?: Partial<Settings>;
  readonly height?: number;
  readonly year?: number;
  readonly approver?: Approver;
  readonly edit?: (requests: readonly RecordedRequest[]) => readonly RecordedRequest[];
}

/** The tags of everything refused or not approved while the session is played with this change. */
async function broken({
  node = 'everyday/l1',
  settings = {},
  height,
  year = 2026,
  approver = approveAll,
  edit,
}: Change): Promise<ReadonlySet<string>> {
  const [session] = await loadRecordings([`test/vectors/hsmd/traces/${node}.jsonl.gz`]);
  if (session === undefined) throw new Error(`no recording of ${node}`);
  const { secretFile, requests } = session;
  const tags = new Set<string>();
  const policy = validating({
    settings: { ...profiles.test, ...settings },
    approver,
    openStore: () => Promise.resolve(openMemoryStore({}, 'create')),
    clock: { ...systemClock, now: () => Date.UTC(year, 4, 30) },
    log: (_level, _message, fields) => void (typeof fields?.['tag'] === 'string' && tags.add(fields['tag'])),
    height: () => height,
  });
  const signer = new Signer({ secp, secret: { open: (passphrase) => openHsmSecret(secretFile, passphrase) }, policy });
  for (const { client, bytes } of edit?.(requests) ?? requests) {
    const answer = await signer.handle(client, bytes);
    if (answer.kind === 'refused') tags.add(answer.tag);
  }
  return tags;
}

const leaveOut = (call: Call) => (requests: readonly RecordedRequest[]) =>
  requests.filter(({ bytes }) => callOf(bytes) !== call);

/** Puts a request behind the last one of the first client of a channel, or of lightningd. */
function putIn(bytes: Uint8Array, ofChannel: boolean) {
  return (requests: readonly RecordedRequest[]): readonly RecordedRequest[] => {
    const client = ofChannel
      ? requests.findLast(({ bytes: each }) => callOf(each) === 'revokeCommitmentTx')?.client
      : lightningd;
    return client === undefined ? requests : [...requests, { conn: 0, client, bytes, expected: 'refused' }];
  };
}

function rewrite(call: Call, change: (fields: never) => unknown) {
  return (requests: readonly RecordedRequest[]): readonly RecordedRequest[] =>
    requests.map((request) => {
      if (callOf(request.bytes) !== call) return request;
      const { request: message } = calls[call];
      const fields = decodeMessage(message as never, request.bytes, trustPoints);
      return { ...request, bytes: encodeMessage(message as never, change(fields as never) as never) };
    });
}

const cases: readonly (readonly [tag: Tag, how: string, Change])[] = [
  ['policy-commitment-htlc-count-limit', 'no HTLC is allowed', { settings: { maxHtlcs: 0 } }],
  ['policy-commitment-htlc-inflight-limit', 'nothing may be in flight', { settings: { maxInFlightSat: 0n } }],
  ['policy-commitment-fee-range', 'the lowest feerate is the highest', { settings: { maxFeeratePerkw: 253 } }],
  ['policy-commitment-balance', 'nothing may leave that is in no list', { settings: { unlistedMsatPerDay: 0n } }],
  ['policy-commitment-htlc-cltv-range', 'the chain is much higher', { height: 1_000_000 }],
  ['policy-invoice-not-expired', 'four years later', { year: 2030 }],
  [
    'policy-invoice-amount',
    'an invoice that is none',
    {
      edit: putIn(
        encodeMessage(calls.preapproveInvoiceCheck.request, {
          invstring: toWirestring('lnbcrt1garbage'),
          checkOnly: false,
        }),
        false,
      ),
    },
  ],
  [
    'policy-commitment-payment-velocity',
    'small payments, but too many a day',
    { settings: { autoPayMsat: 10n ** 12n, paymentsMsatPerDay: 1n }, approver: refuseAll },
  ],
  [
    'policy-revoke-new-commitment-signed',
    'our next commitment was never validated',
    { edit: leaveOut('validateCommitmentTx') },
  ],
  ['policy-commitment-previous-revoked', 'the peer never revoked', { edit: leaveOut('validateRevocation') }],
  ['policy-revoke-not-closed', 'our commitment was signed before', { node: 'penalty/l1' }],
  [
    'policy-per-commitment-point-ahead',
    'a point far ahead',
    { edit: putIn(encodeMessage(calls.getPerCommitmentPoint.request, { n: 500n }), true) },
  ],
  [
    'policy-init',
    'an older protocol, whose points come with secrets',
    { edit: rewrite('init', (fields: { readonly maxVersion: number }) => ({ ...fields, maxVersion: 5 })) },
  ],
  [
    'policy-commitment-initial-funding-value',
    'more of the channel was ours',
    { edit: rewrite('setupChannel', (fields: { readonly pushValue: bigint }) => ({ ...fields, pushValue: 0n })) },
  ],
];

for (const [tag, how, change] of cases)
  test(`${tag}: refuses what was honest before, when ${how}`, async (t) => {
    t.true((await broken(change)).has(tag));
    if (change.node === undefined) t.false((await broken({})).has(tag));
  });
