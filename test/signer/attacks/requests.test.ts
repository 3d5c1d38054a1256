/** Attack 10: what clients signed, presented as something else, again, or as somebody else's. */

import test from 'ava';
import { utf8 } from '../../../proto/bytes.ts';
import type { SignedRequest } from '../../../proto/signed_request.ts';
import {
  type Asked,
  msat as amount,
  boundRequest,
  type Device,
  newDevice,
  stockRequest,
} from '../approvals/clients.ts';
import { attack, refused } from './attack.ts';
import { hashOf, TestChannel } from './channel.ts';
import { type InvoiceTerms, signedInvoice, unsignedInvoice } from './invoice.ts';
import { lightningd, nodeKeys, World } from './world.ts';

const msat = 10_000_000n;
const payee = nodeKeys(9);

interface Scene {
  readonly world: World;
  readonly channel: TestChannel;
  readonly device: Device;
  /** A request of the owner's device, or of another one, signed now. */
  signed(method: string, fields: Asked['fields'], by?: Device): Promise<SignedRequest>;
  readonly invoice: string;
}

async function scene(world: World): Promise<Scene> {
  const channel = await TestChannel.open(world);
  const device = await newDevice(world.keys.runes);
  const signed = (method: string, fields: Asked['fields'], by = device) =>
    boundRequest({ device: by, uri: `/cln.Node/${method}`, fields, at: world.now }, world.keys.node.point);
  return { world, channel, device, signed, invoice: signedInvoice(payee, terms(world)) };
}

const terms = ({ now }: World): InvoiceTerms => ({
  micro: 100,
  hash: hashOf('coffee'),
  description: 'coffee',
  createdAt: now / 1000,
});

/** lightningd asks, and whatever the answer sends an HTLC; throws where that is refused. */
async function payAnyway({ channel }: Scene, hash: Uint8Array, asked: Promise<boolean>): Promise<void> {
  if (await asked) throw new Error('the payment was approved');
  channel.add({ from: 'us', msat, hash });
  await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
}

async function pay({ channel }: Scene, hash: Uint8Array, asked: Promise<boolean>): Promise<void> {
  if (!(await asked)) throw new Error('the payment was not approved');
  const htlc = channel.add({ from: 'us', msat, hash });
  await channel.commit();
  channel.fulfil(htlc);
  await channel.commit();
}

const notApproved = 'policy-commitment-payment-approved';

attack('attack 10: a signed decode presented as the justification of a pay', notApproved, {
  prefix: scene,
  async hostile(at, world) {
    const decode = await at.signed('Decode', [[1, at.invoice]]);
    await world.show(decode);
    await world.show({ ...decode, uri: '/cln.Node/Pay' });
    const { bound: _dropped, ...stock } = decode;
    await world.show({ ...stock, uri: '/cln.Node/Pay' });
    await payAnyway(at, hashOf('coffee'), world.preapproveInvoice(at.invoice));
  },
  async honest(at, world) {
    await world.show(await at.signed('Pay', [[1, at.invoice]]));
    await pay(at, hashOf('coffee'), world.preapproveInvoice(at.invoice));
  },
});

attack('attack 10: a stock client’s decode presented as the justification of a pay', notApproved, {
  prefix: scene,
  async hostile(at, world) {
    const { device, invoice } = at;
    const decode = await stockRequest({ device, uri: '/cln.Node/Decode', fields: [[1, invoice]], at: world.now });
    await world.show({ ...decode, uri: '/cln.Node/Pay' });
    await payAnyway(at, hashOf('coffee'), world.preapproveInvoice(invoice));
  },
  async honest(at, world) {
    const { device, invoice } = at;
    const fields: Asked['fields'] = [
      [1, invoice],
      [11, amount(5000)],
    ];
    await world.show(await stockRequest({ device, uri: '/cln.Node/Pay', fields, at: world.now }));
    await pay(at, hashOf('coffee'), world.preapproveInvoice(invoice));
  },
});

const keysend = (at: Scene) =>
  at.signed('KeySend', [
    [1, payee.node.point],
    [10, amount(Number(msat))],
  ]);

