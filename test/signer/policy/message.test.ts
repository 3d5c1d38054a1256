/** Messages, invoices, gossip, liquidity ads, derived secrets. */

import test from 'ava';
import { concat, utf8 } from '../../../proto/bytes.ts';
import { momentOf } from './recorded_scope.ts';
import { refuses } from './refusals.ts';

const random = new Uint8Array(32).fill(0x9a);

for (const call of ['signMessage', 'bip137SignMessage'] as const) {
  refuses('policy-message-no-spoof', {
    refuses: `32 bytes that are no text: ${call}`,
    at: ['everyday/l1', call],
    request: ({ request }) => ({ ...request, msg: random }),
  });
  test(`${call} signs 32 letters, and bytes of another length`, async (t) => {
    const moment = await momentOf('everyday/l1', call);
    await t.notThrowsAsync(moment.judge({ ...moment.request, msg: utf8('thirty-two letters in this line.') }));
    await t.notThrowsAsync(moment.judge({ ...moment.request, msg: random.subarray(1) }));
  });
}

refuses('policy-message-no-spoof', {
  refuses: "a label of the signer's own",
  at: ['everyday/l1', 'deriveSecret'],
  request: () => ({ info: utf8('keyhold/store') }),
});

refuses('policy-invoice-format', {
  refuses: 'what does not begin like an invoice',
  at: ['everyday/l1', 'signInvoice'],
  request: ({ request }) => ({ ...request, hrp: utf8('option_will_fund') }),
});
refuses('policy-invoice-format', {
  refuses: 'an invoice of another network',
  at: ['everyday/l1', 'signInvoice'],
  request: ({ request }) => ({ ...request, hrp: utf8('lnbc10m') }),
});
refuses('policy-invoice-format', {
  refuses: 'words of more than five bits',
  at: ['everyday/l1', 'signInvoice'],
  request: ({ request }) => ({ ...request, u5bytes: request.u5bytes.map((word, i) => (i === 3 ? 32 : word)) }),
});

test('policy-invoice-signed-request: warns of an invoice that cannot be read', async (t) => {
  const moment = await momentOf('everyday/l1', 'signInvoice');
  const warnings: string[] = [];
  await moment.judge(undefined, { warnings });
  t.deepEqual(warnings, []);
  await moment.judge({ ...moment.request, u5bytes: moment.request.u5bytes.subarray(0, 7) }, { warnings });
  t.deepEqual(warnings, ['policy-invoice-signed-request']);
});

refuses('policy-lease', {
  refuses: 'a lease that ends far in the future',
  at: ['dual_funding/l2', 'signOptionWillFundOffer'],
  request: ({ request }) => ({ ...request, blockheight: 120 + 4032 + 145 }),
  under: { height: 120 },
});

const announced = ['everyday/l1', 'signAnyCannouncement'] as const;

/** A signature over what only looks like gossip: a message's text, or a transaction that spends the funding. */
refuses('policy-gossip-format', {
  refuses: 'a text in a channel announcement’s place',
  at: announced,
  request: ({ request }) => ({
    ...request,
    ca: concat(request.ca.subarray(0, 258), utf8('Lightning Signed Message:hello')),
  }),
});
refuses('policy-gossip-format', {
  refuses: 'an announcement of another chain',
  at: announced,
  request: ({ request }) => ({ ...request, ca: request.ca.map((byte, i) => (i === 270 ? byte ^ 1 : byte)) }),
});
refuses('policy-gossip-format', {
  refuses: 'an announcement without our funding key',
  at: announced,
  request: ({ request }) => ({
    ...request,
    ca: request.ca.map((byte, i) => (i >= request.ca.length - 66 ? byte ^ 1 : byte)),
  }),
});
refuses('policy-gossip-format', {
  refuses: 'a text in a node announcement’s place',
  at: ['everyday/l1', 'nodeAnnouncementSig'],
  request: ({ request }) => ({
    announcement: concat(request.announcement.subarray(0, 66), utf8('Lightning Signed Message:hello')),
  }),
});
refuses('policy-gossip-format', {
  refuses: 'a text in a channel update’s place',
  at: ['everyday/l1', 'cupdateSig'],
  request: ({ request }) => ({
    cu: concat(request.cu.subarray(0, 66), utf8('Lightning Signed Message:hello'), new Uint8Array(80)),
  }),
});

test('a channel’s own client announces it like lightningd', async (t) => {
  const moment = await momentOf(...announced);
  const { ca, peerId: nodeId, dbid } = moment.request;
  const client = { nodeId, dbid, capabilities: 2n };
  await t.notThrowsAsync(moment.judgeOther('cannouncementSig', { ca }, client));
  await t.throwsAsync(moment.judgeOther('cannouncementSig', { ca: ca.subarray(0, 300) }, client));
});