/** A keysend was asked for and made; its request is kept by the host. */
async function keysent(world: World) {
  const at = await scene(world);
  const request = await keysend(at);
  await world.show(request);
  await pay(at, hashOf('first'), world.preapproveKeysend(payee.node.point, hashOf('first'), msat));
  return { at, request };
}

for (const [when, later] of [
  ['yesterday’s signed request', 86_400_000],
  ['a signed request of a minute ago', 60_000],
] as const)
  attack(`attack 10: ${when} presented again`, notApproved, {
    prefix: keysent,
    async hostile({ at, request }, world) {
      world.now += later;
      await world.show(request);
      const { bound: _dropped, ...stock } = request;
      await world.show(stock);
      await payAnyway(at, hashOf('second'), world.preapproveKeysend(payee.node.point, hashOf('second'), msat));
    },
    async honest({ at }, world) {
      world.now += 1000;
      await world.show(await keysend(at));
      await pay(at, hashOf('second'), world.preapproveKeysend(payee.node.point, hashOf('second'), msat));
    },
  });

attack('attack 10: a rune of another device', notApproved, {
  prefix: scene,
  async hostile(at, world) {
    const thief = await newDevice(world.keys.runes);
    const request = await at.signed('Pay', [[1, at.invoice]], thief);
    await world.show({ ...request, rune: at.device.rune() });
    const elsewhere = await newDevice(nodeKeys(3).runes);
    await world.show(await at.signed('Pay', [[1, at.invoice]], elsewhere));
    await payAnyway(at, hashOf('coffee'), world.preapproveInvoice(at.invoice));
  },
  async honest(at, world) {
    await world.show(await at.signed('Pay', [[1, at.invoice]]));
    await pay(at, hashOf('coffee'), world.preapproveInvoice(at.invoice));
  },
});

attack('attack 10: a request signed for another node of the same owner', notApproved, {
  prefix: scene,
  async hostile(at, world) {
    const asked = { device: at.device, uri: '/cln.Node/Pay', fields: [[1, at.invoice]] as const, at: world.now };
    await world.show(await boundRequest(asked, nodeKeys(3).node.point));
    await payAnyway(at, hashOf('coffee'), world.preapproveInvoice(at.invoice));
  },
  async honest(at, world) {
    await world.show(await at.signed('Pay', [[1, at.invoice]]));
    await pay(at, hashOf('coffee'), world.preapproveInvoice(at.invoice));
  },
});

attack('attack 10: a signed pay used for more than its maximum fee', notApproved, {
  async prefix(world) {
    const at = await scene(world);
    const fields: Asked['fields'] = [
      [1, at.invoice],
      [11, amount(1000)],
    ];
    await world.show(await at.signed('Pay', fields));
    if (!(await world.preapproveInvoice(at.invoice))) throw new Error('the payment was not approved');
    return at;
  },
  async hostile({ channel }) {
    channel.add({ from: 'us', msat: msat + 1001n, hash: hashOf('coffee') });
    await channel.signTheirs().finally(() => channel.updates.logs.local.pop());
  },
  async honest({ channel }) {
    channel.add({ from: 'us', msat: msat + 1000n, hash: hashOf('coffee') });
    await channel.commit();
  },
});

test('policy-invoice-signed-request: an invoice that differs from what its owner asked for', async (t) => {
  const tag = 'policy-invoice-signed-request';
  const world = await World.open({ settings: { severities: new Map([[tag, 'refuse']]) } });
  const at = await scene(world);
  const fields: Asked['fields'] = [
    [2, 'coffee'],
    [3, 'label'],
    [7, 3600],
    [10, [[1, amount(Number(msat))]]],
  ];
  await world.show(await at.signed('Invoice', fields));
  const sign = (changes: Partial<InvoiceTerms>) => {
    const { hrp, words } = unsignedInvoice({ ...terms(world), ...changes });
    return world.ask(lightningd, 'signInvoice', { u5bytes: Uint8Array.from(words), hrp: utf8(hrp) });
  };
  await refused(t, tag, sign({ micro: 1 }));
  await refused(t, tag, sign({ description: 'tea' }));
  await t.notThrowsAsync(sign({}));
  await t.notThrowsAsync(sign({}), 'the same invoice again');
  await refused(t, tag, sign({ hash: hashOf('another') }), 'a second invoice');
});
